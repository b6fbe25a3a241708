/**
 * How long the leases are that a worker asks for: as the program or the queue has it, and in a hidden page long enough for
 * timers that are slow there. Also whether what arrives may have waited for too much of its lease.
 */

import { isHidden, watchHidden } from '../../connection/page.ts'
import { Standstill } from './standstill.ts'

/** Browsers run the timers of hidden pages once a minute at worst: a renewal at a third of this comes in time. */
const HIDDEN_MS = 240_000
/** Once the hub has granted another time, jobs that it was delivering under the old one come no later than this. */
const ON_THE_WAY_MS = 5_000
/** What is reckoned with before the hub has said how long a lease is. */
const UNTOLD_MS = 30_000

export class LeaseTimes {
  readonly #asked: number | undefined
  readonly #standstill = new Standstill()
  readonly #unwatch: () => void
  /** What a consumer of the queue gets that names no time. */
  #queueMs: number | undefined
  /** What this connection has named last: the hub goes on with that. */
  #said: number | undefined
  #grantedMs: number
  #hidden = isHidden()
  /** From when on a job that comes to a hidden page has a long lease for certain. */
  #longFrom = Infinity

  /** `changed`: the page is hidden, or seen again. */
  constructor(asked: number | undefined, changed: () => void) {
    this.#asked = asked
    this.#grantedMs = asked ?? UNTOLD_MS
    this.#standstill.watch(this.#grantedMs)
    this.#unwatch = watchHidden(() => {
      if (this.#hidden === isHidden()) return
      this.#hidden = isHidden()
      this.#longFrom = Infinity
      changed()
    })
  }

  /** Of a job that comes now. */
  get grantedMs(): number {
    return this.#grantedMs
  }

  /** Without regard to the page. Not known before the hub has said what the queue has. */
  get #ownMs(): number | undefined {
    return this.#asked ?? this.#queueMs
  }

  /** What a lease is asked for with; `wantedMs`: what its handler wants. */
  of(wantedMs = this.#ownMs ?? this.#grantedMs): number {
    return this.#hidden ? Math.max(wantedMs, HIDDEN_MS) : wantedMs
  }

  /** When a lease that lapses earlier is to be extended without waiting for its time. */
  get shortMs(): number {
    return this.#hidden ? HIDDEN_MS / 2 : 0
  }

  /** Whether a job that comes now may have a lease that is too short for a hidden page. */
  get isShort(): boolean {
    return this.#hidden && (this.#ownMs ?? 0) < HIDDEN_MS && performance.now() < this.#longFrom
  }

  /** Whether a job that comes now may have waited for so long that the hub is to be asked whether it is still ours. */
  get isLate(): boolean {
    return this.#standstill.longerThan(this.#grantedMs / 2)
  }

  /** What `consume` names. */
  get #named(): number | undefined {
    const ownMs = this.#ownMs
    // There has to be something to go back to.
    if (ownMs === undefined) return undefined
    const ms = this.of(ownMs)
    return ms !== ownMs || this.#asked !== undefined || this.#said !== undefined ? ms : undefined
  }

  /** Whether the hub is to hear of another time. */
  get isDue(): boolean {
    return this.#named !== this.#said
  }

  /** For `consume`. */
  say(): { readonly leaseMs?: number } {
    const named = this.#named
    this.#said = named
    if (named === undefined) return {}
    // No longer than what is on its way: a renewal that comes too early does no harm.
    if (named < this.#grantedMs) this.#grant(named)
    return { leaseMs: named }
  }

  /** What the hub has answered to that. */
  granted(leaseMs: number, { leaseMs: said }: { readonly leaseMs?: number }): void {
    if (said === undefined) this.#queueMs = leaseMs
    if (this.#hidden && leaseMs >= HIDDEN_MS)
      this.#longFrom = Math.min(this.#longFrom, performance.now() + ON_THE_WAY_MS)
    // There is another answer to come.
    if (said === this.#said) this.#grant(leaseMs)
  }

  #grant(leaseMs: number): void {
    if (leaseMs === this.#grantedMs) return
    this.#grantedMs = leaseMs
    this.#standstill.watch(leaseMs)
  }

  /** The connection is lost: the hub forgets what was named. */
  lost(): void {
    this.#said = undefined
    this.#longFrom = Infinity
  }

  stop(): void {
    this.#standstill.stop()
    this.#unwatch()
  }
}
