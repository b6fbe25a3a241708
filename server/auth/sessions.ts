/** Sessions: what one token allows from its entrance to its end. Those that somebody listens to are ended here, in time. */

import { RepriseError } from '../../shared/errors.ts'
import type { Action, Session, SessionChange } from '../core/access.ts'
import { compile } from '../core/guards/grants.ts'
import { unauthorized } from '../core/refusal.ts'
import type { Identity } from './identity.ts'

/** Sessions are told so long before they end; shorter ones after half of their time. */
const EXPIRING_MS = 30_000
/** How often is looked for those that end. */
const LOOK_MS = 250

export interface SessionRules {
  /** Whom a token names. Throws `unauthorized` or `unavailable`. */
  identify(token: string): Promise<Identity>
  /** The program's last word. */
  readonly allows: ((session: Session, action: Action, name: string) => boolean) | undefined
  /** Why credentials are good no more. */
  revoked(identity: Identity): RepriseError | undefined
}

export class Sessions {
  readonly #rules: SessionRules
  readonly #heard = new Set<OpenSession>()
  #timer: NodeJS.Timeout | undefined

  constructor(rules: SessionRules) {
    this.#rules = rules
  }

  open(identity: Identity, byToken: boolean): Session {
    return new OpenSession(identity, byToken, this.#rules, this)
  }

  /** Its end is told in time, from now on. */
  hear(session: OpenSession): void {
    this.#heard.add(session)
    this.#timer ??= setInterval(() => this.look(), LOOK_MS).unref()
  }

  forget(session: OpenSession): void {
    this.#heard.delete(session)
    if (this.#heard.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** Ends those whose time is over, and those that were revoked. */
  look(): void {
    const now = Date.now()
    for (const session of [...this.#heard]) session.look(now)
  }

  close(): void {
    clearInterval(this.#timer)
  }
}

export class OpenSession implements Session {
  readonly subject: string
  readonly client: string | undefined
  readonly byToken: boolean
  readonly #rules: SessionRules
  readonly #sessions: Sessions
  readonly #listeners = new Set<(change: SessionChange) => void>()
  #identity: Identity
  #may: (action: Action, name: string) => boolean
  #ended: RepriseError | undefined
  #tellAt = Number.POSITIVE_INFINITY

  constructor(identity: Identity, byToken: boolean, rules: SessionRules, sessions: Sessions) {
    this.byToken = byToken
    this.subject = identity.subject
    this.client = identity.client
    this.#rules = rules
    this.#sessions = sessions
    this.#identity = identity
    this.#may = compile(identity.grants, identity.subject)
    this.#plan()
  }

  get identity(): Identity {
    return this.#identity
  }

  get grants() {
    return this.#identity.grants
  }

  get expiresAt(): number | undefined {
    return this.#identity.expiresAt
  }

  get ended(): RepriseError | undefined {
    const { expiresAt } = this.#identity
    if (expiresAt !== undefined && Date.now() >= expiresAt) this.#ended ??= unauthorized('the token has expired')
    this.#ended ??= this.#rules.revoked(this.#identity)
    return this.#ended
  }

  may(action: Action, name: string): boolean {
    const { allows } = this.#rules
    return allows === undefined ? this.#may(action, name) : allows(this, action, name)
  }

  async renew(token: string): Promise<void> {
    const identity = await this.#rules.identify(token)
    if (identity.subject !== this.subject || identity.client !== this.client) {
      throw new RepriseError(
        'forbidden',
        `a connection of ${this.subject} goes on with a token of the same subject and client`,
      )
    }
    this.#identity = identity
    this.#may = compile(identity.grants, identity.subject)
    this.#ended = undefined
    this.#plan()
    // Behind the answer, which whoever may do less now is still to get.
    setImmediate(() => this.#tell({ kind: 'renewed', token }))
  }

  onChange(listener: (change: SessionChange) => void): () => void {
    if (this.#listeners.size === 0) this.#sessions.hear(this)
    this.#listeners.add(listener)
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#sessions.forget(this)
    }
  }

  look(now: number): void {
    const { ended } = this
    const { expiresAt } = this.#identity
    if (ended !== undefined) {
      this.#sessions.forget(this)
      this.#tell({ kind: 'ended', error: ended })
    } else if (now >= this.#tellAt && expiresAt !== undefined) {
      this.#tellAt = Number.POSITIVE_INFINITY
      this.#tell({ kind: 'expiring', inMs: expiresAt - now })
    }
  }

  #plan(): void {
    const { expiresAt } = this.#identity
    if (expiresAt === undefined) return
    const left = expiresAt - Date.now()
    this.#tellAt = expiresAt - (left > EXPIRING_MS ? EXPIRING_MS : left / 2)
  }

  #tell(change: SessionChange): void {
    for (const listener of [...this.#listeners]) listener(change)
  }
}
