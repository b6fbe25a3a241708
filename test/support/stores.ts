/** The stores that a hub can keep its events in, for tests that have to hold on each: a fresh place, and hubs on it. */

import { type HubOptions, type HubProcess, spawnHub } from './process.ts'
import { tempFolder } from './temp.ts'

type SpawnOptions = Omit<HubOptions, 'data'>

export interface StorePlace {
  /** For `startHub({ store })`. */
  readonly location: string
  /** Where the store's files are, if they are this machine's to copy, damage and take away. */
  readonly folder: string | undefined
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
  return { location: folder, folder, spawn: (options = {}) => spawnHub({ ...options, data: folder }) }
}

/** For `describe.each(stores)`. */
export const stores: readonly StoreKind[] = [lmdb]
