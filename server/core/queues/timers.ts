/** What falls due in queues that nobody on any node takes from: lapses, expiry, dead letters that are kept long enough. */

import type { Store } from '../../store/contract/store.ts'
import { every } from '../every.ts'
import type { Telemetry } from '../telemetry.ts'
import { type HubQueueSettings, policyOf } from './settings.ts'

const ROUND_MS = 1_000
const QUEUES_A_ROUND = 100
/** Queues that are looked at together when settings have changed. */
const PAGE = 50
/** Each call does a bounded part; so often all are gone through before what is overdue by now is looked for. */
const PASSES = 100

/** Starts it; the result stops it and resolves when it is not at work. */
export function startTimers(store: Store, settings: HubQueueSettings, telemetry: Telemetry): () => Promise<void> {
  let stopped = false
  const round = async () => {
    for (;;) {
      const queues = await store.queues.overdue(QUEUES_A_ROUND)
      let pending = queues
      for (let pass = 0; pass < PASSES && pending.length > 0 && !stopped; pass++) {
        const unfinished: string[] = []
        for (const queue of pending) {
          if ((await store.queues.fireTimers(queue, policyOf(settings.forQueue(queue)))).more) unfinished.push(queue)
        }
        pending = unfinished
      }
      if ((queues.length < QUEUES_A_ROUND && pending.length === 0) || stopped) return
    }
  }
  // What is kept by a setting is looked at when that changes: nothing else makes it due.
  let changed = false
  const fireAll = async () => {
    let after: string | undefined
    do {
      const page = await store.queues.list(after === undefined ? { limit: PAGE } : { after, limit: PAGE })
      for (const { queue, counts } of page) {
        if (counts.dead > 0 && !stopped) await store.queues.fireTimers(queue, policyOf(settings.forQueue(queue)))
      }
      after = page.length < PAGE ? undefined : page.at(-1)?.queue
    } while (after !== undefined && !stopped)
  }
  const firing = every(
    ROUND_MS,
    async () => {
      if (changed) {
        changed = false
        await fireAll().catch((error: unknown) => {
          changed = true
          throw error
        })
      }
      await round()
    },
    (error) => telemetry.failed('firing the timers of queues', error),
  )
  const unlisten = settings.onChange(() => {
    changed = true
    firing.soon()
  })
  return () => {
    stopped = true
    unlisten()
    return firing.stop()
  }
}
