/** Drops a queue that nobody uses, or says who does. */

import { setTimeout } from 'node:timers/promises'
import { RepriseError } from '../../../shared/errors.ts'
import type { Queues, QueueUse } from '../../store/contract/store.ts'

/** How long it waits for the life of an unused queue to be moved, and how often it looks. */
const LIFE_WAIT_MS = 5_000
const LIFE_LOOK_MS = 50

/** Rejects with `conflict` where it is in use; `false` where there is none. */
export async function dropUnused(queues: Queues, queue: string): Promise<boolean> {
  const until = performance.now() + LIFE_WAIT_MS
  for (let found = false; ; found = true) {
    const outcome = await queues.drop(queue)
    if (outcome === undefined) return found
    if ('use' in outcome) {
      if (!isSoonUnused(outcome.use) || performance.now() > until) throw inUse(queue, outcome.use)
      await setTimeout(LIFE_LOOK_MS)
    } else if (!outcome.more) return true
  }
}

/** Nothing keeps it but what is about to be moved to its topic or to other queues. */
function isSoonUnused({ life, ...others }: QueueUse): boolean {
  return life > 0 && Object.values(others).every((count) => count === 0)
}

function inUse(queue: string, { jobs, dead, consumers, bindings, schedules, life }: QueueUse): RepriseError {
  const reasons = [
    jobs > 0 && `${counted(jobs, 'job')} (purge them, or let them be worked off)`,
    dead > 0 && `${counted(dead, 'dead letter')} (purge ${queue}/dead)`,
    consumers > 0 && `${counted(consumers, 'consumer')} (end them; one that left without a word counts for a minute)`,
    bindings > 0 && `${counted(bindings, 'binding')} (end them by its settings: "from": [])`,
    schedules > 0 && `${counted(schedules, 'schedule')} (remove them)`,
    life > 0 && `${counted(life, 'record')} of its life or for its children that wait to be moved (try again)`,
  ].filter((reason) => reason !== false)
  return new RepriseError('conflict', `the queue ${queue} is in use: it has ${reasons.join(', ')}`)
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
