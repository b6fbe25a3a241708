/** A key of which all nodes hear when it has changed, by a channel of its name; what has become of it they read. */

import { WAIT_MS } from '../../contract/basics.ts'
import type { Command } from './connection.ts'
import type { Router } from './router.ts'
import type { Subscriptions } from './subscriptions.ts'

export interface Hint {
  /** Changes the key and tells all nodes; this one at once. */
  change(command: Command): Promise<unknown>
  /** The result ends it. */
  watch(listener: () => void): () => void
}

/** `unheard`: others are not heard, and that is tried again. */
export function createHint(
  router: Router,
  subscriptions: Subscriptions,
  key: string,
  unheard: (error: unknown) => void,
): Hint {
  const own = new Set<() => void>()
  return {
    change: async (command) => {
      const [reply] = await router.ask(key, command, ['SPUBLISH', key, ''])
      for (const tell of [...own]) tell()
      return reply
    },

    watch: (listener) => {
      let stopped = false
      let stop: (() => void) | undefined
      const tell = (): void => {
        if (!stopped) listener()
      }
      own.add(tell)
      const begin = (): void => {
        subscriptions
          .add(key, () => true, { heard: tell, lost: tell })
          .then(
            (undo) => {
              if (stopped) return undo()
              stop = undo
              // What was changed before it could be heard.
              tell()
            },
            (error) => {
              if (stopped) return
              unheard(error)
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
