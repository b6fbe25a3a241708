/** What falls due in queues that nobody on any node takes from: lapses, expiry, dead letters that are kept long enough. */

import type { Store } from '../../store/contract.ts'
import { every } from '../every.ts'
import type { Happenings } from '../happenings.ts'
import { type HubQueueSettings, policyOf } from './settings.ts'

const TURN_MS = 1_000
const QUEUES_A_ROUND = 100

/** Starts it; the result stops it and resolves when it is not at work. */
export function startTurning(store: Store, settings: HubQueueSettings, happenings: Happenings): () => Promise<void> {
  const round = async () => {
    for (;;) {
      const queues = await store.queues.overdue(QUEUES_A_ROUND)
      for (const queue of queues) await store.queues.turn(queue, policyOf(settings.forQueue(queue)))
      if (queues.length < QUEUES_A_ROUND) return
    }
  }
  return every(TURN_MS, round, (error) => happenings.failed('turning queues', error))
}
