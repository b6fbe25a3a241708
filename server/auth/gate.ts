/** Who is calling: the program's own rule first, then an API key, a JWT, and else what everybody may. */

import { createHash } from 'node:crypto'
import { RepriseError } from '../../shared/errors.ts'
import type { Action, Gate, Grant, Handshake, Session } from '../core/access.ts'
import { ANONYMOUS, type Identity, unauthorized } from './identity.ts'
import type { JwtRules, TokensContext } from './jwt.ts'
import { type ApiKey, KEY_PREFIX, keyFinder } from './keys.ts'
import { Sessions } from './sessions.ts'

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
  readonly revoked: (identity: Identity) => RepriseError | undefined
  readonly warn: (message: string, cause?: unknown) => void
}

export interface OpenGate extends Gate {
  /** Looks now who has to go. */
  look(): void
}

/** A longer one is not looked at. */
const MAX_TOKEN_LENGTH = 8_192
/** Tokens whose signature is known to be right: one that comes with each of thousands of namespaces is checked once. */
const MAX_KNOWN = 10_000

/** Resolves when keys are read. Throws `bad_request` for a key that is none. */
export async function openGate(rules: GateRules, { readClaims, revoked, warn }: GateContext): Promise<OpenGate> {
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
    async enter(handshake, token): Promise<Session> {
      const recognized = await recognize(handshake)
      if (recognized !== undefined) {
        const refusal = revoked(recognized)
        if (refusal !== undefined) throw refusal
        return sessions.open(recognized)
      }
      if (token !== undefined && token !== '') return sessions.open(await identify(token))
      if (rules.anonymous.length === 0) throw unauthorized('a token is needed: there is none')
      return sessions.open({ subject: ANONYMOUS, grants: rules.anonymous })
    },
    look: () => sessions.look(),
    close() {
      sessions.close()
      tokens?.close()
    },
  }
}
