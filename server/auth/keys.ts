/** API keys: `rk_<name>_<secret>`, of which the hub knows the hash. */

import { createHash, randomBytes } from 'node:crypto'
import { RepriseError } from '../../shared/errors.ts'
import { type Grant, RESERVED } from '../core/access.ts'
import { unauthorized } from '../core/refusal.ts'
import type { Identity } from './identity.ts'

export interface ApiKey {
  readonly name: string
  /** `sha256:` and the hash of the whole key, in hex. */
  readonly hash: string
  readonly grants: readonly Grant[]
}

export const KEY_PREFIX = 'rk_'

export function hashOf(key: string): string {
  return `sha256:${createHash('sha256').update(key).digest('hex')}`
}

/** Throws `bad_request` for a name that no key may have. */
export function newKey(name: string): { readonly key: string; readonly hash: string } {
  if (RESERVED.has(name)) throw new RepriseError('bad_request', `${name} is a name of the hub's own: choose another`)
  const key = `${KEY_PREFIX}${name}_${randomBytes(32).toString('hex')}`
  return { key, hash: hashOf(key) }
}

/** Finds a key by its hash, so that how long it takes says nothing of the secret. */
export function keyFinder(keys: readonly ApiKey[]): (key: string) => Identity {
  const byHash = new Map(keys.map((key) => [key.hash, { subject: key.name, grants: key.grants }]))
  return (key) => {
    const found = byHash.get(hashOf(key))
    if (found === undefined) throw unauthorized('this API key is not known')
    return found
  }
}
