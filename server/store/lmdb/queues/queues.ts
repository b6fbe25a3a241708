/** The contract's queues over LMDB: which call plans what, and which only reads. */

import type { QueueInfo, QueueNotification, Queues } from '../../contract/store.ts'
import { dueKey } from '../engine/keys.ts'
import type { Listeners } from '../engine/listeners.ts'
import { TABLES } from '../engine/tables.ts'
import type { Writer } from '../engine/writer.ts'
import { bind, pause, purge, redrive, remove } from './admin.ts'
import { claim } from './claim.ts'
import { attach, detach, touch } from './consumers.ts'
import { StoredQueue } from './reads.ts'
import { enqueue } from './send.ts'
import { settle } from './settle.ts'
import { storedSession } from './storage/consumerRecords.ts'
import { baseOf } from './storage/queue.ts'
import { fireTimers } from './timers.ts'

export function createQueues(writer: Writer, listeners: Listeners<QueueNotification>, maxIds: number): Queues {
  return {
    enqueue: (queue, given) => writer.write((transaction) => enqueue(transaction, queue, given, maxIds)),
    claim: (queue, given) => writer.write((transaction) => claim(transaction, queue, given)),
    settle: (queue, settlements, policy, by, next) =>
      writer.write((transaction) => settle(transaction, queue, settlements, policy, by, next)),
    attach: (queue, consumer, options) => writer.write((transaction) => attach(transaction, queue, consumer, options)),
    session: (queue, consumer) => writer.read((environment) => storedSession(environment, queue, consumer)),
    detach: (queue, consumer, session, leaving, policy) =>
      writer.write((transaction) => detach(transaction, queue, consumer, session, leaving, policy)),
    touch: (queue, consumers) => writer.write((transaction) => touch(transaction, queue, consumers)),

    fireTimers: (name, policy) =>
      writer.write((transaction) => {
        const queue = transaction.queue(name)
        if (queue === undefined) return { more: false }
        const more = fireTimers(transaction, queue, policy)
        const at = queue.jobSet(name).nextDueAt
        return { more, ...(Number.isFinite(at) && { nextAt: Math.max(at, transaction.now) }) }
      }),

    overdue: (limit) =>
      writer.readWithTime((environment, now) => {
        const names = new Set<string>()
        const end = dueKey(now + 1, 0, Buffer.alloc(0))
        for (const { value } of environment.range(TABLES.timers, { start: Buffer.of(0), end })) {
          if (names.size >= limit) break
          names.add(baseOf(value.toString()))
        }
        return [...names]
      }),

    jobs: (queue, { state, after, limit }) =>
      writer.read((environment) => StoredQueue.of(environment, queue)?.jobs(state, after, limit) ?? []),
    job: (queue, id) => writer.read((environment) => StoredQueue.of(environment, queue)?.job(id)),
    remove: (queue, id) => writer.write((transaction) => remove(transaction, queue, id)),
    purge: (queue, query) => writer.write((transaction) => purge(transaction, queue, query)),
    redrive: (queue, ids, options) => writer.write((transaction) => redrive(transaction, queue, ids, options.ttlMs)),
    pause: (queue, paused) => writer.write((transaction) => pause(transaction, queue, paused)),
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

    bind: (queue, topic, position) => writer.write((transaction) => bind(transaction, queue, topic, position)),

    watch: async (queue, listener) => {
      writer.refuseClosed()
      return listeners.add(baseOf(queue), listener)
    },
  }
}
