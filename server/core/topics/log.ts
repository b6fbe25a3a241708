/** A topic's log as callers use it: publish, read, look, drop. Knows who may; keeps nothing itself. */

import { RepriseError } from '../../../shared/errors.ts'
import { isTopicName, nameRule } from '../../../shared/names.ts'
import { type Position, placeIn } from '../../../shared/positions.ts'
import type { Draft, Gap, Limits, ProducerSeq, Published, ReadPage } from '../../../shared/protocol.ts'
import type {
  Bounds,
  PageQuery,
  ReadBound,
  Retention,
  Store,
  StoredDraft,
  StoredEvent,
  TopicInfo,
} from '../../store/contract/store.ts'
import { authorize, type Caller } from '../access.ts'
import { bodiesOf } from '../body.ts'
import type { CallerLimits } from '../guards/callers.ts'
import { checkBodies } from '../schema/schema.ts'
import type { Telemetry } from '../telemetry.ts'
import { weightOf } from '../turns.ts'
import { eventObject, PACKET_BYTES, PACKET_EVENTS, type Packet, packetsOf } from './packet.ts'
import { resolve } from './resolve.ts'
import type { HubSettings } from './settings.ts'

export interface LogQuery {
  readonly after?: number | Position
  readonly before?: number
  readonly limit?: number
}

export interface LogPage {
  readonly epoch: string
  readonly first: number
  readonly last: number
  readonly events: readonly StoredEvent[]
  /** What the page does not show and a reader would expect in it: trimmed, lost, damaged. Absent when nothing. */
  readonly gaps?: readonly Gap[]
}

/** The page as a caller gets it; its gaps tell of damaged events. */
export function readable(page: LogPage): ReadPage {
  return { ...page, events: page.events.flatMap((event) => ('damaged' in event ? [] : [eventObject(event)])) }
}

/** One page of a subscription that reads. */
export interface Step {
  /** What to tell, in order; every item ends at a position. */
  readonly items: readonly (Packet | Gap)[]
  /** Where the reader stands before the items. */
  readonly position: Position
  /** The head in the moment of reading. */
  readonly head: Position
}

/** What it weighed to read it. */
export function stepWeight({ items }: Step): number {
  return items.reduce((sum, item) => sum + ('events' in item ? weightOf(item.bytes) : 0), 1)
}

/** Topics of the hub's own begin with a sign that names cannot begin with; they are shown to nobody. */
export const INTERNAL_PREFIX = '_'

const DEFAULT_READ_LIMIT = 100
const MAX_READ_LIMIT = 1_000
export const MAX_READ_BYTES = 1_048_576
const NOTHING: ReadBound = { events: 0, bytes: 0 }
const PAGE: ReadBound = { events: PACKET_EVENTS, bytes: PACKET_BYTES }
const BEYOND = Number.MAX_SAFE_INTEGER

export class Log {
  readonly #store: Store
  readonly #settings: HubSettings
  readonly limits: Limits
  readonly #callers: CallerLimits
  readonly #telemetry: Telemetry
  #publishing = 0
  #idle: (() => void)[] = []

  constructor(store: Store, settings: HubSettings, limits: Limits, callers: CallerLimits, telemetry: Telemetry) {
    this.#store = store
    this.#settings = settings
    this.limits = limits
    this.#callers = callers
    this.#telemetry = telemetry
  }

