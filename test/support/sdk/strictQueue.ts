/** A queue with one consumer and the store's rules for leases, that notes what a consumer should never do. */

import type { ConsumeOptions, Job, KeptLease, Settled, Settlement } from '../../../shared/queues.ts'
import { jobOf } from './workerDesk.ts'

interface Held {
  readonly id: string
  readonly capAt: number
  endsAt: number
}

export class StrictQueue {
  /** What the consumer did wrong. */
  readonly faults: string[] = []
  readonly #leaseMs: number
  #ready: string[] = []
  /** How long a run of a job may take, of those that say so. */
  readonly #runMs = new Map<string, number>()
  readonly #held = new Map<string, Held>()
  /** Settled leases, and as what. */
  readonly #settled = new Map<string, string>()
  /** The newest lease of each job. */
  readonly #newest = new Map<string, string>()
  #left = 0
  #credit = 0
  #leases = 0

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs
  }

  /** Jobs that are not done. */
  get left(): number {
    return this.#left
  }

  send(id: string, runMs?: number): void {
    if (runMs !== undefined) this.#runMs.set(id, runMs)
    this.#left++
    this.#ready.push(id)
  }

  consume({ credit, holding }: ConsumeOptions): KeptLease[] {
    this.#credit = credit
    if (holding !== undefined) {
      for (const [lease, held] of this.#held) if (!holding.includes(lease)) this.#back(lease, held)
    }
    return [...this.#held].map(([lease, { id, endsAt }]) => ({ id, lease, expiresAt: endsAt }))
  }

  cancel(): void {
    this.#credit = 0
  }

  /** The connection is lost: its leases stay. */
  gone(): void {
    this.#credit = 0
  }

  claim(): Job[] {
    const jobs: Job[] = []
    while (this.#held.size < this.#credit && this.#ready.length > 0) {
      const id = this.#ready.shift() ?? ''
      const lease = `lease ${++this.#leases}`
      const runMs = this.#runMs.get(id)
      const capAt = performance.now() + (runMs ?? Number.POSITIVE_INFINITY)
      const endsAt = Math.min(performance.now() + this.#leaseMs, capAt)
      this.#held.set(lease, { id, capAt, endsAt })
      this.#newest.set(id, lease)
      jobs.push(jobOf(id, { lease, expiresAt: endsAt, ...(runMs !== undefined && { runMs }) }))
    }
    return jobs
  }

  settle(settlements: readonly Settlement[]): Settled[] {
    return settlements.map((one) => this.#settle(one))
  }

  lapse(tell: (ids: string[]) => void): void {
    const ids: string[] = []
    for (const [lease, held] of this.#held) {
      if (held.endsAt > performance.now()) continue
      this.#back(lease, held)
      ids.push(held.id)
    }
    if (ids.length > 0) tell(ids)
  }

  #settle(one: Settlement): Settled {
    const { id, lease, as } = one
    const before = this.#settled.get(lease)
    if (as !== 'extend' && before !== undefined) {
      if (before !== as) this.faults.push(`${id} was ${before} under ${lease}, then ${as}`)
      return 'ok'
    }
    if (this.#newest.get(id) !== lease || before !== undefined) return 'lost'
    if (as === 'extend') {
      const held = this.#held.get(lease)
      if (held === undefined) return 'lost'
      const asked = performance.now() + one.leaseMs
      held.endsAt = Math.min(asked, held.capAt)
      return held.endsAt < asked ? { expiresAt: held.endsAt } : 'ok'
    }
    this.#settled.set(lease, as)
    this.#held.delete(lease)
    this.#ready = this.#ready.filter((ready) => ready !== id)
    if (as === 'done') this.#left--
    else this.#ready.push(id)
    return 'ok'
  }

  #back(lease: string, { id }: Held): void {
    this.#held.delete(lease)
    this.#ready.push(id)
  }
}
