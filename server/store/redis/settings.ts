/** The contract's settings over Redis: one hash, and a channel that tells of changes. */

import { WAIT_MS } from '../contract/basics.ts'
import type { Settings } from '../contract/store.ts'
import type { Damage } from '../damage.ts'
import type { Command } from './connection/connection.ts'
import { failure } from './connection/errors.ts'
import type { TopicsContext } from './topics/topics.ts'

export function createSettings(
  { router, keys, subscriptions, refuseClosed }: TopicsContext,
  warn: (message: string, cause?: unknown) => void,
  damage: Damage,
): Settings {
  const own = new Set<() => void>()
  async function change(command: Command): Promise<unknown> {
    refuseClosed()
    try {
      const commands = [command, ['SPUBLISH', keys.settings, ''] as const]
      const [reply] = await router.run(keys.settings, commands, performance.now() + WAIT_MS)
      for (const tell of [...own]) tell()
      return reply
    } catch (error) {
      throw failure(error)
    }
  }
  return {
    all: async () => {
      refuseClosed()
      try {
        const [reply] = await router.run(keys.settings, [['HGETALL', keys.settings]], performance.now() + WAIT_MS)
        return documentsOf(reply, (key) => damage.record('settings', Buffer.from(key)))
      } catch (error) {
        throw failure(error)
      }
    },

    put: async (key, value) => {
      const remove = ['HDEL', keys.settings, key] as const
      await change(value === undefined ? remove : ['HSET', keys.settings, key, JSON.stringify(value)])
    },

    add: async (key, value) => Number(await change(['HSETNX', keys.settings, key, JSON.stringify(value)])) === 1,

    watch: (listener) => {
      let stopped = false
      let stop: (() => void) | undefined
      const tell = (): void => {
        if (!stopped) listener()
      }
      own.add(tell)
      const begin = (): void => {
        subscriptions
          .add(keys.settings, () => true, { heard: tell, lost: tell })
          .then(
            (undo) => {
              if (stopped) undo()
              else {
                stop = undo
                // What was changed before it could be heard.
                tell()
              }
            },
            (error) => {
              if (stopped) return
              warn('changes of the settings are not heard', error)
              setTimeout(begin, WAIT_MS).unref()
            },
          )
      }
      begin()
      return () => {
        stopped = true
        own.delete(tell)
        stop?.()
      }
    },
  }
}

/** Of the hash as Redis answers it; those that are damaged are told. */
export function documentsOf(reply: unknown, damaged: (key: string) => void): Map<string, unknown> {
  const all = new Map<string, unknown>()
  for (const [key, value] of pairsOf(reply)) {
    try {
      all.set(key, JSON.parse(value))
    } catch {
      damaged(key)
    }
  }
  return all
}

/** A hash as Redis answers it: keys and values in turn, or as a map. */
function* pairsOf(reply: unknown): Generator<[string, string]> {
  if (reply instanceof Map) {
    for (const [key, value] of reply) yield [String(key), String(value)]
  } else if (Array.isArray(reply)) {
    for (let i = 0; i < reply.length; i += 2) yield [String(reply[i]), String(reply[i + 1])]
  } else if (typeof reply === 'object' && reply !== null) {
    for (const [key, value] of Object.entries(reply)) yield [key, String(value)]
  }
}
