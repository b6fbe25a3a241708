/** One consumer of a queue on this node: its credit, and the leases it has as far as this node knows. */

import { RepriseError } from '../../../../shared/errors.ts'
import type { Claim, HeldJob, KeptLease, Owner, Settlement } from '../../../store/contract/store.ts'
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
  /** When this node delivered it, by this machine's steady clock; 0 where it did not. */
  readonly startedAt: number
  /** It was extended up to there: who asked for that is not silent. */
  isAtCap: boolean
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
  /** By this node's clock. */
  readonly since = Date.now()
  session = 0
  credit: number
  leaseMs: number
  /** It has asked for this time itself; otherwise the queue's setting holds, as it is when it consumes. */
  askedLeaseMs: number | undefined
  /** Sessions that it is beginning: word of a new one may be of its own. */
  attaching = 0
  /** Counts what it settled and lost. */
  freed = 0
  /** It was given nothing although there is something, when it had freed so much. */
  #stuckAt = -1
  /** It is leaving, or another took its place. */
  over = false
  /** A claim had no answer: the store may have given it jobs that it does not know of. */
  doubtful = false
  /** Jobs that are being claimed for it. */
  asked = 0
  readonly #held = new Map<string, Held>()
  /** On their way to be settled: their places are free, as what is asked of the store next comes behind that. */
  readonly #settling = new Map<string, Held>()
  /** Leases that ended while a session was being begun: the store may have counted them before. */
  readonly #ended = new Set<string>()
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
    return this.#held.size
  }

  /** No use in asking again before it has settled something. */
  get stuck(): boolean {
    return this.#stuckAt === this.freed
  }

  /** Of a claim that was made when it had `freed` so much. */
  gotNothing(freed: number): void {
    this.#stuckAt = freed
  }

  /** What it could not be given may have changed. */
  unstick(): void {
    this.#stuckAt = -1
  }

  /** Whether it holds this job under this lease. */
  has({ id, lease }: Leased): boolean {
    return (this.#held.get(lease) ?? this.#settling.get(lease))?.id === id
  }

  /** For how long it has had a lease that this node delivered, in milliseconds. */
  heldFor(lease: string): number | undefined {
    const { startedAt = 0 } = this.#held.get(lease) ?? this.#settling.get(lease) ?? {}
    return startedAt === 0 ? undefined : performance.now() - startedAt
  }

  /** For how long it has had the job that it has longest, of those that this node delivered. */
  get longestMs(): number | undefined {
    let first = Number.POSITIVE_INFINITY
    for (const { startedAt } of this.#held.values()) if (startedAt > 0) first = Math.min(first, startedAt)
    return first < Number.POSITIVE_INFINITY ? performance.now() - first : undefined
  }

  /** Its leases, as far as this node knows. */
  get kept(): KeptLease[] {
    return [...this.#held, ...this.#settling].map(([lease, { id, expiresAt }]) => ({ id, lease, expiresAt }))
  }

  /** It had it before; how long it can have it the store knows. */
  took({ id, lease, expiresAt }: KeptLease): void {
    this.#took(lease, { id, capAt: Number.POSITIVE_INFINITY, expiresAt, startedAt: 0, isAtCap: false })
  }

  /** Under these bounds of the claim, and what the job says itself. */
  delivered(job: HeldJob, { leaseMs, capMs }: Pick<Claim, 'leaseMs' | 'capMs'>, startedAt: number): void {
    const { id, lease, expiresAt, runMs = capMs } = job
    const mostMs = Math.min(runMs, capMs)
    const capAt = expiresAt + mostMs - Math.min(leaseMs, mostMs)
    // One that is lent up to its cap is not at it: its consumer has to be heard of all the same.
    this.#took(lease, { id, capAt, expiresAt, startedAt, isAtCap: false })
  }

  #took(lease: string, held: Held): void {
    this.#held.set(lease, held)
    this.#soonest = Math.min(this.#soonest, held.expiresAt)
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

  /** As it settles: who takes no more gives back to where the jobs were, as who leaves does. */
  settling(settlements: readonly Settlement[]): readonly Settlement[] {
    if (this.credit > 0) return settlements
    return settlements.map((one) => (one.as === 'release' ? { ...one, inPlace: true } : one))
  }

  /** These leases are on their way to be settled. Answers those that it has, and of which this was not known. */
  giving(leases: readonly Leased[]): string[] {
    const found: string[] = []
    for (const { id, lease } of leases) {
      const held = this.#held.get(lease)
      if (held?.id !== id) continue
      this.#held.delete(lease)
      this.#settling.set(lease, held)
      found.push(lease)
    }
    this.freed += found.length
    return found
  }

  /** They could not be settled. */
  keeps(leases: readonly string[]): void {
    for (const lease of leases) {
      const held = this.#settling.get(lease)
      if (held === undefined) continue
      this.#settling.delete(lease)
      this.#held.set(lease, held)
      this.#soonest = Math.min(this.#soonest, held.expiresAt)
    }
  }

  /** `false` where it did not have the lease, or its place was free already. */
  gave(lease: string): boolean {
    this.#settling.delete(lease)
    if (!this.#held.delete(lease)) return false
    this.freed += 1
    return true
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

  /** Forgets older leases of jobs that it was handed again, without those on their way to be settled. */
  replaced(ids: ReadonlySet<string>): string[] {
    const found: string[] = []
    for (const [lease, { id }] of this.#held) {
      if (!ids.has(id)) continue
      this.gave(lease)
      found.push(id)
    }
    return found
  }

  /** Has exactly these. */
  attached(session: number, held: readonly KeptLease[]): void {
    this.session = session
    this.freed += 1
    this.#held.clear()
    this.#settling.clear()
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
    for (const { id, expiresAt, isAtCap } of this.#held.values()) {
      if (isAtCap) continue
      if (expiresAt <= by && ids?.has(id) !== false) return true
      soonest = Math.min(soonest, expiresAt)
    }
    if (ids === undefined) this.#soonest = soonest
    return false
  }

  /** Its leases of these jobs, without those on their way to be settled. */
  leasesOf(ids: ReadonlySet<string>): Leased[] {
    return [...this.#held].flatMap(([lease, { id }]) => (ids.has(id) ? [{ id, lease }] : []))
  }

  /** Leases that should have lapsed by this time, and of which nothing was heard. */
  silent(before: number): Leased[] {
    return [...this.#held].flatMap(([lease, { id, expiresAt }]) => (expiresAt < before ? [{ id, lease }] : []))
  }
}

/** Of jobs that their consumer never saw: to where they were. */
export function givenBack(leases: readonly Leased[]): Settlement[] {
  return leases.map(({ id, lease }) => ({ id, lease, as: 'release', inPlace: true }))
}

export function connectionGone(): RepriseError {
  return new RepriseError('unavailable', 'the connection is gone')
}

/** A round of deliveries does not wait for one consumer: it is asked, and attached once it is heard of. */
export function notHeard(): Promise<never> {
  return Promise.reject(new RepriseError('unavailable', 'nothing was heard of the consumer since the store came back'))
}

export function takenOver(): RepriseError {
  return new RepriseError('taken_over', 'a newer consumer of this client took over')
}
