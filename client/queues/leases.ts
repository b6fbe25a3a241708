/** Watches a worker's leases: asks for more time at a third of each, together where they are near, and tells what has run out. */

import { LONGEST_MS } from '../connection/timer.ts'
import type { Lease, LeasedJob } from './leasedJob.ts'
import { LeasedJob as Leased } from './leasedJob.ts'

/** Leases within this part of their time are renewed together. */
const TOGETHER = 1 / 12
const MIN_WAIT_MS = 5

export interface RenewalOwner<T> {
  /** All of them; only those alive are looked at. */
  held(): Iterable<LeasedJob<T>>
  renew(job: LeasedJob<T>): void
  expired(job: LeasedJob<T>): void
}

export class Renewal<T> {
  readonly #owner: RenewalOwner<T>
  #timer: ReturnType<typeof setTimeout> | undefined
  #dueAt = Infinity

  constructor(owner: RenewalOwner<T>) {
    this.#owner = owner
  }

  watch(lease: Lease): void {
    const dueAt = Math.min(lease.renewAt, lease.endsAt)
    if (dueAt >= this.#dueAt) return
    clearTimeout(this.#timer)
    this.#dueAt = dueAt
    const waitMs = Math.max(MIN_WAIT_MS, dueAt - performance.now())
    this.#timer = setTimeout(() => this.#look(), Math.min(waitMs, LONGEST_MS))
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  #look(): void {
    this.#dueAt = Infinity
    const now = performance.now()
    let next: Lease | undefined
    for (const job of this.#owner.held()) {
      const lease = Leased.leaseOf(job)
      if (!lease.live) continue
      if (now >= lease.endsAt) this.#owner.expired(job)
      else {
        if (lease.renewAt <= now + lease.leaseMs * TOGETHER) this.#owner.renew(job)
        if (next === undefined || dueOf(lease) < dueOf(next)) next = lease
      }
    }
    if (next !== undefined) this.watch(next)
  }
}

function dueOf({ renewAt, endsAt }: Lease): number {
  return Math.min(renewAt, endsAt)
}
