/** Calls a worker's handler for its jobs: first in, first out, so many at a time. What comes of each is its owner's affair. */

import { Calling } from '../../calling.ts'
import { isPromiseLike } from '../../runner.ts'
import { Tally } from '../../tally.ts'
import type { HeldJob, Work } from '../api.ts'
import type { Lease } from './leasedJob.ts'
import { traced } from './tracing.ts'

export interface RunningOwner<T> {
  /** Whether another job may begin. */
  open(): boolean
  returned(lease: Lease<T>, value: unknown): void
  threw(lease: Lease<T>, error: unknown): void
}

export class Running<T> {
  readonly #calls = new Tally()
  readonly #handler: Calling<HeldJob<T>>
  readonly #most: number
  readonly #owner: RunningOwner<T>
  #waiting: Lease<T>[] = []
  #next = 0

  constructor(handler: Work<T>, most: number, owner: RunningOwner<T>) {
    this.#handler = new Calling((job) => traced(job, () => handler(job)))
    this.#most = most
    this.#owner = owner
  }

  get count(): number {
    return this.#calls.count
  }

  /** Whether this is asked in the handler. */
  get calling(): boolean {
    return this.#handler.now
  }

  add(lease: Lease<T>): void {
    this.#waiting.push(lease)
  }

  /** Begins what waits, as far as there are places. */
  pump(): void {
    while (this.count < this.#most && this.#owner.open()) {
      const lease = this.#take(performance.now())
      if (lease === undefined) return
      this.#run(lease)
    }
  }

  /** The next whose lease still stands, at `now`: what has lapsed is left to the watch of leases. */
  #take(now: number): Lease<T> | undefined {
    while (this.#next < this.#waiting.length) {
      const lease = this.#waiting[this.#next++]
      if (this.#next > 1_024) {
        this.#waiting = this.#waiting.slice(this.#next)
        this.#next = 0
      }
      if (lease?.stage === 'waiting' && now < lease.overAt) return lease
    }
    this.#waiting = []
    this.#next = 0
    return undefined
  }

  #run(lease: Lease<T>): void {
    lease.stage = 'running'
    lease.startedAt = performance.now()
    this.#calls.add()
    let result: unknown
    try {
      result = this.#handler.call(lease.job)
    } catch (error) {
      this.#owner.threw(lease, error)
      return
    }
    // Awaiting what is no promise would cost a turn for every job.
    if (isPromiseLike(result)) {
      Promise.resolve(result).then(
        (value) => {
          this.#owner.returned(lease, value)
          this.pump()
        },
        (error: unknown) => {
          this.#owner.threw(lease, error)
          this.pump()
        },
      )
    } else this.#owner.returned(lease, result)
  }

  /** One is over, or not ours any more. */
  stopped(): void {
    this.#calls.remove()
  }

  /** Resolves when those that run are over. */
  rested(): Promise<void> {
    return this.#calls.none()
  }
}
