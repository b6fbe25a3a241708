/** Watches a worker's leases: asks for more time at a third of each, together where they are near, and tells what has run out. */

import { LONGEST_MS } from '../../connection/timer.ts'
import type { Lease } from './leasedJob.ts'

/** Leases within this part of their time are renewed together. */
const TOGETHER = 1 / 12
const MIN_WAIT_MS = 5

export interface RenewalOwner<T> {
  /** All of them; only those alive are looked at. */
  held(): Iterable<Lease<T>>
  renew(lease: Lease<T>): void
  expired(lease: Lease<T>): void
}

export class Renewal<T> {
  readonly #owner: RenewalOwner<T>
  #timer: ReturnType<typeof setTimeout> | undefined
  #dueAt = Infinity

  constructor(owner: RenewalOwner<T>) {
    this.#owner = owner
  }

  watch(lease: Lease<T>): void {
    const { dueAt } = lease
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
    let next: Lease<T> | undefined
    for (const lease of this.#owner.held()) {
      if (!lease.live) continue
      if (now >= lease.overAt) this.#owner.expired(lease)
      else {
        if (lease.renewAt <= now + lease.leaseMs * TOGETHER) this.#owner.renew(lease)
        if (next === undefined || lease.dueAt < next.dueAt) next = lease
      }
    }
    if (next !== undefined) this.watch(next)
  }
}
