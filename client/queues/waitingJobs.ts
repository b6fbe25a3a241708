/** Jobs that wait in the worker for its handler, first in, first out. */

import { LeasedJob } from './leasedJob.ts'

export class WaitingJobs<T> {
  #jobs: LeasedJob<T>[] = []
  #next = 0

  push(job: LeasedJob<T>): void {
    this.#jobs.push(job)
  }

  /** The next whose lease still stands, at `now`: what has lapsed is left to the watch of leases. */
  take(now: number): LeasedJob<T> | undefined {
    while (this.#next < this.#jobs.length) {
      const job = this.#jobs[this.#next++]
      if (this.#next > 1_024) {
        this.#jobs = this.#jobs.slice(this.#next)
        this.#next = 0
      }
      if (job === undefined) continue
      const { stage, endsAt } = LeasedJob.leaseOf(job)
      if (stage === 'waiting' && now < endsAt) return job
    }
    this.#jobs = []
    this.#next = 0
    return undefined
  }
}
