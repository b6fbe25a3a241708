/** What is due by itself, a bounded part at a time: timers of queues, and what is over its time, topic by topic and queue by queue. */

import { FORGET_MS } from '../contract/basics.ts'
import type { Maintained, Store } from '../contract/store.ts'
import { failure } from './connection/errors.ts'
import { partsOf } from './queues/queues.ts'
import type { QueuesContext } from './queues/reads.ts'
import { type PartSwept, sweep } from './scripting/codec.ts'
import { fireTimers } from './scripting/queueCodec.ts'
import type { TopicsContext } from './topics/topics.ts'

/** Topics, and queues, looked at in one part, and at a time: what others write waits behind those. */
const PART = 100
const AT_A_TIME = 4

const NOTHING: Maintained = { ids: 0, producers: 0, cursors: 0, more: false }

export function createMaintenance(
  { router, keys, batcher }: TopicsContext,
  { queueBatcher }: QueuesContext,
  now: () => Promise<number>,
): Store['maintain'] {
  let forgotAt = Number.NEGATIVE_INFINITY

  const fire = async (policyOf: Parameters<Store['maintain']>[0], queue: string) => {
    const [name, part] = partsOf(queue)
    const { value } = await queueBatcher.run(name, fireTimers(part, policyOf(queue)))
    if (!value.more) await queueBatcher.settleDue(name)
    return { ...NOTHING, ...value }
  }

  /** Those with something due, by the sorted set that names them. */
  const each = async (key: string, time: number, work: (name: string) => Promise<Maintained>): Promise<Maintained> => {
    const range = ['ZRANGEBYSCORE', key, '-inf', String(time), 'LIMIT', '0', String(PART)] as const
    const [names] = (await router.ask(key, range)) as [Buffer[]]
    let done = { ...NOTHING, more: names.length === PART }
    let failed: PromiseRejectedResult | undefined
    for (let at = 0; at < names.length; at += AT_A_TIME) {
      const outcomes = await Promise.allSettled(names.slice(at, at + AT_A_TIME).map((name) => work(name.toString())))
      for (const outcome of outcomes) if (outcome.status === 'fulfilled') done = sum(done, outcome.value)
      const failures = outcomes.filter((outcome) => outcome.status === 'rejected')
      failed ??= failures[0]
      // A part of the servers may be away; where all of them are, the rest fails as well.
      if (failures.length === outcomes.length) break
    }
    if (failed !== undefined) throw failed.reason
    return done
  }

  /** Forgets one part of a name, and says when it is to be looked at again. */
  const forget = async (key: string, name: string, swept: Promise<{ readonly value: PartSwept }>) => {
    const { value } = await swept
    const again = value.dueAt === '' ? (['ZREM', key, name] as const) : (['ZADD', key, value.dueAt, name] as const)
    await router.ask(key, again)
    return value
  }

  const forgetPart = async (time: number): Promise<Maintained> => {
    if (Math.abs(time - forgotAt) < FORGET_MS) return NOTHING
    const [topics, queues] = await Promise.all([
      each(keys.due, time, (name) => forget(keys.due, name, batcher.run(name, sweep()))),
      each(keys.queuesDue, time, (name) => forget(keys.queuesDue, name, queueBatcher.run(name, sweep()))),
    ])
    const forgotten = sum(topics, queues)
    if (!forgotten.more) forgotAt = time
    return forgotten
  }

  return async (policyOf, queue) => {
    try {
      if (queue !== undefined) return await fire(policyOf, queue)
      const time = await now()
      const [fired, forgotten] = await Promise.allSettled([
        each(keys.timers, time, (name) => fire(policyOf, name)),
        forgetPart(time),
      ])
      if (fired.status === 'rejected') throw fired.reason
      if (forgotten.status === 'rejected') throw forgotten.reason
      const { ids, producers, cursors, more } = forgotten.value
      return { ids, producers, cursors, more: more || fired.value.more }
    } catch (error) {
      throw failure(error)
    }
  }
}

function sum(a: Maintained, b: Maintained): Maintained {
  return {
    ids: a.ids + b.ids,
    producers: a.producers + b.producers,
    cursors: a.cursors + b.cursors,
    more: a.more || b.more,
  }
}
