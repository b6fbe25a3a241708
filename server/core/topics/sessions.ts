/** The newest session of each client on a topic, as far as this node serves it; an older one is ended. */

import { RepriseError } from '../../../shared/errors.ts'
import type { Owner } from '../../store/contract/store.ts'

/** A subscription that has a session of a client. */
export interface SessionHolder {
  readonly owner: Owner
  readonly session: number
  end(error: RepriseError): void
}

export class Sessions {
  readonly #holders = new Map<string, SessionHolder>()
  /** Told while their subscription is still being opened here. */
  readonly #opening = new Map<string, { users: number; newest: number }>()

  /** Before the store is asked for a session: what is told until `hold` is then not missed. */
  opening(owner: Owner): void {
    const key = keyOf(owner)
    const entry = this.#opening.get(key)
    if (entry === undefined) this.#opening.set(key, { users: 1, newest: 0 })
    else entry.users += 1
  }

  /** The store has answered, or failed. Returns the newest session told of meanwhile. */
  opened(owner: Owner): number {
    const key = keyOf(owner)
    const entry = this.#opening.get(key)
    if (entry === undefined) return 0
    entry.users -= 1
    if (entry.users === 0) this.#opening.delete(key)
    return entry.newest
  }

  /** Takes the place of an older holder, which is ended. */
  hold(holder: SessionHolder): void {
    const key = keyOf(holder.owner)
    const other = this.#holders.get(key)
    this.#holders.set(key, holder)
    if (other !== undefined && other !== holder) other.end(takenOver())
  }

  /** Those that are open now. */
  all(): readonly SessionHolder[] {
    return [...this.#holders.values()]
  }

  release(holder: SessionHolder): void {
    const key = keyOf(holder.owner)
    if (this.#holders.get(key) === holder) this.#holders.delete(key)
  }

  /** A session began, here or on another node. */
  began(owner: Owner, session: number): void {
    const key = keyOf(owner)
    const entry = this.#opening.get(key)
    if (entry !== undefined && entry.newest < session) entry.newest = session
    const holder = this.#holders.get(key)
    if (holder === undefined || holder.session >= session) return
    this.#holders.delete(key)
    holder.end(takenOver())
  }
}

export function takenOver(): RepriseError {
  return new RepriseError('taken_over', 'a newer session of this client took over')
}

function keyOf({ subject, client }: Owner): string {
  return `${subject}\n${client}`
}
