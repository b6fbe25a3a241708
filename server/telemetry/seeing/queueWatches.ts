/**
 * How single queues do, while somebody looks at them: each is counted by its name from the first question on, and forgotten
 * a while after the last one.
 */

import { QUEUE_SERIES, type QueueMinute, type QueueSeen, type QueueTimes } from '../../../shared/console/protocol.ts'
import { RepriseError } from '../../../shared/errors.ts'
import { type Counts, WatchedCounts } from '../counts.ts'
import { FINE, quantileMs } from '../histogram.ts'
import { rounded } from './history.ts'

/** Queues that are looked at together. */
const MAX_QUEUES = 50
/** Ticks since the last question. */
const KEPT_TICKS = 60
/** Points that are kept, one a tick. */
const MAX_POINTS = 300
/** Numbers of the last minute begin at a mark, and so many ticks lie between two. */
const MARK_TICKS = 10
const MARKS = 7

interface Mark {
  readonly at: number
  readonly sent: number
  readonly done: number
  readonly failed: number
  readonly waiting: readonly number[]
  readonly running: readonly number[]
}

interface Watch {
  readonly since: number
  readonly counts: WatchedCounts
  /** The oldest first. */
  readonly marks: Mark[]
  readonly points: (readonly number[])[]
  last: Mark
  ticks: number
  askedAtTick: number
  /** By somebody who sees the whole hub. */
  wholeAskedAtTick: number
}

export class QueueWatches {
  readonly #counts: Counts
  readonly #watches = new Map<string, Watch>()

  constructor(counts: Counts) {
    this.#counts = counts
  }

  clear(): void {
    for (const queue of this.#watches.keys()) this.#forget(queue)
  }

  /** Points after this time. `seesAll`: whoever asks sees the whole hub. Throws `too_many`. */
  look(queue: string, after: number, now: number, seesAll: boolean): Omit<QueueSeen, 'node'> {
    const watch = this.#watches.get(queue) ?? this.#begin(queue, now, seesAll)
    watch.askedAtTick = watch.ticks
    if (seesAll) watch.wholeAskedAtTick = watch.ticks
    const points = watch.points.filter(([at = 0]) => at > after)
    return { since: watch.since, series: QUEUE_SERIES, points, minute: minuteOf(watch) }
  }

  /** Once a second. */
  tick(now: number): void {
    for (const [queue, watch] of this.#watches) {
      watch.ticks += 1
      if (watch.ticks - watch.askedAtTick > KEPT_TICKS) {
        this.#forget(queue)
        continue
      }
      const mark = markOf(watch.counts, now)
      watch.points.push([now, ...pointOf(watch.last, mark)])
      if (watch.points.length > MAX_POINTS) watch.points.shift()
      watch.last = mark
      if (watch.ticks % MARK_TICKS > 0) continue
      watch.marks.push(mark)
      if (watch.marks.length > MARKS) watch.marks.shift()
    }
  }

  #begin(queue: string, now: number, seesAll: boolean): Watch {
    if (this.#watches.size >= MAX_QUEUES && !(seesAll && this.#makeRoom())) {
      throw new RepriseError('too_many', `${MAX_QUEUES} queues are looked at already; one is free a minute after`, {
        retryAfterMs: KEPT_TICKS * 1_000,
      })
    }
    const counts = new WatchedCounts()
    this.#counts.watched.set(queue, counts)
    const mark = markOf(counts, now)
    const asked = { askedAtTick: 0, wholeAskedAtTick: Number.NEGATIVE_INFINITY }
    const watch = { since: now, counts, marks: [mark], points: [], last: mark, ticks: 0, ...asked }
    this.#watches.set(queue, watch)
    return watch
  }

  /** Those who see a part of the hub do not keep others from looking: a queue that only they look at is forgotten. */
  #makeRoom(): boolean {
    for (const [queue, { ticks, wholeAskedAtTick }] of this.#watches) {
      if (ticks - wholeAskedAtTick <= KEPT_TICKS) continue
      this.#forget(queue)
      return true
    }
    return false
  }

  #forget(queue: string): void {
    this.#watches.delete(queue)
    this.#counts.watched.delete(queue)
  }
}

function markOf({ sent, done, failed, waiting, running }: WatchedCounts, at: number): Mark {
  return { at, sent, done, failed, waiting: [...waiting.counts], running: [...running.counts] }
}

/** Behind the time, in the order of the series. */
function pointOf(before: Mark, now: Mark): number[] {
  const [wait, run] = [timesBetween(before, now, 'waiting'), timesBetween(before, now, 'running')]
  return [...ratesBetween(before, now), wait.p50, wait.p99, run.p50, run.p99]
}

function ratesBetween(before: Mark, now: Mark): [sent: number, done: number, failed: number] {
  const seconds = Math.max(0.001, (now.at - before.at) / 1_000)
  const rate = (name: 'sent' | 'done' | 'failed'): number => (now[name] - before[name]) / seconds
  return [rounded(rate('sent')), rounded(rate('done')), rounded(rate('failed'))]
}

function timesBetween(before: Mark, now: Mark, what: 'waiting' | 'running'): QueueTimes {
  const counts = now[what].map((count, i) => count - (before[what][i] ?? 0))
  const jobs = counts.reduce((sum, count) => sum + count, 0)
  const quantile = (part: number): number => rounded(quantileMs(FINE, counts, part))
  return { jobs, p50: quantile(0.5), p99: quantile(0.99) }
}

function minuteOf({ counts, marks, last }: Watch): QueueMinute {
  const before = marks[0] ?? last
  // Of less than a second no rate can be told.
  const now = markOf(counts, Math.max(last.at, before.at + 1_000))
  const [sent, done, failed] = ratesBetween(before, now)
  return { sent, done, failed, wait: timesBetween(before, now, 'waiting'), run: timesBetween(before, now, 'running') }
}
