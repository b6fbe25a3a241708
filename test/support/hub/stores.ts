/** The stores that a hub can keep its events in, for tests that have to hold on each: a fresh place, and hubs on it. */

import { describe } from 'vitest'
import { startRedis } from '../redis/redis.ts'
import { tempFolder } from '../temp.ts'
import { has } from '../tools.ts'
import { type HubOptions, type HubProcess, spawnHub } from './process.ts'

type SpawnOptions = Omit<HubOptions, 'data' | 'store'>

export interface StorePlace {
  /** For `startHub({ store })`. */
  readonly location: string
  /** Where the store's files are, if they are this machine's to copy, damage and take away. */
  readonly folder: string | undefined
  /** Where whoever keeps the store writes: the same, or the folder of its Redis. */
  readonly files: string
  /** A hub as its own process. One after the other may use the same place. */
  spawn(options?: SpawnOptions): Promise<HubProcess>
}

export interface StoreKind {
  readonly name: 'lmdb' | 'redis'
  /** An empty store, gone when the test is. */
  place(): Promise<StorePlace>
}

export const lmdb: StoreKind = {
  name: 'lmdb',
  async place() {
    return folderPlace(await tempFolder())
  },
}

/** The embedded store in a folder of the test's choice. */
export function folderPlace(folder: string): StorePlace & { readonly folder: string } {
  return { location: folder, folder, files: folder, spawn: (options = {}) => spawnHub({ ...options, data: folder }) }
}

/** A Redis of its own that syncs before it answers. */
export const redis: StoreKind = {
  name: 'redis',
  async place() {
    const { url, folder: files } = await startRedis({ appendonly: 'yes', appendfsync: 'always' })
    return { location: url, folder: undefined, files, spawn: (options = {}) => spawnHub({ ...options, store: url }) }
  },
}

/** The same tests for each store; `$name` in the title is the store's. Without Redis here its tests count as skipped. */
export function describeStores(title: string, tests: (store: StoreKind) => void, kinds = [lmdb, redis]): void {
  for (const kind of kinds) {
    const run = kind.name === 'lmdb' || has('redis-server')
    describe.runIf(run)(title.replace('$name', kind.name), () => tests(kind))
  }
}
