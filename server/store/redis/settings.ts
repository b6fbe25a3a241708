/** The contract's settings over Redis: one hash, and a channel that tells of changes. */

import type { Settings } from '../contract/store.ts'
import type { Damage } from '../damage.ts'
import type { Command } from './connection/connection.ts'
import { createHint } from './connection/hint.ts'
import type { TopicsContext } from './topics/topics.ts'

export function createSettings(
  { router, keys, subscriptions, refuseClosed }: TopicsContext,
  warn: (message: string, cause?: unknown) => void,
  damage: Damage,
): Settings {
  const hint = createHint(router, subscriptions, keys.settings, (error) => {
    warn('changes of the settings are not heard', error)
  })
  const change = async (command: Command): Promise<unknown> => {
    refuseClosed()
    return await hint.change(command)
  }
  return {
    all: async () => {
      refuseClosed()
      const [reply] = await router.ask(keys.settings, ['HGETALL', keys.settings])
      return documentsOf(reply, (key) => damage.record('settings', Buffer.from(key)))
    },

    put: async (key, value) => {
      const remove = ['HDEL', keys.settings, key] as const
      await change(value === undefined ? remove : ['HSET', keys.settings, key, JSON.stringify(value)])
    },

    add: async (key, value) => Number(await change(['HSETNX', keys.settings, key, JSON.stringify(value)])) === 1,

    watch: hint.watch,
  }
}

/** Of the hash as Redis answers it: keys and values in turn. Those that are damaged are told. */
export function documentsOf(reply: unknown, damaged: (key: string) => void): Map<string, unknown> {
  const all = new Map<string, unknown>()
  const texts = (reply as Buffer[]).map(String)
  for (let i = 0; i + 1 < texts.length; i += 2) {
    const [key = '', value = ''] = texts.slice(i, i + 2)
    try {
      all.set(key, JSON.parse(value))
    } catch {
      damaged(key)
    }
  }
  return all
}
