/** Revocations: subjects and tokens that are good no more. They are documents of the store, which all nodes hear of. */

import { randomBytes } from 'node:crypto'
import { RepriseError } from '../../shared/errors.ts'
import { RESERVED, type Revocation, type Revocations } from '../core/access.ts'
import { unauthorized } from '../core/refusal.ts'
import { type Kind, openPatternSettings, type PatternSettings } from '../core/settings.ts'
import type { Settings } from '../store/contract/store.ts'
import type { Identity } from './identity.ts'

type Entry = Omit<Revocation, 'id'>

/** Documents like those of settings, by an id in the place of a pattern. */
const REVOCATIONS: Kind<undefined, Entry> = {
  prefix: 'revocation:',
  merge: () => undefined,
  toDocument: (entry) => entry,
  fromDocument: (document) => document as Entry,
}

/** Where nobody says when the last of the tokens ends. */
const LONGEST_MS = 10 * 366 * 86_400_000
/** They are kept in memory, and read anew with each change. */
const MOST = 10_000
const ROOM_RETRY_MS = 60_000

export interface RevocationsContext {
  readonly store: Settings
  readonly warn: (message: string, cause?: unknown) => void
  /** The store's time: clocks of nodes differ, and the one that is asked has no say in which tokens were issued before. */
  readonly now: () => number
}

export class StoredRevocations implements Revocations {
  readonly #documents: PatternSettings<undefined, Entry>
  readonly #now: () => number
  /** Of each only those that none of the same outdoes. */
  #bySubject = new Map<string, readonly Entry[]>()
  /** When the last one of each ends. */
  #byToken = new Map<string, number>()

  private constructor(documents: PatternSettings<undefined, Entry>, now: () => number) {
    this.#documents = documents
    this.#now = now
    this.onChange(() => this.#index())
    this.#index()
  }

  static async open(context: RevocationsContext): Promise<StoredRevocations> {
    return new StoredRevocations(await openPatternSettings(REVOCATIONS, context), context.now)
  }

  async add(of: { readonly subject: string } | { readonly tokenId: string }, until?: number): Promise<Revocation> {
    if ('subject' in of && RESERVED.has(of.subject)) {
      throw new RepriseError('bad_request', `revocation: ${of.subject} has no tokens`)
    }
    const at = Math.round(this.#now())
    const all = Object.entries(this.#documents.stored())
    for (const [id, entry] of all) if (entry.until <= at) await this.#documents.put(id, undefined)
    if (this.list().length >= MOST) {
      const text = `there are ${MOST} revocations, which is the limit: delete some`
      throw new RepriseError('too_many', text, { retryAfterMs: ROOM_RETRY_MS })
    }
    const id = randomBytes(9).toString('hex')
    const entry = { ...of, at, until: until ?? at + LONGEST_MS }
    await this.#documents.put(id, entry)
    return { id, ...entry }
  }

  list(): readonly Revocation[] {
    const now = this.#now()
    const all = Object.entries(this.#documents.stored()).map(([id, entry]) => ({ id, ...entry }))
    return all.filter(({ until }) => until > now).sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1))
  }

  async remove(id: string): Promise<boolean> {
    if (!Object.hasOwn(this.#documents.stored(), id)) return false
    await this.#documents.put(id, undefined)
    return true
  }

  /** Why these credentials are good no more. Tokens tell their time in seconds: one of the same second is not trusted. */
  refusal({ subject, tokenId, issuedAt }: Identity): RepriseError | undefined {
    const now = this.#now()
    const until = tokenId === undefined ? undefined : this.#byToken.get(tokenId)
    const isBefore = (entry: Entry) => entry.until > now && (issuedAt ?? 0) <= entry.at
    if ((until ?? 0) <= now && this.#bySubject.get(subject)?.some(isBefore) !== true) return undefined
    return unauthorized('the token was revoked')
  }

  /** Calls `listener` when there are others. */
  onChange(listener: () => void): void {
    this.#documents.onChange(listener)
  }

  close(): void {
    this.#documents.close()
  }

  #index(): void {
    this.#bySubject = new Map()
    this.#byToken = new Map()
    // The latest first: one before it adds something where it lasts longer.
    for (const entry of Object.values(this.#documents.stored()).sort((a, b) => b.at - a.at)) {
      const { subject, tokenId, until } = entry
      if (tokenId !== undefined) this.#byToken.set(tokenId, Math.max(until, this.#byToken.get(tokenId) ?? 0))
      if (subject === undefined) continue
      const later = this.#bySubject.get(subject) ?? []
      if (until > (later.at(-1)?.until ?? 0)) this.#bySubject.set(subject, [...later, entry])
    }
  }
}
