/**
 * Queues inside a commit. They stay in memory for the next one, as their own changes are the only ones; what was changed
 * for a commit that failed, or was planned anew, is forgotten and read again.
 */

import { randomBytes } from 'node:crypto'
import { DamagedQueue } from '../../../damage.ts'
import type { Environment } from '../../engine/environment.ts'
import { storeRecord } from '../../engine/epochs.ts'
import { nameKey } from '../../engine/keys.ts'
import { STORE_KEY, TABLES } from '../../engine/tables.ts'
import type { Transaction } from '../../engine/transaction.ts'
import { checkOnce } from './check.ts'
import { JobSet } from './jobSet.ts'
import { newCounters, type QueueRecord } from './records.ts'

export interface Queue {
  readonly name: string
  readonly record: QueueRecord
  readonly main: JobSet
  readonly dead: JobSet
  /** From when on the listeners know that there is something to claim: 0 for now; of the queue and its dead letters. */
  readonly workAt: [number, number]
  /** What they are to be told of that at the end of the commit. */
  readonly tellAt: [number, number]
  /** The record as it is stored. */
  stored: string
}

interface Cache {
  /** The last transaction that used it. */
  transaction: Transaction
  readonly queues: Map<string, Queue>
}

/** Chunks of jobs that stay in memory for all queues together, and queues. */
const KEPT_CHUNKS = 1_024
const KEPT_QUEUES = 256

const caches = new WeakMap<Environment, Cache>()
const inPlan = new WeakMap<Transaction, Set<Queue>>()

const DEAD = '/dead'
const NOTHING = Number.POSITIVE_INFINITY

export function isDeadName(name: string): boolean {
  return name.endsWith(DEAD)
}

export function baseOf(name: string): string {
  return isDeadName(name) ? name.slice(0, -DEAD.length) : name
}

function cacheOf(transaction: Transaction): Cache {
  let cache = caches.get(transaction.environment)
  if (cache === undefined) {
    cache = { transaction, queues: new Map() }
    caches.set(transaction.environment, cache)
  }
  if (cache.transaction !== transaction) {
    if (!cache.transaction.isCommitted) cache.queues.clear()
    cache.transaction = transaction
    let chunks = 0
    for (const { main, dead } of cache.queues.values()) chunks += main.size + dead.size
    for (const [name, { main, dead }] of cache.queues) {
      if (chunks <= KEPT_CHUNKS && cache.queues.size <= KEPT_QUEUES) break
      chunks -= main.size + dead.size
      cache.queues.delete(name)
    }
  }
  return cache
}

/** The queue of this name or of these dead letters; `undefined` for an unknown one. */
export function queueIn(transaction: Transaction, name: string): Queue | undefined {
  const base = baseOf(name)
  const { queues } = cacheOf(transaction)
  let queue = queues.get(base)
  if (queue === undefined) {
    const record = transaction.environment.get(TABLES.queues, nameKey(base))
    if (record === undefined && transaction.isDamaged(TABLES.queues, nameKey(base))) throw new DamagedQueue(base)
    if (record === undefined) return undefined
    queue = makeQueue(transaction, base, record, JSON.stringify(record))
    checkOnce(transaction.environment, base, [queue.main, queue.dead])
  }
  // The one used last is forgotten last.
  queues.delete(base)
  queues.set(base, queue)
  join(transaction, queue)
  return queue
}

export function queueMade(transaction: Transaction, name: string): Queue {
  const known = queueIn(transaction, name)
  if (known !== undefined) return known
  transaction.needRoom('a new queue')
  const base = baseOf(name)
  const store = storeRecord(transaction)
  const number = store.lastTopicNumber + 1
  transaction.put(TABLES.store, STORE_KEY, { ...store, lastTopicNumber: number + 1 })
  const record = {
    main: newCounters(number),
    dead: newCounters(number + 1),
    secret: randomBytes(15).toString('hex'),
    deadMs: Number.MAX_SAFE_INTEGER,
    bindings: [],
  }
  const queue = makeQueue(transaction, base, record, '')
  cacheOf(transaction).queues.set(base, queue)
  join(transaction, queue)
  return queue
}

/** The queue with indexes that are being made anew; what they are is read again after this transaction. */
export function queueAnew(transaction: Transaction, name: string, record: QueueRecord): Queue {
  const { queues } = cacheOf(transaction)
  const queue = makeQueue(transaction, name, record, '', true)
  queues.set(name, queue)
  join(transaction, queue)
  transaction.atEnd(() => queues.delete(name))
  return queue
}

function makeQueue(
  { environment }: Transaction,
  name: string,
  record: QueueRecord,
  stored: string,
  isAnew = false,
): Queue {
  const main = new JobSet(environment, name, record.main, false, isAnew)
  const dead = new JobSet(environment, `${name}${DEAD}`, record.dead, true, isAnew)
  return { name, record, main, dead, workAt: [workAtOf(main), workAtOf(dead)], tellAt: [NOTHING, NOTHING], stored }
}

export function jobSetOf(queue: Queue, name: string): JobSet {
  return isDeadName(name) ? queue.dead : queue.main
}

/** At the transaction's end the queue hands over what changed. */
function join(transaction: Transaction, queue: Queue): void {
  const queues = inPlan.get(transaction) ?? new Set()
  inPlan.set(transaction, queues)
  if (queues.has(queue)) return
  queues.add(queue)
  transaction.atEnd(() => {
    const { record, main, dead } = queue
    for (const [i, jobSet] of [main, dead].entries()) {
      jobSet.complete(transaction, record.deadMs)
      const at = queue.tellAt[i] ?? NOTHING
      if (at < NOTHING) transaction.notifyQueue(queue.name, { kind: 'work', at: Math.max(at, transaction.now) })
      queue.tellAt[i as 0 | 1] = NOTHING
    }
    const text = JSON.stringify(record)
    if (text === queue.stored) return
    queue.stored = text
    transaction.put(TABLES.queues, nameKey(queue.name), record)
  })
}

function workAtOf(jobSet: JobSet): number {
  return jobSet.waiting > 0 ? 0 : jobSet.nextDueAt
}

/**
 * Called at the end of each step that may have brought work: the listeners are told where it comes earlier than they know,
 * but not of what a later step of the same commit has delivered.
 */
export function tellWork(queue: Queue): void {
  for (const i of [0, 1] as const) {
    const at = workAtOf(i === 0 ? queue.main : queue.dead)
    if (at < queue.workAt[i] || queue.tellAt[i] < NOTHING) queue.tellAt[i] = at
    queue.workAt[i] = at
  }
}
