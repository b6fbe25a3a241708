/** The contract's queues over LMDB: which call plans what, and which only reads. */

import type { QueueInfo, QueueNotification, Queues, Schedules } from '../../contract/store.ts'
import { nameKey } from '../engine/keys.ts'
import type { Listeners } from '../engine/listeners.ts'
import { TABLES } from '../engine/tables.ts'
import type { Writer } from '../engine/writer.ts'
import { bind, drop, pause, purge, redrive, runNow } from './admin.ts'
import { claim } from './claim.ts'
import { attach, detach, touch } from './consumers.ts'
import { tellParents } from './deadLetters.ts'
import { awaitEnd, readFinished } from './finished.ts'
import { lifeStep } from './life/step.ts'
import { progress } from './progress.ts'
import { StoredQueue } from './reads.ts'
import { fireSchedule, putSchedule, removeSchedule, schedulesDue, storedSchedules } from './schedules.ts'
import { enqueue } from './send.ts'
import { settle } from './settle.ts'
import { storedSession } from './storage/consumerRecords.ts'
import { baseOf } from './storage/queue.ts'

export function createQueues(
  writer: Writer,
  listeners: Listeners<QueueNotification>,
  maxIds: number,
): Queues & Schedules {
  const scheduleListeners = new Set<() => void>()
  return {
    enqueue: (queue, given) => writer.write((transaction) => enqueue(transaction, queue, given, maxIds)),
    claim: (queue, given) => writer.write((transaction) => claim(transaction, queue, given)),
    settle: (queue, settlements, policy, by, next) =>
      writer.write((transaction) => settle(transaction, queue, settlements, policy, by, next)),
    progress: (queue, reports, policy) => writer.write((transaction) => progress(transaction, queue, reports, policy)),
    attach: (queue, consumer, options) => writer.write((transaction) => attach(transaction, queue, consumer, options)),
    session: (queue, consumer) => writer.read((environment) => storedSession(environment, queue, consumer)),
    detach: (queue, consumer, session, leaving, policy) =>
      writer.write((transaction) => detach(transaction, queue, consumer, session, leaving, policy)),
    touch: (queue, consumers) => writer.write((transaction) => touch(transaction, queue, consumers)),

    jobs: (queue, query) => writer.read((environment) => StoredQueue.of(environment, queue)?.jobs(query) ?? []),
    awaitEnd: (queue, id, until) => writer.write((transaction) => awaitEnd(transaction, queue, id, until)),
    finished: (queue, query) =>
      writer.readWithTime((environment, now) => {
        const record = environment.get(TABLES.queues, nameKey(queue))
        return record === undefined ? [] : readFinished(environment, record, query, now)
      }),
    purge: (queue, query, keep) => writer.write((transaction) => purge(transaction, queue, query, keep)),
    runNow: (queue, ids) => writer.write((transaction) => runNow(transaction, queue, ids)),
    redrive: (queue, ids, options) => writer.write((transaction) => redrive(transaction, queue, ids, options.ttlMs)),
    pause: (queue, paused) => writer.write((transaction) => pause(transaction, queue, paused)),
    drop: (queue) => writer.write((transaction) => drop(transaction, queue)),
    answer: (queue, id) =>
      writer.readWithTime((environment, now) => StoredQueue.of(environment, queue)?.answer(id, now)),
    list: (query) =>
      writer.readWithTime((environment, now) => {
        const infosOf = (names: readonly string[]): QueueInfo[] => {
          return names.flatMap((name) => StoredQueue.of(environment, name)?.info(now) ?? [])
        }
        if ('names' in query) return infosOf(query.names)
        const start = Buffer.concat([Buffer.from(query.after ?? ''), Buffer.of(0)])
        return infosOf(environment.keys(TABLES.queues, { start, end: Buffer.of(0xff), limit: query.limit }).map(String))
      }),

    tellParents: (queue, ended) => writer.write((transaction) => tellParents(transaction, queue, ended)),
    life: (queue, step) => writer.write((transaction) => lifeStep(transaction, transaction.queue(queue), step)),

    bind: (queue, topic, position) => writer.write((transaction) => bind(transaction, queue, topic, position)),

    putSchedule: async (queue, name, given) => {
      const version = await writer.write((transaction) => putSchedule(transaction, queue, name, given))
      for (const listener of [...scheduleListeners]) listener()
      return version
    },
    removeSchedule: (queue, name) => writer.write((transaction) => removeSchedule(transaction, queue, name)),
    fireSchedule: (queue, name, fire) =>
      writer.write((transaction) => fireSchedule(transaction, queue, name, fire, maxIds)),
    schedules: (queue, query) => writer.read((environment) => storedSchedules(environment, queue, query)),
    dueSchedules: (limit, without) =>
      writer.readWithTime((environment, now) => schedulesDue(environment, now, limit, without)),
    watchSchedules: (listener) => {
      const own = () => listener()
      scheduleListeners.add(own)
      return () => scheduleListeners.delete(own)
    },

    watch: async (queue, listener) => {
      writer.refuseClosed()
      return listeners.add(baseOf(queue), listener)
    },
  }
}
