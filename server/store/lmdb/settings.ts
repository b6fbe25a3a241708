/** The contract's settings over LMDB. */

import type { Settings } from '../contract/store.ts'
import { ALL, nameKey } from './engine/keys.ts'
import { TABLES } from './engine/tables.ts'
import type { Writer } from './engine/writer.ts'

export function createSettings(writer: Writer): Settings {
  const listeners = new Set<() => void>()
  const tell = (): void => {
    for (const listener of [...listeners]) listener()
  }
  return {
    all: () =>
      writer.read((environment) => {
        const all = new Map<string, unknown>()
        for (const { key, value } of environment.records(TABLES.settings, ALL)) all.set(key.toString(), value)
        return all
      }),

    put: async (key, value) => {
      await writer.write((transaction) => {
        if (value === undefined) transaction.remove(TABLES.settings, nameKey(key))
        else transaction.put(TABLES.settings, nameKey(key), value)
      })
      tell()
    },

    add: async (key, value) => {
      const added = await writer.write((transaction) => {
        if (transaction.get(TABLES.settings, nameKey(key)) !== undefined) return false
        transaction.put(TABLES.settings, nameKey(key), value)
        return true
      })
      if (added) tell()
      return added
    },

    watch: (listener) => {
      const own = (): void => listener()
      listeners.add(own)
      return () => listeners.delete(own)
    },
  }
}
