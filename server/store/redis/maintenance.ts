/** One bounded part of forgetting what is over its time, topic by topic and queue by queue as they fall due. */

import type { Swept } from '../contract/store.ts'
import { failure } from './connection/errors.ts'
import { type Router, WAIT_MS } from './connection/router.ts'
import type { QueuesContext } from './queues/reads.ts'
import { type PartSwept, sweep } from './scripting/codec.ts'
import type { TopicsContext } from './topics/topics.ts'

/** Topics, and queues, looked at in one part, and at a time: what others write waits behind those. */
const PART = 100
const AT_A_TIME = 4

export async function sweepPart(
  { router, keys, batcher }: TopicsContext,
  { queueBatcher }: QueuesContext,
  now: number,
): Promise<Swept> {
  try {
    const [topics, queues] = await Promise.all([
      sweepThose(router, keys.due, now, async (topic) => (await batcher.run(topic, sweep())).value),
      sweepThose(router, keys.queuesDue, now, async (queue) => (await queueBatcher.run(queue, sweep())).value),
    ])
    return {
      ids: topics.ids + queues.ids,
      producers: topics.producers + queues.producers,
      cursors: topics.cursors,
      more: topics.more || queues.more,
    }
  } catch (error) {
    throw failure(error)
  }
}

async function sweepThose(
  router: Router,
  key: string,
  now: number,
  sweepOne: (name: string) => Promise<PartSwept>,
): Promise<Swept> {
  const range = ['ZRANGEBYSCORE', key, '-inf', String(now), 'LIMIT', '0', String(PART)] as const
  const [names] = (await router.run(key, [range], performance.now() + WAIT_MS)) as [Buffer[]]
  let [ids, producers, cursors, more] = [0, 0, 0, names.length === PART]
  const sweepNamed = async (member: Buffer) => {
    const name = member.toString()
    const part = await sweepOne(name)
    ids += part.ids
    producers += part.producers
    cursors += part.cursors
    more ||= part.more
    const again = part.dueAt === '' ? (['ZREM', key, name] as const) : (['ZADD', key, part.dueAt, name] as const)
    await router.run(key, [again], performance.now() + WAIT_MS)
  }
  let failed: PromiseRejectedResult | undefined
  for (let at = 0; at < names.length; at += AT_A_TIME) {
    const outcomes = await Promise.allSettled(names.slice(at, at + AT_A_TIME).map(sweepNamed))
    const failures = outcomes.filter((outcome) => outcome.status === 'rejected')
    failed ??= failures[0]
    // A part of the servers may be away; where all of them are, the rest fails as well.
    if (failures.length === outcomes.length) break
  }
  if (failed !== undefined) throw failed.reason
  return { ids, producers, cursors, more }
}