  /** Resolves when the events are durable. All of them or none. */
  async publish(caller: Caller, topic: string, drafts: readonly Draft[], row?: ProducerSeq): Promise<Published> {
    checkTopic(topic)
    authorize(caller, 'publish', topic)
    const counted = this.#callers.publishing(caller, drafts.length)
    if (counted !== undefined) await counted
    return await this.#telemetry.spans.around('publish', topic, drafts, (traced) =>
      this.#append(caller, topic, traced, row),
    )
  }

  async #append(caller: Caller, topic: string, drafts: readonly Draft[], row?: ProducerSeq): Promise<Published> {
    const { retain, schema } = this.#settings.forTopic(topic)
    const bodies = bodiesOf(drafts, this.limits)
    checkBodies(schema, bodies, `topic ${topic}`)
    const stored = bodies.map((body, index): StoredDraft => {
      const id = drafts[index]?.id
      return id === undefined ? { body } : { body, id }
    })
    const append = { subject: caller.subject, drafts: stored, retain }
    const producer = row === undefined ? {} : { producer: { name: row.producer, seq: row.seq } }
    this.#publishing += 1
    const began = performance.now()
    try {
      const { forgottenIds: ids, ...published } = await this.#store.topics.append(topic, { ...append, ...producer })
      if (ids !== undefined) {
        this.#telemetry.happened({ kind: 'idsForgotten', topic, subject: caller.subject, ids })
      }
      this.#telemetry.meter.published(topic, drafts.length - published.duplicates, performance.now() - began)
      return published
    } finally {
      this.#publishing -= 1
      if (this.#publishing === 0) for (const resolve of this.#idle.splice(0)) resolve()
    }
  }

  /** Resolves when no publish is under way: what was accepted has its answer. */
  async idle(): Promise<void> {
    if (this.#publishing > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  /** Events behind `after` or before `before`; without either from the earliest kept. */
  async read(caller: Caller, topic: string, query: LogQuery): Promise<LogPage> {
    checkTopic(topic)
    authorize(caller, 'read', topic)
    if (query.after !== undefined && query.before !== undefined) {
      throw new RepriseError('bad_request', 'read takes after or before, not both')
    }
    const bound = { events: Math.min(query.limit ?? DEFAULT_READ_LIMIT, MAX_READ_LIMIT), bytes: MAX_READ_BYTES }
    if (query.before !== undefined) return await this.#readBefore(topic, query.before, bound)
    const { after } = query
    if (typeof after !== 'object') {
      const page = await this.#store.topics.read(topic, after ?? 0, bound)
      const { epoch, head } = page
      return pageOf(page, after === undefined ? [] : resolve({ epoch, offset: Math.min(after, head) }, page).gaps)
    }
    const gaps: Gap[] = []
    let at = after
    for (;;) {
      const page = await this.#store.topics.read(topic, at.offset, bound)
      if (placeIn(page, at) === undefined) {
        throw new RepriseError('stale_epoch', `epoch ${at.epoch} is not one of ${topic}'s; it is now ${page.epoch}`)
      }
      const resolved = resolve(at, page)
      gaps.push(...resolved.gaps)
      if (resolved.position.offset >= at.offset) return pageOf(page, gaps)
      at = resolved.position
    }
  }

  /** What a reader at `position` gets next: its gaps and a page of events. */
  async step(topic: string, position: Position): Promise<Step> {
    const gaps: Gap[] = []
    let at = position
    for (;;) {
      const page = await this.#store.topics.read(topic, at.offset, PAGE)
      const resolved = resolve(at, page)
      gaps.push(...resolved.gaps)
      const moved = resolved.position.offset
      // A page read behind the place that the position stands for would skip what lies between.
      if (moved < at.offset) {
        at = resolved.position
        continue
      }
      const items = [...gaps, ...packetsOf(page.epoch, page.events)]
      return { items, position: resolved.position, head: { epoch: page.epoch, offset: page.head } }
    }
  }

  async bounds(topic: string): Promise<Bounds> {
    return await this.#store.topics.read(topic, BEYOND, NOTHING)
  }

  /** The position behind which a reader gets everything from `time` on. */
  async seek(topic: string, time: number): Promise<Position> {
    const offset = await this.#store.topics.seek(topic, time)
    const { epoch } = await this.bounds(topic)
    return { epoch, offset }
  }

  /** About how many kept events would go if this were to hold now. */
  async trims(topic: string, { events, bytes, ageMs }: Retention, now: number): Promise<number> {
    const [info] = await this.#store.topics.list({ names: [topic] })
    if (info === undefined || info.events === 0) return 0
    const old = ageMs === Number.POSITIVE_INFINITY ? 0 : await this.#store.topics.seek(topic, Math.max(0, now - ageMs))
    const large = info.bytes > bytes ? Math.ceil(info.events * (1 - bytes / info.bytes)) : 0
    return Math.min(info.events, Math.max(0, info.events - events, large, old - info.first + 1))
  }

  async info(caller: Caller, topic: string): Promise<TopicInfo> {
    checkTopic(topic)
    authorize(caller, 'read', topic)
    const [info] = await this.#store.topics.list({ names: [topic] })
    if (info === undefined) throw unknownTopic(topic)
    return info
  }

  async list(caller: Caller, query: PageQuery): Promise<TopicInfo[]> {
    authorize(caller, 'admin', '*')
    const found: TopicInfo[] = []
    let { after } = query
    for (;;) {
      const limit = query.limit - found.length
      const page = await this.#store.topics.list({ after, limit })
      found.push(...page.filter(({ topic }) => !topic.startsWith(INTERNAL_PREFIX)))
      if (page.length < limit || found.length >= query.limit) return found
      after = page.at(-1)?.topic
    }
  }

  async drop(caller: Caller, topic: string): Promise<void> {
    checkTopic(topic)
    authorize(caller, 'admin', topic)
    if (!(await this.#store.topics.drop(topic))) throw unknownTopic(topic)
  }

  /** The last events below `before`; a page that was trimmed meanwhile just has fewer. */
  async #readBefore(topic: string, before: number, bound: ReadBound): Promise<LogPage> {
    const bounds = await this.bounds(topic)
    const { first, head } = bounds
    const end = Math.min(before - 1, head)
    const start = Math.max(first - 1, end - bound.events)
    if (start >= end) return pageOf({ ...bounds, events: [] })
    // Where not all of them fit, the page has the last ones: a reader on its way back must not jump over any.
    for (let events = end - start; ; events = Math.ceil(events / 2)) {
      const page = await this.#store.topics.read(topic, end - events, { events, bytes: bound.bytes })
      const whole = (page.events.at(-1)?.offset ?? end) >= end
      if (whole || events === 1) return pageOf({ ...page, events: page.events.filter(({ offset }) => offset <= end) })
    }
  }
}

/** Throws `bad_request` for what no topic can be called. */
export function checkTopic(topic: unknown): asserts topic is string {
  if (!isTopicName(topic)) throw new RepriseError('bad_request', nameRule('topic', topic))
}

function unknownTopic(topic: string): RepriseError {
  return new RepriseError('not_found', `there is no topic ${topic}: nothing was published to it`)
}

function pageOf(page: Bounds & { readonly events: readonly StoredEvent[] }, before: readonly Gap[] = []): LogPage {
  const { epoch, first, head, events } = page
  const gaps = [...before]
  for (const item of packetsOf(epoch, events)) if (!('events' in item)) gaps.push(item)
  return { epoch, first, last: head, events, ...(gaps.length === 0 ? {} : { gaps }) }
}
