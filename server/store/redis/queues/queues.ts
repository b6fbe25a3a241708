/** The contract's queues over Redis: what changes goes through a batcher, what reads does not wait for it. */

import type { Queues, Schedules } from '../../contract/store.ts'
import { listNamed } from '../listing.ts'
import type { Operation } from '../scripting/batcher.ts'
import { lifeStep, tellParents } from '../scripting/lifeCodec.ts'
import { readQueueNotification } from '../scripting/notifications.ts'
import type { Part } from '../scripting/queueCodec.ts'
import * as codec from '../scripting/queueCodec.ts'
import { progress } from './progress.ts'
import { type QueuesContext, readAnswer, readFinished, readInfo, readJobs, readSession } from './reads.ts'
import { createSchedules } from './schedules.ts'
import { enqueue } from './send.ts'

const DEAD = '/dead'

export function partsOf(queue: string): [name: string, part: Part] {
  return queue.endsWith(DEAD) ? [queue.slice(0, -DEAD.length), 'd'] : [queue, 'm']
}

export function createQueues(context: QueuesContext, now: () => Promise<number>): Queues & Schedules {
  const { router, keys, queueBatcher: batcher, subscriptions, durable } = context
  const run = async <T>(queue: string, operationOn: (part: Part) => Operation<T>): Promise<T> => {
    const [name, part] = partsOf(queue)
    return (await batcher.run(name, operationOn(part))).value
  }

  return {
    enqueue: async (queue, given) => {
      const { value, replicas } = await batcher.run(queue, enqueue(queue, given))
      return { ...value, durability: durable.reached(replicas) }
    },

    claim: (queue, given) => run(queue, (part) => codec.claim(queue, part, given)),
    settle: (queue, settlements, policy, by, next) =>
      run(queue, (part) => codec.settle(queue, part, settlements, policy, by, next)),
    progress: (queue, reports, policy) => run(queue, (part) => progress(queue, part, reports, policy)),
    attach: (queue, consumer, options) => run(queue, (part) => codec.attach(part, consumer, options)),

    session: (queue, consumer) => {
      const [name, part] = partsOf(queue)
      return readSession(context, name, part, consumer)
    },

    detach: (queue, consumer, session, leaving, policy) =>
      run(queue, (part) => codec.detach(part, consumer, session, leaving, policy)),
    touch: (queue, consumers) => run(queue, (part) => codec.touch(part, consumers)),

    jobs: (queue, query) => readJobs(context, ...partsOf(queue), query),
    awaitEnd: (queue, id, until) => run(queue, () => codec.awaitEnd(id, until)),
    finished: (queue, query) => readFinished(context, queue, query),
    purge: (queue, query, keep) => run(queue, (part) => codec.purge(part, query, keep)),
    runNow: (queue, ids) => run(queue, (part) => codec.runNow(part, ids)),
    redrive: (queue, ids, { ttlMs }) => run(queue, () => codec.redrive(ids, ttlMs)),
    pause: (queue, paused) => run(queue, (part) => codec.pause(part, paused)),
    drop: (queue) => run(queue, codec.drop),
    answer: (queue, id) => readAnswer(context, partsOf(queue)[0], id),

    list: async (query) => {
      context.refuseClosed()
      return await listNamed(router, keys.queues, query, (name) => readInfo(context, name, ...partsOf(name)))
    },

    tellParents: async (queue, ended) => (await batcher.run(queue, tellParents(ended))).value,
    life: async (queue, step) => (await batcher.run(queue, lifeStep(step))).value,
    bind: (queue, topic, position) => run(queue, () => codec.bind(queue, topic, position)),

    ...createSchedules(context, now),

    watch: async (queue, listener) => {
      context.refuseClosed()
      return subscriptions.add(keys.queueChannel(partsOf(queue)[0]), readQueueNotification, {
        heard: listener,
        lost: () => listener({ kind: 'lost' }),
      })
    },
  }
}
