/** One bounded part of forgetting what is over its time, topic by topic as they fall due. */

import type { Swept } from '../contract.ts'
import { failure } from './failures.ts'
import { sweep } from './operations.ts'
import { WAIT_MS } from './router.ts'
import type { TopicsContext } from './topics.ts'

/** Topics looked at in one part. */
const PART = 100

export async function sweepPart({ router, keys, lanes }: TopicsContext, now: number): Promise<Swept> {
  try {
    const range = ['ZRANGEBYSCORE', keys.due, '-inf', String(now), 'LIMIT', '0', String(PART)] as const
    const [names] = (await router.run(keys.due, [range], performance.now() + WAIT_MS)) as [Buffer[]]
    let [ids, producers, cursors, more] = [0, 0, 0, names.length === PART]
    const topics = names.map(async (name) => {
      const topic = name.toString()
      const { value } = await lanes.run(topic, sweep())
      ids += value.ids
      producers += value.producers
      cursors += value.cursors
      more ||= value.more
      const again =
        value.dueAt === '' ? (['ZREM', keys.due, topic] as const) : (['ZADD', keys.due, value.dueAt, topic] as const)
      await router.run(keys.due, [again], performance.now() + WAIT_MS)
    })
    await Promise.all(topics)
    return { ids, producers, cursors, more }
  } catch (error) {
    throw failure(error)
  }
}
