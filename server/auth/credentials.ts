/** Whom a token names: an API key or a JWT, told apart by how it begins. */

import { createHash } from 'node:crypto'
import { unauthorized } from '../core/refusal.ts'
import type { Identity } from './identity.ts'
import type { JwtRules, TokensContext } from './jwt.ts'
import { type ApiKey, KEY_PREFIX, keyFinder } from './keys.ts'

export interface CredentialRules extends Pick<TokensContext, 'roles'> {
  readonly jwt: JwtRules | undefined
  readonly keys: readonly ApiKey[]
}

export interface Credentials {
  /** Throws `unauthorized` with what is wrong, or `unavailable` while it cannot be told. */
  read(token: string): Promise<Identity>
  close(): void
}

/** A longer one is not looked at. */
const MAX_TOKEN_LENGTH = 8_192
/** Tokens that are known to be right: one that comes with each of thousands of namespaces is checked once. */
const MAX_KNOWN = 10_000
/** Then it is checked again, as its key may be taken out of the set. */
const KNOWN_MS = 60_000

/** Resolves when keys are read. Throws `bad_request` for a key that is none. */
export async function openCredentials(
  { jwt, keys, roles }: CredentialRules,
  warn: TokensContext['warn'],
): Promise<Credentials> {
  const keyNames = new Set(keys.map(({ name }) => name))
  // Loaded where there are tokens to read.
  const { openTokens } = jwt === undefined ? {} : await import('./jwt.ts')
  const tokens = jwt && (await openTokens?.(jwt, { roles, keyNames, warn }))
  const findKey = keyFinder(keys)
  const known = new Map<string, { readonly identity: Identity; readonly until: number }>()
  return {
    async read(token) {
      if (token.length > MAX_TOKEN_LENGTH) throw unauthorized(`the token has more than ${MAX_TOKEN_LENGTH} characters`)
      if (token.startsWith(KEY_PREFIX)) return findKey(token)
      if (tokens === undefined) throw unauthorized('this hub takes no JWT')
      const hash = createHash('sha256').update(token).digest('base64')
      const now = Date.now()
      const seen = known.get(hash)
      if (seen !== undefined && seen.until > now) return seen.identity
      const identity = await tokens.read(token)
      if (known.size >= MAX_KNOWN) known.clear()
      known.set(hash, { identity, until: Math.min(now + KNOWN_MS, identity.expiresAt ?? now) })
      return identity
    },
    close: () => tokens?.close(),
  }
}
