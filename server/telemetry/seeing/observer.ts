/**
 * What the console is shown. Looks once a second while somebody watches and for as long again as its plots reach back, so
 * that a console that is opened anew has them; then it rests and keeps nothing. Loaded for the first console.
 */

import type { ActivityQuery, Happening } from '../../../shared/console/happenings.ts'
import {
  type Gauges,
  type History,
  type ListPage,
  type ListQuery,
  type NodeSeen,
  type QueueRow,
  type QueueSeen,
  type QueueSeenQuery,
  SERIES,
  type Series,
  type Summary,
  type TopicRow,
  type Totals,
} from '../../../shared/console/protocol.ts'
import { authorize, type Caller } from '../../core/access.ts'
import { mayRead, type Observer, rowsOf, seesAll } from '../../core/seeing/observer.ts'
import { sortedBy } from '../../core/seeing/sorting.ts'
import type { Activity } from '../activity.ts'
import type { Counts, MetricsContext, Patterns } from '../counts.ts'
import { FAST, type Histogram, quantileMs } from '../histogram.ts'
import type { Sample, Sampler } from '../sampler.ts'
import { type Point, Recorder, rounded, SECONDS } from './history.ts'
import { QueueWatches } from './queueWatches.ts'

const TICK_MS = 1_000
/** How often the store is asked which nodes there are, in ticks. */
const NODES_TICKS = 3
const MAX_HAPPENINGS = 200

export interface ObserverContext {
  readonly counts: Counts
  readonly activity: Activity
  readonly sampler: Sampler
  readonly opened: MetricsContext
}

/** What is counted at one moment: a point is made of two. */
interface Counted {
  readonly at: number
  readonly totals: Totals
  readonly delivery: readonly number[]
  readonly publishing: readonly number[]
  readonly commits: readonly number[]
}

export class HubObserver implements Observer {
  readonly #context: ObserverContext
  readonly #listeners = new Set<(summary: Summary) => void>()
  readonly #sorted = new Map<string, Promise<readonly object[]>>()
  readonly #watches: QueueWatches
  #recorder: Recorder | undefined
  #timer: NodeJS.Timeout | undefined
  #ticks = 0
  #left = 0
  #last: Counted | undefined
  #sample: Sample | undefined
  #nodes: readonly NodeSeen[] = []
  #summary: Summary | undefined

  constructor(context: ObserverContext) {
    this.#context = context
    this.#watches = new QueueWatches(context.counts)
  }

