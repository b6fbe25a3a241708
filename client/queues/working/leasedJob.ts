/** A job in a worker's hands: what the handler sees of it, and what the worker knows of its lease. */

import { RepriseError } from '../../../shared/errors.ts'
import type { Headers } from '../../../shared/protocol.ts'
import { type Job, type JobChild, overrunText } from '../../../shared/queues.ts'
import type { HeldJob } from '../api.ts'

/** What a handler can ask for while its job runs. */
export interface Hands<T> {
  extend(lease: Lease<T>, leaseMs: number | undefined): Promise<boolean>
  readonly reports: {
    progress(lease: Lease<T>, value: unknown): Promise<boolean>
    log(lease: Lease<T>, text: string): Promise<boolean>
  }
}

/** The hub counts from the delivery: what it tells may come so much earlier than what is counted here. */
const NEAR = 0.1
const NEAR_MS = 1_000
/** Of how long a run may take, what a job may lie here before it begins; then it is given back. */
const LATEST_BEGIN = 0.1

/** `waiting` for the handler, `running`, `settling` until the hub has answered; the rest is over for the worker. */
export type Stage = 'waiting' | 'running' | 'settling' | 'lost' | 'over'

/** The worker's side of a job; apart, so that a handler that prints its job sees the job alone. */
export class Lease<T> {
  readonly job: LeasedJob<T>
  stage: Stage = 'waiting'
  leaseMs: number
  /** As `performance.now()` tells it. */
  endsAt: number
  /** `Infinity` while a renewal is under way. */
  renewAt: number
  /** What that one asks for. */
  askingMs = 0
  /** What the handler has asked for. */
  wantedMs: number | undefined
  startedAt = 0
  /** The hub has said that it is lost, or it was given back: nothing but a result is worth telling. */
  gone = false
  /** It ran for longer than its sender allows; whatever comes of it now does not count. */
  overran = false
  /** It came late: to be begun when the hub has said that it is still ours. */
  doubtful = false
  readonly hands: Hands<T>
  /** When it ends for good, as its sender wants it. */
  readonly #runEndsAt: number
  readonly #latestBegin: number
  #abort: AbortController | undefined
  #ended: RepriseError | undefined

  constructor(job: Job<T>, leaseMs: number, now: number, hands: Hands<T>) {
    this.job = new LeasedJob(job, this)
    this.leaseMs = leaseMs
    const { runMs = Infinity } = job
    this.#runEndsAt = now + runMs
    this.#latestBegin = now + runMs * LATEST_BEGIN
    this.endsAt = Math.min(now + leaseMs, this.#runEndsAt)
    this.renewAt = this.#renewalAfter(now)
    this.hands = hands
  }

  /** At a third of it; never where no renewal makes it longer. */
  #renewalAfter(now: number): number {
    return this.endsAt === this.#runEndsAt ? Infinity : now + this.leaseMs / 3
  }

  /** Granted for `leaseMs` from `at` on; or with `capAt` until then by the hub's clock, which no renewal changes. */
  renewed(leaseMs: number, at: number, capAt?: number): this {
    const { job, endsAt } = this
    if (capAt === undefined) {
      this.leaseMs = leaseMs
      this.endsAt = Math.min(at + leaseMs, this.#runEndsAt)
      this.renewAt = this.#renewalAfter(at)
    } else {
      this.endsAt = Math.min(endsAt + capAt - job.expiresAt, at + leaseMs)
      this.renewAt = Infinity
    }
    job.expiresAt = capAt ?? job.expiresAt + this.endsAt - endsAt
    return this
  }

  /** What was asked for was refused: it goes on as it was. */
  kept(): this {
    this.renewAt = this.endsAt - (this.leaseMs * 2) / 3
    return this
  }

  /** When it is to be looked at. */
  get dueAt(): number {
    return Math.min(this.renewAt, this.overAt)
  }

  /** When nothing more can come of it: its end, or while it waits the last moment at which it may begin. */
  get overAt(): number {
    return this.stage === 'waiting' ? Math.min(this.endsAt, this.#latestBegin) : this.endsAt
  }

  /** Whether its time is over because of its sender's `runMs`, or as good as over. */
  isOverrun(now: number): boolean {
    const { runMs } = this.job
    return runMs !== undefined && now >= this.#runEndsAt - Math.min(runMs * NEAR, NEAR_MS)
  }

  get live(): boolean {
    return this.stage === 'waiting' || this.stage === 'running'
  }

  /** The handler works in vain from here on, whether it has asked for the signal yet or not. */
  abort(error: RepriseError): void {
    this.#ended ??= error
    this.#abort?.abort(error)
  }

  // Made when asked for: most handlers never do.
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController()
      if (this.#ended !== undefined) this.#abort.abort(this.#ended)
    }
    return this.#abort.signal
  }
}

export class LeasedJob<T> implements HeldJob<T> {
  readonly queue: string
  readonly id: string
  readonly lease: string
  readonly attempts: number
  readonly deliveries: number
  readonly sentAt: number
  /** By the hub's clock; moves with each renewal. */
  expiresAt: number
  readonly data: T
  declare readonly key?: string
  declare readonly headers?: Headers
  declare readonly replyBy?: number
  declare readonly runMs?: number
  declare readonly children?: readonly JobChild[]
  readonly #lease: Lease<T>

  constructor(job: Job<T>, lease: Lease<T>) {
    this.queue = job.queue
    this.id = job.id
    this.lease = job.lease
    this.attempts = job.attempts
    this.deliveries = job.deliveries
    this.sentAt = job.sentAt
    this.expiresAt = job.expiresAt
    this.data = job.data
    if (job.key !== undefined) this.key = job.key
    if (job.headers !== undefined) this.headers = job.headers
    if (job.replyBy !== undefined) this.replyBy = job.replyBy
    if (job.runMs !== undefined) this.runMs = job.runMs
    if (job.children !== undefined) this.children = job.children
    this.#lease = lease
  }

  get signal(): AbortSignal {
    return this.#lease.signal
  }

  get extend(): (leaseMs?: number) => Promise<boolean> {
    return (leaseMs) => this.#lease.hands.extend(this.#lease, leaseMs)
  }

  get progress(): (value: unknown) => Promise<boolean> {
    return (value) => this.#lease.hands.reports.progress(this.#lease, value)
  }

  get log(): (text: string) => Promise<boolean> {
    return (text) => this.#lease.hands.reports.log(this.#lease, text)
  }
}

export function lostError(): RepriseError {
  return new RepriseError('conflict', 'the lease was lost: another consumer may have the job')
}

export function overrunError({ runMs = 0 }: { readonly runMs?: number }): RepriseError {
  return new RepriseError('timeout', overrunText(runMs))
}

export function closedError(): RepriseError {
  return new RepriseError('unavailable', 'the worker was closed')
}

export function checkLease(leaseMs: number): void {
  if (Number.isFinite(leaseMs) && leaseMs > 0) return
  throw new RepriseError('bad_request', 'a lease is a number of milliseconds above 0')
}
