/** Opens the storage of a client in this browser. Loaded when a program asks for it, so that others do without its code. */

import { Database } from './database.ts'
import { isSameSubject, storageName } from './names.ts'
import { occupy, occupyAny } from './occupancy.ts'
import type { Left, StorageScope, Stored } from './stored.ts'

export { storageName }

/** Rejects with the reason where there can be none. `failed` is called when it ends later, before anybody has closed it. */
export async function openStorage(
  scope: StorageScope,
  token: string | undefined,
  failed: (error: unknown) => void,
): Promise<{ stored: Stored } & Left> {
  if (typeof indexedDB === 'undefined') throw new Error('there is no IndexedDB here')
  if (navigator.locks === undefined)
    throw new Error('there are no Web Locks here: they need a page from https or localhost')
  const name = await storageName(scope, token)
  const { client } = scope
  const place = await (client === undefined ? occupyAny(name) : occupy(name))
  if (place === undefined) {
    throw new Error(
      `another tab, or another handle of this page, has the storage of client ${client}: each needs a client of its own`,
    )
  }
  try {
    const { database, ...left } = await Database.open(place.name, (error) => {
      place.leave()
      failed(error)
    })
    const stored: Stored = {
      move: (name, position) => database.move(name, position),
      put: (drafts, strict) => database.put(drafts, strict),
      delete: (key) => database.delete(key),
      isOf: (other) => isSameSubject(token, other),
      lose: (error) => database.lose(error),
      close: async () => {
        await database.close()
        place.leave()
      },
    }
    return { stored, ...left }
  } catch (error) {
    place.leave()
    throw error
  }
}
