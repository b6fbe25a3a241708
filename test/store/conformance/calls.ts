/** Calls of the contract in the few words that its tests use. */

import type {
  Bounds,
  JobInfo,
  Keeping,
  Maintained,
  QueuePolicy,
  Queues,
  Retention,
  Store,
  Topics,
} from '../../../server/store/contract/store.ts'
import { RepriseError } from '../../../shared/errors.ts'

export const POLICY: QueuePolicy = { maxAttempts: 3, backoffMs: [1_000, 5_000], deadMs: 14 * 86_400_000 }

/** What is known of a topic or a queue. */
export async function infoOf<T>(
  of: { list(query: { readonly names: readonly string[] }): Promise<T[]> },
  name: string,
): Promise<T | undefined> {
  return (await of.list({ names: [name] }))[0]
}

export async function jobOf(queues: Queues, queue: string, id: string): Promise<JobInfo | undefined> {
  return (await queues.jobs(queue, { ids: [id] }))[0]
}

export async function remove(queues: Queues, queue: string, id: string, keep?: Keeping): Promise<boolean> {
  return (await queues.purge(queue, { ids: [id] }, keep)) === 1
}

/** Applies a retention; answers what is known of the log then. */
export async function trim(topics: Topics, topic: string, retain: Retention): Promise<Bounds> {
  await topics.append(topic, { subject: 'ann', drafts: [], retain })
  return await topics.read(topic, Number.MAX_SAFE_INTEGER, { events: 1, bytes: 1 })
}

/** One part of what is due in the store. */
export function maintain(store: Store): Promise<Maintained> {
  return store.maintain(() => POLICY)
}

/** Does one part of what is due in the store; answers whose timers were fired. */
export async function firedIn(store: Store): Promise<string[]> {
  const names: string[] = []
  await store.maintain((queue) => {
    names.push(queue)
    return POLICY
  })
  return names
}

/** Calls that are done, of which each so-manieth is not answered. */
export function losing(oneIn: number) {
  let calls = 0
  return <A extends unknown[], T>(call: (...args: A) => Promise<T>) => {
    return async (...args: A): Promise<T> => {
      const answer = await call(...args)
      if (++calls % oneIn === 0) throw new RepriseError('unavailable', 'the answer was lost')
      return answer
    }
  }
}
