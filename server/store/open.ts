/** Opens the store at a location. An engine's driver is loaded only when that engine is asked for. */

import { fileURLToPath } from 'node:url'
import { RepriseError } from '../../shared/errors.ts'
import type { Store } from './contract/store.ts'
import type { LmdbContext } from './lmdb/store.ts'
import type { RedisContext } from './redis/store.ts'
import type { Encryption } from './sealing/keyring.ts'
import { admitKeys } from './sealing/keys.ts'
import type { RotationContext } from './sealing/rotation.ts'

/** What engines need from outside; each takes what concerns it. */
export type OpenContext = LmdbContext &
  RedisContext & {
    readonly encryption?: Encryption
    /** Puts what is stored under the present key in the background, and hears of it. */
    readonly rotation?: Pick<RotationContext, 'told' | 'failed' | 'lookMs'>
  }

export function isRedis(location: string): boolean {
  return REDIS.test(location)
}

const REDIS = /^redis(s|-cluster|-sentinel)?:\/\//

/** The store with what is in it opened by its keys; refused where one of them is missing, or is another one. */
export async function openStore(location: string, context: OpenContext = {}): Promise<Store> {
  const { encryption, rotation } = context
  const store = await openEngine(location, context)
  try {
    if (encryption === undefined) {
      await admitKeys(store, undefined)
      // Nobody else can begin to encrypt what an embedded store keeps.
      if (!isRedis(location)) return store
    }
    const [{ Keyring }, { sealedStore }, { startRotation }] = await Promise.all([
      import('./sealing/keyring.ts'),
      import('./sealing/sealedStore.ts'),
      import('./sealing/rotation.ts'),
    ])
    const ring = new Keyring(encryption ?? { keys: new Map() })
    if (encryption === undefined) return sealedStore(store, ring)
    await admitKeys(store, ring)
    const stop = rotation && startRotation({ store, ring, ...rotation })
    return sealedStore(store, ring, async () => {
      await stop?.()
      await store.close()
    })
  } catch (error) {
    await store.close()
    throw error
  }
}

/** `location`: a path or a `file:` URL of a folder (embedded, LMDB), or the URL of a Redis. */
async function openEngine(location: string, context: OpenContext): Promise<Store> {
  if (isRedis(location)) {
    const { openRedis } = await import('./redis/store.ts')
    return openRedis(location, context)
  }
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(location) && !location.startsWith('file:')) {
    throw new RepriseError('bad_request', `the store ${JSON.stringify(location)} is neither a folder nor a Redis URL`)
  }
  const { openLmdb } = await import('./lmdb/store.ts')
  return openLmdb(folderOf(location), context)
}

/** A path, or a `file:` URL as one. */
export function folderOf(url: string): string {
  if (!url.startsWith('file:')) return url
  try {
    return fileURLToPath(url)
  } catch {
    // `file:data` names a folder as a path does.
    return url.slice('file:'.length)
  }
}
