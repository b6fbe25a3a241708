/** Who may use the hub: what may be written in the file and given to `createHub`, and what is made of it at the start. */

import { z } from 'zod'
import { messageOf, RepriseError } from '../../shared/errors.ts'
import { isName } from '../../shared/names.ts'
import { ASYMMETRIC, type Grant, type ProgramRules, RESERVED, SYMMETRIC } from '../core/access.ts'
import { grantsFault } from '../core/guards/grants.ts'
import { known, optional, value } from './checks.ts'
import { readSecret, referenceOf } from './secret.ts'
import { isPem } from './tls.ts'

/** `env:NAME` and `file:PATH` stand wherever a secret may stand. */
export interface JwtOptions {
  /** Checks HS256, HS384 and HS512. */
  readonly secret?: string
  /** A public key in PEM: a file, or the text itself. */
  readonly publicKey?: string
  /** Public keys that change: the address of a set of keys, or a file. */
  readonly jwks?: string
  /** Required of `iss` when given. */
  readonly issuer?: string
  /** Required of `aud` when given. */
  readonly audience?: string | readonly string[]
  /** Those that are accepted. Default: what goes with the keys. */
  readonly algorithms?: readonly string[]
}

export interface KeyOptions {
  /** The subject of who shows the key. */
  readonly name: string
  /** `sha256:…`, as `reprise key new` prints it. */
  readonly hash: string
  readonly grants: readonly Grant[]
}

export interface AuthOptions extends ProgramRules {
  readonly jwt?: JwtOptions
  readonly keys?: readonly KeyOptions[]
  /** Grants by the name of a role, for the claim `reprise.roles` of tokens. */
  readonly roles?: Readonly<Record<string, readonly Grant[]>>
  /** What everybody may without a token. Default: nothing. */
  readonly anonymous?: readonly Grant[]
}

const MIN_SECRET_BYTES = 32
const ALGORITHMS = [...SYMMETRIC, ...ASYMMETRIC]

const text = value('a text', (input) => (typeof input === 'string' && input.trim() !== '' ? input : undefined))
const program = <T extends (...args: never[]) => unknown>() =>
  value<T>('a function', (input) => (typeof input === 'function' ? (input as T) : undefined))

const grants = z.unknown().transform((input, context): readonly Grant[] => {
  const fault = grantsFault(input)
  if (fault === undefined) return input as readonly Grant[]
  context.addIssue({ code: 'custom', message: fault })
  return z.NEVER
})

/** A set of keys itself, or its address. */
function isSetOrAddress(input: string): boolean {
  return isAddress(input) || input.trimStart().startsWith('{')
}

function isAddress(input: string): boolean {
  return /^https?:\/\//.test(input)
}

const jwt = known({
  secret: optional(text),
  publicKey: optional(text.transform((input) => referenceOf(input, isPem))),
  jwks: optional(text.transform((input) => referenceOf(input, isSetOrAddress))),
  issuer: optional(text),
  audience: optional(z.union([text, z.array(text)])),
  algorithms: optional(
    z.array(
      value(`one of ${ALGORITHMS.join(', ')}`, (input) => ALGORITHMS.find((algorithm) => algorithm === input)),
      { error: 'is no list of algorithms' },
    ),
  ),
})
  .refine(({ secret, publicKey, jwks }) => secret !== undefined || publicKey !== undefined || jwks !== undefined, {
    error: 'has none of secret, publicKey and jwks',
  })
  .refine(
    ({ secret, publicKey, jwks, algorithms }) => {
      if (algorithms === undefined) return true
      const usable: readonly string[] = [
        ...(secret === undefined ? [] : SYMMETRIC),
        ...(publicKey === undefined && jwks === undefined ? [] : ASYMMETRIC),
      ]
      return algorithms.some((algorithm) => usable.includes(algorithm))
    },
    {
      path: ['algorithms'],
      error: 'none of them goes with the keys: those of HS with secret, others with publicKey and jwks',
    },
  )

const keys = z
  .array(
    known({
      name: value(
        `a name of a key: letters, digits, . : _ and -; ${[...RESERVED].join(' and ')} are the hub's own`,
        (input) => (isName(input) && !RESERVED.has(input) ? input : undefined),
      ),
      hash: value('sha256: and 64 hex digits, as `reprise key new` prints it', (input) =>
        typeof input === 'string' && /^sha256:[0-9a-f]{64}$/i.test(input) ? input.toLowerCase() : undefined,
      ),
      grants,
    }),
    { error: 'is no list of { name, hash, grants }' },
  )
  .superRefine((list, context) => {
    for (const [index, { name }] of list.entries()) {
      if (list.findIndex((other) => other.name === name) < index) {
        context.addIssue({ code: 'custom', path: [index, 'name'], message: `${name} is the name of another key, too` })
      }
    }
  })

export const authOptions: z.ZodType<AuthOptions> = known({
  jwt: optional(jwt),
  keys: optional(keys),
  roles: optional(z.record(z.string(), grants, { error: 'is no group of roles with their grants' })),
  anonymous: optional(grants),
  authenticate: optional(program<NonNullable<AuthOptions['authenticate']>>()),
  authorize: optional(program<NonNullable<AuthOptions['authorize']>>()),
})

/** The rules with their secrets read. Throws `bad_request` where one is not there. */
export function readAuth({ jwt, keys = [], roles = {}, anonymous = [], authenticate, authorize }: AuthOptions) {
  return { jwt: jwt && readJwt(jwt), keys, roles, anonymous, authenticate, authorize }
}

function readJwt({ secret, publicKey, jwks, ...rest }: JwtOptions) {
  return {
    ...rest,
    secret: secret === undefined ? undefined : secretOf('secret', secret).value,
    publicKey: publicKey === undefined ? undefined : secretOf('publicKey', publicKey).value,
    jwks: jwks === undefined ? undefined : placeOf(jwks),
  }
}

/** What is said of a secret of tokens that is shorter than RFC 7518 (3.2) wants: whoever has a token can try all of them. */
export function weakSecret(secret: string | undefined): string | undefined {
  const bytes = Buffer.byteLength(secret ?? '')
  if (secret === undefined || bytes >= MIN_SECRET_BYTES) return undefined
  return `auth.jwt.secret has ${bytes} bytes, and whoever has a token could guess it: give it ${MIN_SECRET_BYTES} or more`
}

/** What a set of keys is read from: it is read again while the hub runs. */
function placeOf(jwks: string) {
  if (isAddress(jwks)) return { url: jwks }
  const { value, file } = secretOf('jwks', jwks)
  if (file !== undefined) return { file }
  try {
    return JSON.parse(value) as { readonly keys: readonly object[] }
  } catch (cause) {
    throw new RepriseError('bad_request', 'auth.jwt.jwks: is neither an address, nor a file, nor a set of keys', {
      cause,
    })
  }
}

function secretOf(name: string, reference: string) {
  try {
    return readSecret(reference)
  } catch (error) {
    throw new RepriseError('bad_request', `auth.jwt.${name}: ${messageOf(error)}`, { cause: error })
  }
}
