/** One consumer of a queue on this node: its credit, and the leases it has as far as this node knows. */

import type { KeptLease, Owner } from '../../store/contract.ts'
import type { JobClient } from './outlet.ts'

interface Held {
  readonly id: string
  expiresAt: number
}

export class Consumer {
  readonly owner: Owner
  readonly client: JobClient
  session = 0
  credit: number
  leaseMs: number
  /** It was given nothing although there is something: no use in asking again before it has settled. */
  stuck = false
  /** It is leaving, or another took its place. */
  over = false
  /** A claim had no answer: the store may have given it jobs that it does not know of. */
  doubtful = false
  readonly #held = new Map<string, Held>()

  constructor(client: JobClient, credit: number, leaseMs: number) {
    const { subject, client: name } = client.caller
    this.owner = { subject, client: name ?? `#${client.id}` }
    this.client = client
    this.credit = credit
    this.leaseMs = leaseMs
  }

  /** How many more jobs it takes. */
  get free(): number {
    return Math.max(0, this.credit - this.#held.size)
  }

  get holds(): number {
    return this.#held.size
  }

  /** Its leases, as far as this node knows. */
  get kept(): KeptLease[] {
    return [...this.#held].map(([lease, { id, expiresAt }]) => ({ id, lease, expiresAt }))
  }

  took({ id, lease, expiresAt }: KeptLease): void {
    this.#held.set(lease, { id, expiresAt })
  }

  extended(lease: string, expiresAt: number): void {
    const held = this.#held.get(lease)
    if (held !== undefined) held.expiresAt = expiresAt
  }

  /** `false` where it did not have the lease. */
  gave(lease: string): boolean {
    if (!this.#held.delete(lease)) return false
    this.stuck = false
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

  /** Has exactly these. */
  attached(session: number, held: readonly KeptLease[]): void {
    this.session = session
    this.stuck = false
    this.#held.clear()
    for (const lease of held) this.took(lease)
  }

  /** Leases that should have lapsed by this time, and of which nothing was heard. */
  silent(before: number): { readonly id: string; readonly lease: string }[] {
    const found: { id: string; lease: string }[] = []
    for (const [lease, { id, expiresAt }] of this.#held) if (expiresAt < before) found.push({ id, lease })
    return found
  }
}
