/** Opens the store at a location. An engine's driver is loaded only when that engine is asked for. */

import { fileURLToPath } from 'node:url'
import { RepriseError } from '../../shared/errors.ts'
import type { Store } from './contract/store.ts'
import type { LmdbContext } from './lmdb/store.ts'
import type { RedisContext } from './redis/store.ts'
import type { Encryption } from './sealing/keyring.ts'
import { admitKeys } from './sealing/keys.ts'

/** What engines need from outside; each takes what concerns it. */
export type OpenContext = LmdbContext & RedisContext & { readonly encryption?: Encryption }

const REDIS = /^redis(s|-cluster|-sentinel)?:\/\//

/** The store with what is in it opened by its keys; refused where one of them is missing, or is another one. */
export async function openStore(location: string, context: OpenContext = {}): Promise<Store> {
  const { encryption } = context
  const store = await openEngine(location, context)
  try {
    if (encryption === undefined) {
      await admitKeys(store, undefined)
      return store
    }
    const [{ Keyring }, { sealedStore }] = await Promise.all([
      import('./sealing/keyring.ts'),
      import('./sealing/sealedStore.ts'),
    ])
    const ring = new Keyring(encryption)
    await admitKeys(store, ring)
    return sealedStore(store, ring)
  } catch (error) {
    await store.close()
    throw error
  }
}

/** `location`: a path or a `file:` URL of a folder (embedded, LMDB), or the URL of a Redis. */
async function openEngine(location: string, context: OpenContext): Promise<Store> {
  if (REDIS.test(location)) {
    const { openRedis } = await import('./redis/store.ts')
    return openRedis(location, context)
  }
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(location) && !location.startsWith('file:')) {
    throw new RepriseError('bad_request', `the store ${JSON.stringify(location)} is neither a folder nor a Redis URL`)
  }
  const { openLmdb } = await import('./lmdb/store.ts')
  return openLmdb(location.startsWith('file:') ? pathOf(location) : location, context)
}

function pathOf(url: string): string {
  try {
    return fileURLToPath(url)
  } catch {
    // `file:data` names a folder as a path does.
    return url.slice('file:'.length)
  }
}
