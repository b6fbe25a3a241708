/** The contract's queues over LMDB: which call plans what, and which only reads. */

import type { QueueInfo, QueueNotification, Queues } from '../../contract/store.ts'
import { dueKey } from '../engine/keys.ts'
import type { Watches } from '../engine/listeners.ts'
import { TABLES } from '../engine/tables.ts'
import type { Writer } from '../engine/writer.ts'
import { planBind, planPause, planPurge, planRedrive, planRemove } from './admin.ts'
import { planClaim } from './claim.ts'
import { planAttach, planDetach, planTouch } from './consumers.ts'
import { StoredQueue } from './reads.ts'
import { planEnqueue } from './send.ts'
import { planSettle } from './settle.ts'
import { baseOf, halfOf, queueIn, tellWork } from './storage/cache.ts'
import { storedSession } from './storage/consumerRecords.ts'
import { turn } from './timers.ts'

export function createQueues(writer: Writer, watches: Watches<QueueNotification>, maxIds: number): Queues {
  return {
    enqueue: (queue, enqueue) => writer.write((plan) => planEnqueue(plan, queue, enqueue, maxIds)),
    claim: (queue, claim) => writer.write((plan) => planClaim(plan, queue, claim)),
    settle: (queue, settlements, policy, by) =>
      writer.write((plan) => planSettle(plan, queue, settlements, policy, by)),
    attach: (queue, holder, options) => writer.write((plan) => planAttach(plan, queue, holder, options)),
    session: (queue, holder) => writer.read((environment) => storedSession(environment, queue, holder)),
    detach: (queue, holder, session, leaving, policy) =>
      writer.write((plan) => planDetach(plan, queue, holder, session, leaving, policy)),
    touch: (queue, holders) => writer.write((plan) => planTouch(plan, queue, holders)),

    turn: (name, policy) =>
      writer.write((plan) => {
        const queue = queueIn(plan, name)
        if (queue === undefined) return { more: false }
        const more = turn(plan, queue, policy)
        tellWork(queue)
        const at = halfOf(queue, name).nextDueAt
        return { more, ...(Number.isFinite(at) && { nextAt: Math.max(at, plan.now) }) }
      }),

    overdue: (limit) =>
      writer.readWithTime((environment, now) => {
        const names = new Set<string>()
        const end = dueKey(now + 1, 0, Buffer.alloc(0))
        for (const { value } of environment.range(TABLES.turns, { start: Buffer.of(0), end })) {
          if (names.size >= limit) break
          names.add(baseOf(value.toString()))
        }
        return [...names]
      }),

    jobs: (queue, { state, after, limit }) =>
      writer.read((environment) => StoredQueue.of(environment, queue)?.jobs(state, after, limit) ?? []),
    job: (queue, id) => writer.read((environment) => StoredQueue.of(environment, queue)?.job(id)),
    remove: (queue, id) => writer.write((plan) => planRemove(plan, queue, id)),
    purge: (queue, query) => writer.write((plan) => planPurge(plan, queue, query)),
    redrive: (queue, ids, options) => writer.write((plan) => planRedrive(plan, queue, ids, options.ttlMs)),
    pause: (queue, paused) => writer.write((plan) => planPause(plan, queue, paused)),
    answer: (queue, id) =>
      writer.readWithTime((environment, now) => StoredQueue.of(environment, queue)?.answer(id, now)),
    info: (queue) => writer.readWithTime((environment, now) => StoredQueue.of(environment, queue)?.info(now)),

    list: ({ after, limit }) =>
      writer.readWithTime((environment, now) => {
        const start = Buffer.concat([Buffer.from(after ?? ''), Buffer.of(0)])
        const queues: QueueInfo[] = []
        for (const key of environment.keys(TABLES.queues, { start, end: Buffer.of(0xff), limit })) {
          const queue = StoredQueue.of(environment, key.toString())
          if (queue !== undefined) queues.push(queue.info(now))
        }
        return queues
      }),

    bind: (queue, topic, position) => writer.write((plan) => planBind(plan, queue, topic, position)),

    watch: async (queue, listener) => {
      writer.refuseClosed()
      return watches.add(baseOf(queue), listener)
    },
  }
}
