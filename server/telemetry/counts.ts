/**
 * What this node counts of what the core tells: plain numbers by settings pattern, from the start of the hub. Whoever
 * reads them turns them into metrics. No name of a topic or queue is kept.
 */

import type { NodeSeen } from '../../shared/console/protocol.ts'
import type { ErrorCode } from '../../shared/errors.ts'
import type { GapReason } from '../../shared/protocol.ts'
import type { Health } from '../core/seeing/probe.ts'
import type { DeliveredEvent, Ending, Meter, TelemetryEvent } from '../core/telemetry.ts'
import type { Store } from '../store/contract/store.ts'
import { FAST, FINE, Histogram, SLOW } from './histogram.ts'

/** Patterns that are told apart; so many exact names in the settings would be as many series. */
const MAX_PATTERNS = 50
/** No pattern can be called so: names without one, and those of the patterns that are beyond. */
export const NO_PATTERN = '(none)'
const OTHER_PATTERNS = '(other)'

/** What is known when the settings are open, and not before. */
export interface Surroundings {
  readonly topicPattern: (topic: string) => string | undefined
  readonly queuePattern: (queue: string) => string | undefined
  /** The store's time. */
  readonly now: () => number
}

/** What is looked at when somebody asks. */
export interface MetricsContext extends Surroundings {
  readonly store: Store
  /** Of this node: its name, and the release that it runs. */
  readonly told: { readonly node: string; readonly version: string }
  /** Of Socket.IO. */
  readonly connections: () => number
  /** Whether events go through the store. */
  readonly health: () => Health
  readonly nodes: () => Promise<readonly NodeSeen[]>
  /** Each topic that this node serves, with its live and its reading subscriptions. */
  readonly subscriptions: () => Iterable<readonly [topic: string, subscriptions: number]>
}

export class TopicCounts {
  published = 0
  live = 0
  replayed = 0
  caughtUp = 0
  readonly gaps: Record<GapReason, number> = { trimmed: 0, reset: 0, damaged: 0 }
  readonly publishing = new Histogram(FAST)
  readonly delivery = new Histogram(FAST)
}

export class QueueCounts {
  sent = 0
  lapsed = 0
  /** How often a breaker has paused one. */
  tripped = 0
  /** Due times of schedules: those that had a job, and those that had none. */
  fired = 0
  missed = 0
  readonly settled: Record<Ending, number> = { done: 0, retry: 0, release: 0, dead: 0 }
  readonly waiting = new Histogram(SLOW)
  readonly running = new Histogram(SLOW)
}

/** Of one queue by its name, while somebody looks at it. */
export class WatchedCounts {
  sent = 0
  done = 0
  /** Attempts: settled so, or lapsed. */
  failed = 0
  readonly waiting = new Histogram(FINE)
  readonly running = new Histogram(FINE)
}

/** One for each pattern that something has happened under, or that was told `before`, and one for names without. */
export class Patterns<Each> {
  /** By what their label says. */
  readonly each = new Map<string, Each>()
  readonly #make: () => Each

  constructor(make: () => Each, before: Iterable<string> = []) {
    this.#make = make
    for (const label of [NO_PATTERN, ...before]) this.each.set(label, make())
  }

  of(pattern: string | undefined): Each {
    const label = this.#labelOf(pattern)
    let found = this.each.get(label)
    if (found === undefined) {
      found = this.#make()
      this.each.set(label, found)
    }
    return found
  }

  #labelOf(pattern = NO_PATTERN): string {
    return this.each.has(pattern) || this.each.size < MAX_PATTERNS ? pattern : OTHER_PATTERNS
  }
}

export class Counts implements Meter {
  readonly topics = new Patterns(() => new TopicCounts())
  readonly queues = new Patterns(() => new QueueCounts())
  /** Queues that somebody looks at. */
  readonly watched = new Map<string, WatchedCounts>()
  readonly commits = new Histogram(FAST)
  readonly refused = new Map<ErrorCode, number>()
  idsForgotten = 0
  #around: Surroundings = { topicPattern: () => undefined, queuePattern: () => undefined, now: Date.now }

  use(around: Surroundings): void {
    this.#around = around
  }

  published(topic: string, events: number, ms: number): void {
    const counts = this.#topic(topic)
    counts.published += events
    counts.publishing.add(ms)
  }

  delivered(topic: string, events: readonly DeliveredEvent[], subscriptions: number): void {
    const counts = this.#topic(topic)
    counts.live += events.length * subscriptions
    const now = this.#around.now()
    for (const { at } of events) counts.delivery.add(now - at, subscriptions)
  }

  replayed(topic: string, events: readonly DeliveredEvent[]): void {
    this.#topic(topic).replayed += events.length
  }

  caughtUp(topic: string): void {
    this.#topic(topic).caughtUp += 1
  }

  sent(queue: string, jobs: number): void {
    this.#queue(queue).sent += jobs
    const watched = this.watched.get(queue)
    if (watched !== undefined) watched.sent += jobs
  }

  fired(queue: string, jobs: number, missed: number): void {
    const counts = this.#queue(queue)
    counts.fired += jobs
    counts.missed += missed
  }

  started(queue: string, jobs: readonly { readonly dueAt: number; readonly deliveries: number }[]): void {
    const { waiting } = this.#queue(queue)
    const watched = this.watched.get(queue)
    const now = this.#around.now()
    for (const { dueAt, deliveries } of jobs) {
      if (deliveries > 1) continue
      waiting.add(now - dueAt)
      watched?.waiting.add(now - dueAt)
    }
  }

  settled(queue: string, as: Ending): void {
    this.#queue(queue).settled[as] += 1
    const watched = this.watched.get(queue)
    if (watched === undefined) return
    if (as === 'done') watched.done += 1
    else if (as !== 'release') watched.failed += 1
  }

  ran(queue: string, as: Ending, ms: number | undefined): void {
    if (as === 'release' || ms === undefined) return
    this.#queue(queue).running.add(ms)
    this.watched.get(queue)?.running.add(ms)
  }

  lapsed(queue: string, jobs: number): void {
    this.#queue(queue).lapsed += jobs
    const watched = this.watched.get(queue)
    if (watched !== undefined) watched.failed += jobs
  }

  happened(event: TelemetryEvent): void {
    if (event.kind === 'gap') this.#topic(event.topic).gaps[event.reason] += 1
    else if (event.kind === 'breakerTripped') this.#queue(event.queue).tripped += 1
    else if (event.kind === 'idsForgotten') this.idsForgotten += event.ids
    else if (event.kind === 'refused') this.refused.set(event.code, (this.refused.get(event.code) ?? 0) + 1)
  }

  #topic(topic: string): TopicCounts {
    return this.topics.of(this.#around.topicPattern(topic))
  }

  #queue(queue: string): QueueCounts {
    return this.queues.of(this.#around.queuePattern(queue))
  }
}
