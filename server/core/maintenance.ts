/** What is due in the store by itself: timers of queues that nobody on any node takes from, and what is over its time. */

import type { QueuePolicy, Store } from '../store/contract/store.ts'
import { every } from './every.ts'
import { type HubQueueSettings, policyOf } from './queues/settings.ts'
import type { Telemetry } from './telemetry.ts'

const ROUND_MS = 1_000
/** Queues that are looked at together when settings have changed. */
const PAGE = 50

/** Starts it; the result stops it and resolves when it is not at work. */
export function startMaintenance(store: Store, settings: HubQueueSettings, telemetry: Telemetry): () => Promise<void> {
  let stopped = false
  let changed = false
  const policyFor = (queue: string): QueuePolicy => policyOf(settings.forQueue(queue))
  // What is kept by a setting is looked at when that changes: nothing else makes it due.
  const fireAll = async () => {
    let after: string | undefined
    do {
      const page = await store.queues.list({ after, limit: PAGE })
      for (const { queue, counts } of page) {
        if (counts.dead > 0 && !stopped) await store.maintain(policyFor, queue)
      }
      after = page.length < PAGE ? undefined : page.at(-1)?.queue
    } while (after !== undefined && !stopped)
  }
  const round = async () => {
    if (changed) {
      changed = false
      await fireAll().catch((error: unknown) => {
        changed = true
        throw error
      })
    }
    while ((await store.maintain(policyFor)).more && !stopped);
  }
  const rounds = every(ROUND_MS, round, (error) => telemetry.failed('maintaining the store', error))
  const unlisten = settings.onChange(() => {
    changed = true
    rounds.soon()
  })
  return () => {
    stopped = true
    unlisten()
    return rounds.stop()
  }
}
