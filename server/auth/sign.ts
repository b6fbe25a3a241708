/** Tokens that the command line signs with the secret of a hub. */

import { randomBytes } from 'node:crypto'
import { SignJWT } from 'jose'
import type { Grant } from '../core/access.ts'

export interface TokenClaims {
  readonly sub: string
  readonly ttlMs: number
  readonly roles: readonly string[]
  readonly grants: readonly Grant[]
  readonly client: string | undefined
  readonly issuer: string | undefined
  readonly audience: string | readonly string[] | undefined
}

export async function signToken(secret: string, algorithm: string, claims: TokenClaims): Promise<string> {
  const { sub, ttlMs, roles, grants, client, issuer, audience } = claims
  const token = new SignJWT({ reprise: { roles, ...(grants.length > 0 && { grants }), client } })
    .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
    .setSubject(sub)
    .setJti(randomBytes(9).toString('hex'))
    .setIssuedAt()
    .setExpirationTime(Math.floor((Date.now() + ttlMs) / 1_000))
  if (issuer !== undefined) token.setIssuer(issuer)
  if (audience !== undefined) token.setAudience(typeof audience === 'string' ? audience : [...audience])
  return await token.sign(new TextEncoder().encode(secret))
}