  watch(listener: (summary: Summary) => void): () => void {
    this.#listeners.add(listener)
    if (this.#timer === undefined) this.#begin()
    return () => this.#listeners.delete(listener)
  }

  summary(): Summary | undefined {
    return this.#summary
  }

  history(): History {
    return (this.#recorder ?? new Recorder()).history()
  }

  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  async topics(caller: Caller, query: ListQuery): Promise<ListPage<TopicRow>> {
    const page = await this.#list(caller, query, 'topics', 'topic', this.#sample?.rows?.topics ?? [])
    const subscribers = new Map(this.#context.opened.subscriptions())
    return { ...page, rows: page.rows.map((row) => ({ ...row, subscribers: subscribers.get(row.topic) ?? 0 })) }
  }

  async queues(caller: Caller, query: ListQuery): Promise<ListPage<QueueRow>> {
    return await this.#list(caller, query, 'queues', 'queue', this.#sample?.rows?.queues ?? [])
  }

  queue(caller: Caller, { queue, after = 0 }: QueueSeenQuery): QueueSeen {
    authorize(caller, 'read', queue)
    const { told, now } = this.#context.opened
    return { node: told.node, ...this.#watches.look(queue, after, now(), seesAll(caller)) }
  }

  activity(caller: Caller, { after = 0, limit = MAX_HAPPENINGS, kinds }: ActivityQuery): readonly Happening[] {
    const all = seesAll(caller)
    const mayHear = ({ details: { topic, queue } }: Happening): boolean => {
      const name = topic ?? queue
      return all || (typeof name === 'string' && mayRead(caller, name))
    }
    return this.#context.activity.list(after, Math.min(limit, MAX_HAPPENINGS), mayHear, kinds)
  }

  #begin(): void {
    this.#recorder = new Recorder()
    this.#timer = setInterval(() => void this.#tick(), TICK_MS)
    this.#timer.unref()
    void this.#tick()
  }

  #rest(): void {
    this.close()
    this.#watches.clear()
    this.#sorted.clear()
    this.#recorder = undefined
    this.#last = undefined
    this.#sample = undefined
    this.#summary = undefined
  }

  async #tick(): Promise<void> {
    const isSeen = this.#listeners.size > 0
    this.#context.sampler.keepRows(isSeen)
    this.#left = isSeen ? 0 : this.#left + 1
    if (this.#left > SECONDS) return this.#rest()
    const sample = await this.#look()
    if (this.#timer === undefined) return
    if (sample !== this.#sample) this.#sorted.clear()
    this.#sample = sample
    const now = this.#count()
    this.#watches.tick(now.at)
    const before = this.#last
    this.#last = now
    const gauges = this.#gauges(sample)
    const point = before === undefined ? undefined : pointOf(before, now, gauges)
    if (point !== undefined) this.#recorder?.add(now.at, point)
    this.#summary = this.#summaryOf(now, gauges, point ?? [])
    for (const listener of this.#listeners) listener(this.#summary)
  }

  /** With nobody there the store is left alone: its numbers stay as they were, and the node's own go on. */
  async #look(): Promise<Sample | undefined> {
    if (this.#listeners.size === 0) return this.#sample
    if (this.#ticks % NODES_TICKS === 0) {
      const seen = this.#context.opened.nodes()
      seen.then(
        (nodes) => {
          this.#nodes = nodes
        },
        () => {},
      )
    }
    this.#ticks += 1
    return await this.#context.sampler.look()
  }

  #count(): Counted {
    const { counts, opened } = this.#context
    const { topics, queues, commits, refused } = counts
    const gaps = sum(topics, ({ gaps }) => Object.values(gaps).reduce((all, one) => all + one, 0))
    const settled = sum(queues, ({ settled }) => Object.values(settled).reduce((all, one) => all + one, 0))
    return {
      at: opened.now(),
      totals: {
        published: sum(topics, ({ published }) => published),
        live: sum(topics, ({ live }) => live),
        replayed: sum(topics, ({ replayed }) => replayed),
        caughtUp: sum(topics, ({ caughtUp }) => caughtUp),
        gaps,
        refused: [...refused.values()].reduce((all, one) => all + one, 0),
        sent: sum(queues, ({ sent }) => sent),
        settled,
        lapsed: sum(queues, ({ lapsed }) => lapsed),
      },
      delivery: together(topics, ({ delivery }) => delivery),
      publishing: together(topics, ({ publishing }) => publishing),
      commits: [...commits.counts],
    }
  }

  #gauges(sample: Sample | undefined): Gauges {
    const { connections, subscriptions } = this.#context.opened
    const jobs = { ready: 0, delayed: 0, held: 0, dead: 0 }
    let [events, lag, oldestReadyMs, subscribed] = [0, 0, 0, 0]
    for (const gauges of sample?.topics.each.values() ?? []) {
      events += gauges.events
      lag = Math.max(lag, gauges.lag)
    }
    for (const gauges of sample?.queues.each.values() ?? []) {
      for (const state of ['ready', 'delayed', 'held', 'dead'] as const) jobs[state] += gauges.jobs[state]
      oldestReadyMs = Math.max(oldestReadyMs, gauges.oldestReadyMs)
    }
    for (const [, count] of subscriptions()) subscribed += count
    const { topics = 0, queues = 0 } = sample?.names ?? {}
    return {
      events,
      lag,
      ...jobs,
      oldestReadyMs,
      topics,
      queues,
      connections: connections(),
      subscriptions: subscribed,
    }
  }

  #summaryOf({ at, totals }: Counted, gauges: Gauges, point: Point): Summary {
    const { opened, activity } = this.#context
    const { ready: up, reason } = opened.health()
    const looked = this.#sample === undefined ? {} : { lookedAt: this.#sample.at }
    return {
      at,
      ...opened.told,
      store: { up, ...(reason === undefined ? {} : { reason }), durability: opened.store.durability },
      happened: activity.newest,
      whole: { totals, gauges, ...looked, point, nodes: this.#nodes },
    }
  }

  async #list<Row extends object>(
    caller: Caller,
    query: ListQuery,
    list: 'topics' | 'queues',
    name: 'topic' | 'queue',
    rows: readonly Row[],
  ): Promise<ListPage<Row>> {
    const { search = '', sort: by = name } = query
    const at = this.#sample?.at ?? 0
    // The store gives them in the order of their names.
    let sorted: readonly Row[] = rows
    if (by !== name) {
      const sorting = this.#sorted.get(`${list} ${by}`) ?? sortedBy(rows, (row) => numberIn(row, by))
      this.#sorted.set(`${list} ${by}`, sorting)
      sorted = (await sorting) as readonly Row[]
    }
    const nameOf = (row: Row): string => String((row as Readonly<Record<string, unknown>>)[name])
    const seen = seesAll(caller) ? sorted : sorted.filter((row) => mayRead(caller, nameOf(row)))
    const found = search === '' ? seen : seen.filter((row) => nameOf(row).includes(search))
    const part = rowsOf(found, query)
    return { at, total: seen.length, matched: found.length, rows: part }
  }
}

function numberIn(row: object, name: string): number {
  return Number((row as Readonly<Record<string, unknown>>)[name] ?? 0)
}

function sum<Each>(patterns: Patterns<Each>, value: (one: Each) => number): number {
  let all = 0
  for (const one of patterns.each.values()) all += value(one)
  return all
}

/** The counts of the buckets over all patterns. */
function together<Each>(patterns: Patterns<Each>, histogram: (one: Each) => Histogram): number[] {
  const all: number[] = []
  for (const one of patterns.each.values()) {
    for (const [i, count] of histogram(one).counts.entries()) all[i] = (all[i] ?? 0) + count
  }
  return all
}

function pointOf(before: Counted, now: Counted, gauges: Gauges): Point {
  const seconds = Math.max(0.001, (now.at - before.at) / 1_000)
  const rate = (name: keyof Totals): number => (now.totals[name] - before.totals[name]) / seconds
  const late = (what: 'delivery' | 'publishing' | 'commits', part: number): number =>
    quantileMs(
      FAST,
      now[what].map((count, i) => count - (before[what][i] ?? 0)),
      part,
    )
  const values: Readonly<Record<Series, number>> = {
    published: rate('published'),
    live: rate('live'),
    replayed: rate('replayed'),
    delivery50: late('delivery', 0.5),
    delivery99: late('delivery', 0.99),
    publish50: late('publishing', 0.5),
    publish99: late('publishing', 0.99),
    commit99: late('commits', 0.99),
    caughtUp: rate('caughtUp'),
    gaps: rate('gaps'),
    refused: rate('refused'),
    sent: rate('sent'),
    settled: rate('settled'),
    lapsed: rate('lapsed'),
    ready: gauges.ready,
    delayed: gauges.delayed,
    held: gauges.held,
    dead: gauges.dead,
    oldestReadyMs: gauges.oldestReadyMs,
    lag: gauges.lag,
    connections: gauges.connections,
    subscriptions: gauges.subscriptions,
  }
  return SERIES.map((name) => rounded(values[name]))
}
