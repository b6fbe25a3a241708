/** A job in a worker's hands: what the handler sees of it, and what the worker knows of its lease. */

import { RepriseError } from '../../shared/errors.ts'
import type { Headers } from '../../shared/protocol.ts'
import type { Job } from '../../shared/queues.ts'
import type { HeldJob } from './api.ts'

type Extend<T> = (lease: Lease<T>, leaseMs: number | undefined) => Promise<boolean>

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
  startedAt = 0
  /** The hub has said that it is lost, or it was given back: nothing but a result is worth telling. */
  gone = false
  /** It came late: to be begun when the hub has said that it is still ours. */
  doubtful = false
  readonly extend: Extend<T>
  #abort: AbortController | undefined
  #ended: RepriseError | undefined

  constructor(job: Job<T>, leaseMs: number, now: number, extend: Extend<T>) {
    this.job = new LeasedJob(job, this)
    this.leaseMs = leaseMs
    this.endsAt = now + leaseMs
    this.renewAt = now + leaseMs / 3
    this.extend = extend
  }

  /** Granted for `leaseMs` from `at` on; or with `capAt` until then by the hub's clock, which no renewal changes. */
  renewed(leaseMs: number, at: number, capAt?: number): void {
    const { job, endsAt } = this
    if (capAt === undefined) {
      this.leaseMs = leaseMs
      this.endsAt = at + leaseMs
      this.renewAt = at + leaseMs / 3
    } else {
      this.endsAt = Math.min(endsAt + capAt - job.expiresAt, at + leaseMs)
      this.renewAt = Infinity
    }
    job.expiresAt = capAt ?? job.expiresAt + this.endsAt - endsAt
  }

  /** What was asked for was refused: it goes on as it was. */
  kept(): this {
    this.renewAt = this.endsAt - (this.leaseMs * 2) / 3
    return this
  }

  /** When it is to be looked at. */
  get dueAt(): number {
    return Math.min(this.renewAt, this.endsAt)
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
    this.#lease = lease
  }

  get signal(): AbortSignal {
    return this.#lease.signal
  }

  get extend(): (leaseMs?: number) => Promise<boolean> {
    return (leaseMs) => this.#lease.extend(this.#lease, leaseMs)
  }
}

export function lostError(): RepriseError {
  return new RepriseError('conflict', 'the lease was lost: another consumer may have the job')
}

export function closedError(): RepriseError {
  return new RepriseError('unavailable', 'the worker was closed')
}

export function checkLease(leaseMs: number): void {
  if (Number.isFinite(leaseMs) && leaseMs > 0) return
  throw new RepriseError('bad_request', 'a lease is a number of milliseconds above 0')
}
