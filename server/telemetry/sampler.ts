/**
 * What only the store can tell of all topics and queues, looked at part by part in the background: no scrape waits for
 * many of them, and the store has most of its time for others. A round begins when somebody asks and the last one is over.
 */

import type { QueueRow, TopicRow } from '../../shared/console/protocol.ts'
import { INTERNAL_PREFIX } from '../core/topics/log.ts'
import { itsTurn, PAGE_WEIGHT } from '../core/turns.ts'
import type { JobState, Owner, Store, TopicInfo } from '../store/contract/store.ts'
import { Patterns, type Surroundings } from './counts.ts'

/** What is as old is looked at again. */
const FRESH_MS = 1_000
/** A round that takes longer than this is not waited for; nobody waits longer for the first one. */
const QUICK_MS = 5
const FIRST_MS = 500
/** A round takes this part of the time, once it is not a quick one. */
const SHARE = 0.1
/** Read at once. */
const TOPICS = 20
const QUEUES = 20
const CURSORS = 250

class TopicGauges {
  events = 0
  lag = 0
}

class QueueGauges {
  readonly jobs: Record<JobState | 'dead', number> = { ready: 0, delayed: 0, held: 0, waiting: 0, dead: 0 }
  oldestReadyMs = 0
}

/** What each name has; the subscriptions of a topic are known to others. */
export interface Rows {
  readonly topics: readonly Omit<TopicRow, 'subscribers'>[]
  readonly queues: readonly QueueRow[]
}

export interface Sample {
  /** The store's time of its end. */
  readonly at: number
  readonly topics: Patterns<TopicGauges>
  readonly queues: Patterns<QueueGauges>
  /** How many there are. */
  readonly names: { topics: number; queues: number }
  /** Where somebody looks at each. */
  readonly rows: Rows | undefined
}

/** A round under way. */
interface Draft extends Omit<Sample, 'at' | 'rows'> {
  readonly rows: { readonly topics: Omit<TopicRow, 'subscribers'>[]; readonly queues: QueueRow[] } | undefined
}

export class Sampler {
  readonly #store: Store
  readonly #around: Surroundings
  #last: Sample | undefined
  #lastAt = 0
  #tookMs = 0
  #round: Promise<void> | undefined
  #stopped = false
  #keepsRows = false

  constructor(store: Store, around: Surroundings) {
    this.#store = store
    this.#around = around
  }

  stop(): void {
    this.#stopped = true
  }

