/** Revocations: subjects and tokens that are good no more. They are documents of the store, which all nodes hear of. */

import { randomBytes } from 'node:crypto'
import { RepriseError } from '../../shared/errors.ts'
import type { Revocation, Revocations } from '../core/access.ts'
import { unauthorized } from '../core/refusal.ts'
import type { Settings } from '../store/contract/store.ts'
import { type Identity, RESERVED } from './identity.ts'

const PREFIX = 'revocation:'
/** Where nobody says when the last of the tokens ends. */
const LONGEST_MS = 10 * 366 * 86_400_000
/** They are kept in memory, and looked at with each token. */
const MOST = 100_000

export interface RevocationsContext {
  readonly store: Settings
  readonly warn: (message: string, cause?: unknown) => void
}

export class StoredRevocations implements Revocations {
  readonly #context: RevocationsContext
  readonly #listeners = new Set<() => void>()
  readonly #unwatch: () => void
  #all = new Map<string, Revocation>()
  #bySubject = new Map<string, Revocation>()
  #byToken = new Map<string, Revocation>()
  #reading: Promise<void> | undefined
  #again = false

  private constructor(context: RevocationsContext) {
    this.#context = context
    this.#unwatch = context.store.watch(() => {
      this.#read().catch((cause: unknown) =>
        context.warn('revocations could not be read again; the last ones stay', cause),
      )
    })
  }

  static async open(context: RevocationsContext): Promise<StoredRevocations> {
    const revocations = new StoredRevocations(context)
    try {
      await revocations.#read()
    } catch (cause) {
      revocations.close()
      throw cause
    }
    return revocations
  }

  async add(of: { readonly subject: string } | { readonly tokenId: string }, until?: number): Promise<Revocation> {
    if ('subject' in of && RESERVED.has(of.subject)) {
      throw new RepriseError('bad_request', `revocation: ${of.subject} has no tokens`)
    }
    if (this.#all.size >= MOST) throw new RepriseError('too_many', `there are ${MOST} revocations, which is the limit`)
    const at = Date.now()
    const revocation = { id: randomBytes(9).toString('hex'), ...of, at, until: until ?? at + LONGEST_MS }
    await this.#forgetOver(at)
    const { id, ...document } = revocation
    await this.#context.store.put(PREFIX + id, document)
    await this.#read()
    return revocation
  }

  list(): readonly Revocation[] {
    const now = Date.now()
    return [...this.#all.values()]
      .filter(({ until }) => until > now)
      .sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1))
  }

  async remove(id: string): Promise<boolean> {
    if (!this.#all.has(id)) return false
    await this.#context.store.put(PREFIX + id, undefined)
    await this.#read()
    return true
  }

  /** Why these credentials are good no more. Tokens tell their time in seconds: one of the same second is not trusted. */
  refusal({ subject, tokenId, issuedAt }: Identity): RepriseError | undefined {
    if (this.#all.size === 0) return undefined
    const now = Date.now()
    const token = tokenId === undefined ? undefined : this.#byToken.get(tokenId)
    if (token !== undefined && token.until > now) return revoked()
    const whole = this.#bySubject.get(subject)
    return whole !== undefined && whole.until > now && (issuedAt ?? 0) <= whole.at ? revoked() : undefined
  }

  /** Calls `listener` when there may be others. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener)
  }

  close(): void {
    this.#unwatch()
    this.#listeners.clear()
  }

  async #forgetOver(now: number): Promise<void> {
    for (const { id, until } of this.#all.values()) {
      if (until <= now) await this.#context.store.put(PREFIX + id, undefined)
    }
  }

  /** One reading at a time; a call during one makes another follow, so that what the caller knows of is in it. */
  #read(): Promise<void> {
    if (this.#reading !== undefined) {
      this.#again = true
      return this.#reading
    }
    this.#reading = (async () => {
      do {
        this.#again = false
        this.#take(await this.#context.store.all())
      } while (this.#again)
    })().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  #take(documents: ReadonlyMap<string, unknown>): void {
    this.#all = new Map()
    this.#bySubject = new Map()
    this.#byToken = new Map()
    for (const [key, document] of documents) {
      if (!key.startsWith(PREFIX)) continue
      const revocation = { ...(document as Omit<Revocation, 'id'>), id: key.slice(PREFIX.length) }
      this.#all.set(revocation.id, revocation)
      if (revocation.tokenId !== undefined) this.#byToken.set(revocation.tokenId, revocation)
      const { subject } = revocation
      // The latest one of a subject ends the most.
      if (subject !== undefined && revocation.at >= (this.#bySubject.get(subject)?.at ?? 0)) {
        this.#bySubject.set(subject, revocation)
      }
    }
    for (const listener of this.#listeners) listener()
  }
}

function revoked(): RepriseError {
  return unauthorized('the token was revoked')
}
