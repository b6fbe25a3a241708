/** Whom a token names: an API key or a JWT, told apart by how it begins. */

import { unauthorized } from '../core/refusal.ts'
import { readClaims } from './claims.ts'
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

/** Resolves when keys are read. Throws `bad_request` for a key that is none. */
export async function openCredentials(
  { jwt, keys, roles }: CredentialRules,
  warn: TokensContext['warn'],
): Promise<Credentials> {
  const keyNames = new Set(keys.map(({ name }) => name))
  // Loaded where there are tokens to read.
  const { openTokens } = jwt === undefined ? {} : await import('./jwt.ts')
  const tokens = jwt && (await openTokens?.(jwt, { roles, keyNames, readClaims, warn }))
  const findKey = keyFinder(keys)
  return {
    async read(token) {
      if (token.length > MAX_TOKEN_LENGTH) throw unauthorized(`the token has more than ${MAX_TOKEN_LENGTH} characters`)
      if (token.startsWith(KEY_PREFIX)) return findKey(token)
      if (tokens === undefined) throw unauthorized('this hub takes no JWT')
      return await tokens.read(token)
    },
    close: () => tokens?.close(),
  }
}
