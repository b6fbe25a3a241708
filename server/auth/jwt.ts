/**
 * JSON Web Tokens (RFC 7519): who signed them is told by jose, what they say is read here. A secret checks HS* alone, a
 * public key never does, so that neither can be taken for the other.
 */

import { createPublicKey, type KeyObject } from 'node:crypto'
import { decodeProtectedHeader, type errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose'
import { RepriseError } from '../../shared/errors.ts'
import { ASYMMETRIC, type Grant, SYMMETRIC } from '../core/access.ts'
import { unauthorized } from '../core/refusal.ts'
import { readClaims } from './claims.ts'
import { type Identity, tokenSubjectFault } from './identity.ts'
import { type Jwks, openJwks } from './jwks.ts'

export interface JwtRules {
  readonly secret?: string | undefined
  /** PEM. */
  readonly publicKey?: string | undefined
  readonly jwks?: Jwks | undefined
  readonly issuer?: string | undefined
  readonly audience?: string | readonly string[] | undefined
  readonly algorithms?: readonly string[] | undefined
}

export interface Tokens {
  /** Throws `unauthorized` with what is wrong, or `unavailable` while the key cannot be got. */
  read(token: string): Promise<Identity>
  close(): void
}

/** The clocks of issuers differ from the hub's: a token may begin so much later. It ends when it says. */
const MAX_SKEW_S = 60
export interface TokensContext {
  readonly roles: Readonly<Record<string, readonly Grant[]>>
  /** Names of API keys: a token that says to be one of them would have its cursors. */
  readonly keyNames: ReadonlySet<string>
  readonly warn: (message: string, cause?: unknown) => void
}

export async function openTokens(rules: JwtRules, context: TokensContext): Promise<Tokens> {
  const secret = rules.secret === undefined ? undefined : new TextEncoder().encode(rules.secret)
  const publicKey = rules.publicKey === undefined ? undefined : readPublicKey(rules.publicKey)
  const jwks = rules.jwks === undefined ? undefined : await openJwks(rules.jwks, context.warn)
  const algorithms = [
    ...(rules.algorithms ?? [
      ...(secret === undefined ? [] : SYMMETRIC),
      ...(publicKey === undefined && jwks === undefined ? [] : ASYMMETRIC),
    ]),
  ]
  const options = {
    algorithms,
    clockTolerance: MAX_SKEW_S,
    ...(rules.issuer === undefined ? {} : { issuer: rules.issuer }),
    ...(rules.audience === undefined
      ? {}
      : { audience: typeof rules.audience === 'string' ? rules.audience : [...rules.audience] }),
  }

  return {
    async read(token) {
      const { alg } = headerOf(token)
      if (alg === undefined || !algorithms.includes(alg)) {
        throw unauthorized(`the token's algorithm is none of ${algorithms.join(', ')}`)
      }
      return identityOf(await verify(token, alg), context)
    },
    close: () => jwks?.close(),
  }

  async function verify(token: string, alg: string): Promise<JWTPayload> {
    const keys = SYMMETRIC.some((name) => name === alg) ? [secret] : [publicKey, jwks?.find]
    let refusal = unauthorized(`there is no key for tokens signed with ${alg}`)
    for (const key of keys) {
      if (key === undefined) continue
      try {
        // One overload takes a key, the other one a function that finds it.
        const result = await jwtVerify(token, key as JWTVerifyGetKey, options)
        return result.payload
      } catch (error) {
        refusal = refusalOf(error)
        if (!passesOn(error)) throw refusal
      }
    }
    throw refusal
  }

  function headerOf(token: string): { readonly alg?: string } {
    try {
      return decodeProtectedHeader(token)
    } catch (cause) {
      throw unauthorized('the token is no JWT, and no API key', cause)
    }
  }
}

function readPublicKey(pem: string): KeyObject {
  try {
    return createPublicKey(pem)
  } catch (cause) {
    throw new RepriseError('bad_request', 'auth.jwt.publicKey: is no public key in PEM', { cause })
  }
}

type JoseCode = errors.JOSEError['code']

function codeOf(error: unknown): JoseCode | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** Whether another key may be the right one. */
function passesOn(error: unknown): boolean {
  const code = codeOf(error)
  return (
    error instanceof TypeError ||
    code === 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED' ||
    code === 'ERR_JWKS_NO_MATCHING_KEY'
  )
}

function refusalOf(error: unknown): RepriseError {
  if (error instanceof RepriseError) return error
  const claim = error instanceof Error && 'claim' in error ? String(error.claim) : ''
  switch (codeOf(error)) {
    case 'ERR_JWT_EXPIRED':
      return unauthorized('the token has expired', error)
    case 'ERR_JWT_CLAIM_VALIDATION_FAILED':
      return unauthorized(CLAIM_FAULTS[claim] ?? `the token's ${claim} is not right`, error)
    case 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED':
      return unauthorized("the token's signature is not right", error)
    case 'ERR_JWKS_NO_MATCHING_KEY':
      return unauthorized("the token's key is not known", error)
    case 'ERR_JWKS_MULTIPLE_MATCHING_KEYS':
      return unauthorized('the token names no key (kid), and several keys could be meant', error)
    default:
      return unauthorized('the token is not valid', error)
  }
}

const CLAIM_FAULTS: Readonly<Record<string, string>> = {
  nbf: 'the token is not valid yet',
  iss: 'the token is from another issuer',
  aud: 'the token is for another audience',
}

function identityOf({ sub, exp, iat, jti, reprise }: JWTPayload, { roles, keyNames }: TokensContext): Identity {
  const fault = tokenSubjectFault(sub ?? '', keyNames)
  if (sub === undefined || fault !== undefined) throw unauthorized(`the token's sub ${fault}`)
  if (exp === undefined) throw unauthorized('the token has no exp: it must end')
  // The tolerance is for its begin alone.
  if (exp * 1_000 <= Date.now()) throw unauthorized('the token has expired')
  const claims = readClaims(reprise)
  return {
    subject: sub,
    grants: [
      ...claims.roles.flatMap((role) => (Object.hasOwn(roles, role) ? (roles[role] ?? []) : [])),
      ...claims.grants,
    ],
    client: claims.client,
    expiresAt: exp * 1_000,
    issuedAt: iat === undefined ? undefined : iat * 1_000,
    tokenId: typeof jti === 'string' ? jti : undefined,
  }
}
