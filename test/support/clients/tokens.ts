/** Tokens as an issuer makes them. */

import { SignJWT } from 'jose'

export const SECRET = 'a secret of thirty-two bytes or more'

export interface TokenOptions {
  readonly secret?: string
  /** From now; negative: it has ended. Default 60,000. */
  readonly ttlMs?: number
  readonly roles?: readonly string[]
  readonly grants?: readonly { readonly actions: readonly string[]; readonly names: readonly string[] }[]
  readonly client?: string
  readonly claims?: Readonly<Record<string, unknown>>
}

export const ALL = [{ actions: ['*'], names: ['*'] }]

/** A JWT of this subject, signed with the secret. Its grants are all by default. */
export async function tokenOf(sub: string, options: TokenOptions = {}): Promise<string> {
  const { secret = SECRET, ttlMs = 60_000, roles, client, claims } = options
  const grants = options.grants ?? (roles === undefined ? ALL : undefined)
  return await new SignJWT({ reprise: { roles, grants, client }, ...claims })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(sub)
    .setIssuedAt(typeof claims?.iat === 'number' ? claims.iat : undefined)
    .setExpirationTime((Date.now() + ttlMs) / 1_000)
    .sign(new TextEncoder().encode(secret))
}
