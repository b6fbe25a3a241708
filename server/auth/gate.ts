/** Who is calling: the program's own rule first, then an API key, a JWT, and else what everybody may. */

import { createHash } from 'node:crypto'
import { RepriseError } from '../../shared/errors.ts'
import {
  type Action,
  ANYBODY,
  type Grant,
  type Handshake,
  OPEN_GATE,
  type Session,
  type TicketGate,
} from '../core/access.ts'
import { unauthorized } from '../core/refusal.ts'
import { ANONYMOUS, type Identity } from './identity.ts'
import type { JwtRules, TokensContext } from './jwt.ts'
import { type ApiKey, KEY_PREFIX, keyFinder } from './keys.ts'
import type { StoredRevocations } from './revocations.ts'
import { OpenSession, Sessions } from './sessions.ts'
import type { Tickets } from './tickets.ts'

/** Whom a program's own rule has recognized. */
export interface Authenticated {
  readonly subject: string
  readonly grants: readonly Grant[]
  readonly client?: string | undefined
  /** Milliseconds since 1970. */
  readonly expiresAt?: number | undefined
}

/** Whom a program's rule is asked about. */
export interface AuthorizedCaller {
  readonly subject: string
  readonly client?: string | undefined
  readonly grants: readonly Grant[]
  readonly expiresAt?: number | undefined
}

export interface GateRules {
  readonly jwt: JwtRules | undefined
  readonly keys: readonly ApiKey[]
  readonly roles: Readonly<Record<string, readonly Grant[]>>
  readonly anonymous: readonly Grant[]
  readonly authenticate:
    | ((handshake: Handshake) => Promise<Authenticated | undefined> | Authenticated | undefined)
    | undefined
  readonly authorize: ((caller: AuthorizedCaller, action: Action, name: string) => boolean) | undefined
}

export interface GateContext {
  readonly readClaims: TokensContext['readClaims']
  readonly revocations: StoredRevocations
  readonly tickets: Tickets
  readonly warn: (message: string, cause?: unknown) => void
}

/** A longer one is not looked at. */
const MAX_TOKEN_LENGTH = 8_192
/** Tokens whose signature is known to be right: one that comes with each of thousands of namespaces is checked once. */
const MAX_KNOWN = 10_000

/** Resolves when keys are read. Throws `bad_request` for a key that is none. */
export async function openGate(rules: GateRules, context: GateContext): Promise<TicketGate> {
  const { readClaims, revocations, tickets, warn } = context
  const revoked = (identity: Identity) => revocations.refusal(identity)
  const keyNames = new Set(rules.keys.map(({ name }) => name))
  // Loaded where there are tokens to read.
  const { openTokens } = rules.jwt === undefined ? {} : await import('./jwt.ts')
  const tokens = rules.jwt && (await openTokens?.(rules.jwt, { roles: rules.roles, keyNames, readClaims, warn }))
  const findKey = keyFinder(rules.keys)
  const known = new Map<string, Identity>()
  const sessions = new Sessions({
    identify,
    allows:
      rules.authorize &&
      ((session, action, name) => {
        const { subject, client, grants, expiresAt } = session
        return rules.authorize?.({ subject, client, grants, expiresAt }, action, name) === true
      }),
    revoked,
  })

  revocations.onChange(() => sessions.look())

  function admit(identity: Identity): Session {
    const refusal = revoked(identity)
    if (refusal !== undefined) throw refusal
    return sessions.open(identity)
  }

  async function identify(token: string): Promise<Identity> {
    const identity = await find(token)
    const refusal = revoked(identity)
    if (refusal !== undefined) throw refusal
    return identity
  }

  async function find(token: string): Promise<Identity> {
    if (token.length > MAX_TOKEN_LENGTH) throw unauthorized(`the token has more than ${MAX_TOKEN_LENGTH} characters`)
    if (token.startsWith(KEY_PREFIX)) return findKey(token)
    if (tokens === undefined) throw unauthorized('this hub takes no JWT')
    const key = createHash('sha256').update(token).digest('base64')
    const seen = known.get(key)
    if (seen !== undefined) {
      if ((seen.expiresAt ?? 0) > Date.now()) return seen
      known.delete(key)
    }
    const identity = await tokens.read(token)
    if (known.size >= MAX_KNOWN) known.clear()
    known.set(key, identity)
    return identity
  }

  async function recognize(handshake: Handshake): Promise<Authenticated | undefined> {
    try {
      return (await rules.authenticate?.(handshake)) ?? undefined
    } catch (cause) {
      if (cause instanceof RepriseError) throw cause
      warn('authenticate failed', cause)
      throw new RepriseError('unavailable', 'who is calling cannot be told now', { cause })
    }
  }

  return {
    guarded: true,
    async enter(handshake, token) {
      const recognized = await recognize(handshake)
      if (recognized !== undefined) return admit(recognized)
      if (token !== undefined && token !== '') return sessions.open(await identify(token))
      if (rules.anonymous.length === 0) throw unauthorized('a token is needed: there is none')
      return sessions.open({ subject: ANONYMOUS, grants: rules.anonymous })
    },
    revocations,
    issue: async (session) => await tickets.issue(session instanceof OpenSession ? session.identity : undefined),
    async redeem(ticket) {
      const session = admit((await tickets.redeem(ticket)) as Identity)
      if (session.ended !== undefined) throw session.ended
      return session
    },
    close() {
      revocations.close()
      sessions.close()
      tokens?.close()
    },
  }
}

/** The gate of a hub without authentication. Its tickets are for pages that know of hubs with it. */
export function openToAll(tickets: Tickets): TicketGate {
  return {
    ...OPEN_GATE,
    issue: () => tickets.issue(undefined),
    async redeem(ticket) {
      await tickets.redeem(ticket)
      return ANYBODY
    },
  }
}
