/**
 * Fires the schedules that are due. Every node of a hub does: the store lets each due time count once. The store's clock
 * says what is due; this node's timer only says when to look, and nobody looks while there is no schedule.
 */

import { hasCode, messageOf } from '../../../../shared/errors.ts'
import type { Limits } from '../../../../shared/protocol.ts'
import type { Store, StoredSchedule } from '../../../store/contract/store.ts'
import type { StoreClock } from '../../clock.ts'
import type { Telemetry } from '../../telemetry.ts'
import { itsTurn, PAGE_WEIGHT } from '../../turns.ts'
import { type HubQueueSettings, takenOf } from '../settings.ts'
import { jobsOf } from './jobs.ts'
import { fire, LATE_MS, readSpec, writeSpec } from './spec.ts'

export interface SchedulerContext {
  readonly store: Store
  readonly settings: HubQueueSettings
  readonly limits: Limits
  readonly clock: Pick<StoreClock, 'now'>
  readonly telemetry: Telemetry
}

/** Schedules of one look. */
const PART = 100
/** Jobs of one step of a schedule that makes up for what was missed, and bytes of them. */
const MOST_JOBS = 100
const MOST_BYTES = 1_048_576
/** A clock may be set: a look is never further away than this. */
const LONGEST_MS = 30_000
/** After a failure, such as a full queue. */
const RETRY_MS = 1_000
/** Where others were quicker, those look first the next time too, and this node only whether they did. */
const BEHIND_MS = 50

export class Scheduler {
  readonly #context: SchedulerContext
  /** Queues that take nothing at the moment, and until when they are left alone. */
  readonly #stuck = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #again = false
  #behind = false
  #closed = false
  #unwatch = () => {}

  constructor(context: SchedulerContext) {
    this.#context = context
  }

  start(): void {
    this.#unwatch = this.#context.store.queues.watchSchedules(() => this.look())
    this.look()
  }

  /** Resolves when nothing is under way. */
  async stop(): Promise<void> {
    this.#closed = true
    this.#unwatch()
    clearTimeout(this.#timer)
    await this.#running
  }

  look(): void {
    clearTimeout(this.#timer)
    if (this.#closed) return
    if (this.#running !== undefined) {
      this.#again = true
      return
    }
    this.#again = false
    this.#running = this.#fireAll()
      .catch((error: unknown) => {
        if (!this.#closed) this.#context.telemetry.failed('firing the schedules', error)
        return RETRY_MS
      })
      .then((waitMs) => {
        this.#running = undefined
        if (this.#again) this.look()
        else if (waitMs !== undefined) this.#lookIn(waitMs)
      })
  }

  #lookIn(ms: number): void {
    if (this.#closed) return
    this.#timer = setTimeout(() => this.look(), Math.min(ms, LONGEST_MS))
    this.#timer.unref()
  }

  /** Answers when to look again; `undefined`: when a schedule is put. */
  async #fireAll(): Promise<number | undefined> {
    const { store, clock } = this.#context
    for (;;) {
      const without = this.#stuckNow()
      const { now, due, nextAt } = await store.queues.dueSchedules(PART, without)
      if (due.length === 0 || this.#closed) {
        if (without.size === 0) this.#stuck.clear()
        const waits = [...(this.#stuck.size > 0 ? [RETRY_MS] : [])]
        // Up to the next millisecond, so that it is not a look too early.
        if (nextAt !== undefined)
          waits.push(Math.max(1, Math.ceil(nextAt - clock.now) + (this.#behind ? behindMs() : 0)))
        return waits.length === 0 ? undefined : Math.min(...waits)
      }
      const outcomes = await Promise.all(due.map(({ queue, schedule }) => this.#fire(queue, schedule, now)))
      if (outcomes.includes('fired')) this.#behind = false
      else if (outcomes.includes('taken')) {
        this.#behind = true
        return behindMs()
      }
      await itsTurn(due.length)
    }
  }

  /** `taken`: another node was quicker, or it was changed. */
  async #fire(queue: string, schedule: StoredSchedule, now: number): Promise<'fired' | 'taken' | 'failed'> {
    // There may be a thousand due times to be counted.
    if (now - (schedule.nextAt ?? now) > LATE_MS) await itsTurn(2 * PAGE_WEIGHT)
    if (this.#closed) return 'taken'
    const bytes = schedule.body?.json.length ?? 0
    const most = Math.max(1, Math.min(MOST_JOBS, Math.floor(MOST_BYTES / Math.max(1, bytes))))
    try {
      return await this.#fireWith(queue, schedule, now, most).catch((error: unknown) => {
        // One finds room where a hundred do not.
        if (!hasCode(error, 'too_many') || most === 1) throw error
        return this.#fireWith(queue, schedule, now, 1)
      })
    } catch (error) {
      if (hasCode(error, 'conflict')) return 'taken'
      const isNew = !this.#stuck.has(queue)
      this.#stuck.set(queue, performance.now() + RETRY_MS)
      const details = { queue, schedule: schedule.name, reason: messageOf(error) }
      if (isNew && !this.#closed) this.#context.telemetry.noticed('a schedule cannot add its jobs', details)
      return 'failed'
    }
  }

  async #fireWith(queue: string, schedule: StoredSchedule, now: number, most: number): Promise<'fired'> {
    const { store, settings, limits, telemetry } = this.#context
    const { name, version, body, nextAt = now } = schedule
    const own = settings.forQueue(queue)
    const limit = { jobs: own.maxJobs, bytes: own.maxBytes }
    if (body === undefined) {
      // It is over until somebody puts it anew.
      const { spec } = schedule
      await store.queues.fireSchedule(queue, name, { version, spec, enqueue: { subject: '', drafts: [], limit } })
      telemetry.noticed('the draft of a schedule is damaged: it is over until it is put anew', {
        queue,
        schedule: name,
      })
      return 'fired'
    }
    const { times, missed, spec, ...next } = fire(readSpec(schedule), nextAt, now, most)
    const { ids } = await store.queues.fireSchedule(queue, name, {
      version,
      spec: writeSpec(spec),
      ...next,
      enqueue: {
        subject: spec.subject,
        drafts: jobsOf(body, spec, { queue, name, limits, settings: own }, times, now),
        ...takenOf(own),
      },
    })
    this.#stuck.delete(queue)
    telemetry.meter.sent(queue, ids.length)
    telemetry.meter.fired(queue, ids.length, missed)
    return 'fired'
  }

  /** Those that are not to be tried yet. */
  #stuckNow(): ReadonlySet<string> {
    const time = performance.now()
    return new Set([...this.#stuck].flatMap(([queue, until]) => (until > time ? [queue] : [])))
  }
}

function behindMs(): number {
  return BEHIND_MS * (1 + Math.random())
}