  /** Whether rounds from now on keep what each name has: memory in proportion to the names. */
  keepRows(keep: boolean): void {
    this.#keepsRows = keep
    if (!keep && this.#last !== undefined) this.#last = { ...this.#last, rows: undefined }
  }

  /** As it is now where a look is quick, else as of the last round; `undefined` where there was none. */
  async look(): Promise<Sample | undefined> {
    if (!this.#stopped && performance.now() - this.#lastAt >= FRESH_MS) this.#round ??= this.#begin()
    const isQuick = this.#last === undefined || this.#tookMs <= QUICK_MS
    if (this.#round !== undefined && isQuick) await within(this.#round, this.#last === undefined ? FIRST_MS : QUICK_MS)
    return this.#last
  }

  async #begin(): Promise<void> {
    const began = performance.now()
    const sample: Draft = {
      topics: new Patterns(() => new TopicGauges(), this.#last?.topics.each.keys()),
      queues: new Patterns(() => new QueueGauges(), this.#last?.queues.each.keys()),
      names: { topics: 0, queues: 0 },
      rows: this.#keepsRows ? { topics: [], queues: [] } : undefined,
    }
    const pace = new Pace()
    try {
      await this.#lookAtTopics(sample, pace)
      await this.#lookAtQueues(sample, pace)
      if (this.#stopped) return
      const at = this.#around.now()
      const rows = this.#keepsRows ? sample.rows : undefined
      this.#last = { ...sample, at, rows: rows && withRates(rows, at, this.#last) }
      this.#tookMs = performance.now() - began
    } catch {
      // The store is away, and has said so: what was known last stays.
    } finally {
      this.#lastAt = performance.now()
      this.#round = undefined
    }
  }

  async #lookAtTopics({ topics, names, rows }: Draft, pace: Pace): Promise<void> {
    let after: string | undefined
    do {
      await pace.turn()
      const page: TopicInfo[] = await this.#store.topics.list({ after, limit: TOPICS })
      after = page.length < TOPICS ? undefined : page.at(-1)?.topic
      const own = page.filter(({ topic }) => !topic.startsWith(INTERNAL_PREFIX))
      const cursors = await Promise.all(own.map(({ topic }) => this.#cursorsOf(topic, pace)))
      names.topics += own.length
      for (const [i, { topic, first, head, events, bytes }] of own.entries()) {
        const gauges = topics.of(this.#around.topicPattern(topic))
        const { count, lag } = cursors[i] ?? { count: 0, lag: 0 }
        gauges.events += events
        gauges.lag = Math.max(gauges.lag, lag)
        rows?.topics.push({ topic, first, last: head, events, bytes, cursors: count, lag, perSecond: 0 })
      }
    } while (after !== undefined && !this.#stopped)
  }

  /** How many there are, and the lag of the one that is furthest behind. */
  async #cursorsOf(topic: string, pace: Pace): Promise<{ readonly count: number; readonly lag: number }> {
    let most = 0
    let count = 0
    let after: Owner | undefined
    do {
      const page = await this.#store.cursors.list(topic, { after, limit: CURSORS })
      for (const { lag } of page) most = Math.max(most, lag)
      count += page.length
      after = page.length < CURSORS ? undefined : page.at(-1)
      if (after !== undefined) await pace.turn()
    } while (after !== undefined && !this.#stopped)
    return { count, lag: most }
  }

  async #lookAtQueues({ queues, names, rows }: Draft, pace: Pace): Promise<void> {
    let after: string | undefined
    do {
      await pace.turn()
      const page = await this.#store.queues.list({ after, limit: QUEUES })
      after = page.length < QUEUES ? undefined : page.at(-1)?.queue
      const now = this.#around.now()
      names.queues += page.length
      for (const { queue, counts, bytes, consumers, paused, oldestReadyAt = now } of page) {
        const gauges = queues.of(this.#around.queuePattern(queue))
        for (const state of ['ready', 'delayed', 'held', 'waiting', 'dead'] as const)
          gauges.jobs[state] += counts[state]
        const oldestReadyMs = Math.max(0, now - oldestReadyAt)
        gauges.oldestReadyMs = Math.max(gauges.oldestReadyMs, oldestReadyMs)
        const { removed: _, ...told } = counts
        const size = { bytes, oldestReadyMs, consumers, paused }
        rows?.queues.push({ queue, ...told, ...size, sentPerSecond: 0, donePerSecond: 0 })
      }
    } while (after !== undefined && !this.#stopped)
  }
}

/** With what came between the last look and this one; nothing where it is the first. */
function withRates({ topics, queues }: Rows, at: number, before: Sample | undefined): Rows {
  if (before?.rows === undefined || at <= before.at) return { topics, queues }
  const heads = new Map(before.rows.topics.map(({ topic, last }) => [topic, last]))
  const known = new Map(before.rows.queues.map((row) => [row.queue, row]))
  const rate = (now: number, then = 0): number => (Math.max(0, now - then) * 1_000) / (at - before.at)
  return {
    topics: topics.map((row) => ({ ...row, perSecond: rate(row.last, heads.get(row.topic)) })),
    queues: queues.map((row) => {
      const then = known.get(row.queue)
      return { ...row, sentPerSecond: rate(row.sent, then?.sent), donePerSecond: rate(row.done, then?.done) }
    }),
  }
}

/** Rests between parts, in proportion to what they took. */
class Pace {
  readonly #began = performance.now()
  #resumedAt = this.#began

  async turn(): Promise<void> {
    const now = performance.now()
    if (now - this.#began > QUICK_MS) await rest(((now - this.#resumedAt) * (1 - SHARE)) / SHARE)
    await itsTurn(PAGE_WEIGHT)
    this.#resumedAt = performance.now()
  }
}

function rest(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref())
}

async function within(promise: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([promise, late])
  clearTimeout(timer)
}
