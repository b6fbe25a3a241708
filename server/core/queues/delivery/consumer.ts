/** One consumer of a queue on this node: its credit, and the leases it has as far as this node knows. */

import type { KeptLease, Owner } from '../../../store/contract/store.ts'
import type { JobClient } from './outlet.ts'

/** A settlement with another job's id is none of this one. */
export interface Leased {
  readonly id: string
  readonly lease: string
}

interface Held {
  readonly id: string
  /** No extension reaches beyond it. */
  capAt: number
  expiresAt: number
  /** It was extended up to there: who asked for that is not silent. */
  isAtCap: boolean
  /** On its way to be settled: its place is free, as what is asked of the store next comes behind that. */
  giving: boolean
}

/** The consumer that a client is to the store. */
export function ownerOf({ caller: { subject, client }, id }: JobClient): Owner {
  return { subject, client: client ?? `#${id}` }
}

export function keyOf({ subject, client }: Owner): string {
  return `${subject}\n${client}`
}

export class Consumer {
  readonly owner: Owner
  readonly client: JobClient
  session = 0
  credit: number
  leaseMs: number
  /** It has asked for this time itself; otherwise the queue's setting holds, as it is when it consumes. */
  askedLeaseMs: number | undefined
  /** Sessions that it is beginning: word of a new one may be of its own. */
  attaching = 0
  /** It was given nothing although there is something: no use in asking again before it has settled. */
  stuck = false
  /** Counts what it settled and lost: an answer to what was asked before says nothing of whether it is stuck. */
  freed = 0
  /** It is leaving, or another took its place. */
  over = false
  /** A claim had no answer: the store may have given it jobs that it does not know of. */
  doubtful = false
  /** Jobs that are being claimed for it. */
  asked = 0
  readonly #held = new Map<string, Held>()
  /** Leases that ended while a session was being begun: the store may have counted them before. */
  readonly #ended = new Set<string>()
  #giving = 0
  /** No lease of its that could be extended is over before. */
  #soonest = Number.POSITIVE_INFINITY

  constructor(client: JobClient, credit: number, leaseMs: number) {
    this.owner = ownerOf(client)
    this.client = client
    this.credit = credit
    this.leaseMs = leaseMs
  }

  /** How many more jobs it takes. */
  get free(): number {
    return Math.max(0, this.credit - this.holds - this.asked)
  }

  /** Without those on their way to be settled. */
  get holds(): number {
    return this.#held.size - this.#giving
  }

  /** Whether it holds this job under this lease. */
  has({ id, lease }: Leased): boolean {
    return this.#held.get(lease)?.id === id
  }

  /** Its leases, as far as this node knows. */
  get kept(): KeptLease[] {
    return [...this.#held].map(([lease, { id, expiresAt }]) => ({ id, lease, expiresAt }))
  }

  took({ id, lease, expiresAt }: KeptLease, capAt = Number.POSITIVE_INFINITY): void {
    this.#held.set(lease, { id, capAt, expiresAt, isAtCap: false, giving: false })
    this.#soonest = Math.min(this.#soonest, expiresAt)
  }

  extended(lease: string, expiresAt: number): void {
    const held = this.#held.get(lease)
    if (held === undefined) return
    held.expiresAt = Math.min(expiresAt, held.capAt)
    held.isAtCap = expiresAt >= held.capAt
    this.#soonest = Math.min(this.#soonest, held.expiresAt)
  }

  /** It ends then, whatever else is asked for. */
  capped(lease: string, capAt: number): void {
    const held = this.#held.get(lease)
    if (held === undefined) return
    held.capAt = capAt
    held.expiresAt = capAt
    held.isAtCap = true
  }

  /** The lease is on its way to be settled. `false` where it does not have it, or that is known. */
  giving({ id, lease }: Leased): boolean {
    const held = this.#held.get(lease)
    if (held === undefined || held.id !== id || held.giving) return false
    held.giving = true
    this.#giving += 1
    this.stuck = false
    this.freed += 1
    return true
  }

  /** It could not be settled. */
  keeps(lease: string): void {
    const held = this.#held.get(lease)
    if (held?.giving !== true) return
    held.giving = false
    this.#giving -= 1
    this.#soonest = Math.min(this.#soonest, held.expiresAt)
  }

  /** `false` where it did not have the lease, or its place was free already. */
  gave(lease: string): boolean {
    const held = this.#held.get(lease)
    if (held === undefined) return false
    this.#held.delete(lease)
    if (held.giving) this.#giving -= 1
    this.stuck = false
    this.freed += 1
    return !held.giving
  }

  /** Forgets the leases of these jobs that lapsed by this time: it may have a job again under another one. */
  lost(ids: ReadonlySet<string>, by: number): string[] {
    const found: string[] = []
    for (const [lease, { id, expiresAt }] of this.#held) {
      if (!ids.has(id) || expiresAt > by) continue
      this.gave(lease)
      found.push(id)
    }
    return found
  }

  /** Forgets older leases of jobs that it was handed again, those on their way to be settled excepted. */
  replaced(ids: ReadonlySet<string>): string[] {
    const found: string[] = []
    for (const [lease, { id, giving }] of this.#held) {
      if (giving || !ids.has(id)) continue
      this.gave(lease)
      found.push(id)
    }
    return found
  }

  /** Has exactly these. */
  attached(session: number, held: readonly KeptLease[]): void {
    this.session = session
    this.stuck = false
    this.freed += 1
    this.#held.clear()
    this.#giving = 0
    for (const lease of held) if (!this.#ended.has(lease.lease)) this.took(lease)
    if (this.attaching <= 1) this.#ended.clear()
  }

  /** A lease was settled while a session was being begun. Answers whether a place is free now that was not. */
  ended(lease: string): boolean {
    if (this.attaching > 0) this.#ended.add(lease)
    return this.gave(lease)
  }

  /** Whether a lease of its is over that could have been extended, of these jobs or of any. */
  hasLapsed(by: number, ids?: ReadonlySet<string>): boolean {
    if (ids === undefined && by < this.#soonest) return false
    let soonest = Number.POSITIVE_INFINITY
    for (const { id, expiresAt, isAtCap, giving } of this.#held.values()) {
      if (giving || isAtCap) continue
      if (expiresAt <= by && ids?.has(id) !== false) return true
      soonest = Math.min(soonest, expiresAt)
    }
    if (ids === undefined) this.#soonest = soonest
    return false
  }

  /** Its leases of these jobs, without those on their way to be settled. */
  leasesOf(ids: ReadonlySet<string>): Leased[] {
    const found: Leased[] = []
    for (const [lease, { id, giving }] of this.#held) if (ids.has(id) && !giving) found.push({ id, lease })
    return found
  }

  /** Leases that should have lapsed by this time, and of which nothing was heard. */
  silent(before: number): Leased[] {
    const found: Leased[] = []
    for (const [lease, { id, expiresAt, giving }] of this.#held) {
      if (expiresAt < before && !giving) found.push({ id, lease })
    }
    return found
  }
}
