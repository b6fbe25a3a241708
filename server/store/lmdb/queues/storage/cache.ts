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
import type { Plan } from '../../engine/transaction.ts'
import { checkOnce } from './check.ts'
import { QueueHalf } from './jobSet.ts'
import { newBooks, type QueueRecord } from './records.ts'

export interface Queue {
  readonly name: string
  readonly record: QueueRecord
  readonly main: QueueHalf
  readonly dead: QueueHalf
  /** From when on the watches know that there is something to claim: 0 for now; of the queue and its dead letters. */
  readonly workAt: [number, number]
  /** What they are to be told of that at the end of the commit. */
  readonly tellAt: [number, number]
  /** The record as it is stored. */
  stored: string
}

interface Cache {
  /** The last plan that used it. */
  plan: Plan
  readonly queues: Map<string, Queue>
}

/** Chunks of jobs that stay in memory for all queues together, and queues. */
const KEPT_CHUNKS = 1_024
const KEPT_QUEUES = 256

const caches = new WeakMap<Environment, Cache>()
const inPlan = new WeakMap<Plan, Set<Queue>>()

const DEAD = '/dead'
const NOTHING = Number.POSITIVE_INFINITY

export function isDeadName(name: string): boolean {
  return name.endsWith(DEAD)
}

export function baseOf(name: string): string {
  return isDeadName(name) ? name.slice(0, -DEAD.length) : name
}

function cacheOf(plan: Plan): Cache {
  let cache = caches.get(plan.environment)
  if (cache === undefined) {
    cache = { plan, queues: new Map() }
    caches.set(plan.environment, cache)
  }
  if (cache.plan !== plan) {
    if (!cache.plan.isCommitted) cache.queues.clear()
    cache.plan = plan
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
export function queueIn(plan: Plan, name: string): Queue | undefined {
  const base = baseOf(name)
  const { queues } = cacheOf(plan)
  let queue = queues.get(base)
  if (queue === undefined) {
    const record = plan.environment.get(TABLES.queues, nameKey(base))
    if (record === undefined && plan.isDamaged(TABLES.queues, nameKey(base))) throw new DamagedQueue(base)
    if (record === undefined) return undefined
    queue = makeQueue(plan, base, record, JSON.stringify(record))
    checkOnce(plan.environment, base, [queue.main, queue.dead])
  }
  // The one used last is forgotten last.
  queues.delete(base)
  queues.set(base, queue)
  join(plan, queue)
  return queue
}

export function queueMade(plan: Plan, name: string): Queue {
  const known = queueIn(plan, name)
  if (known !== undefined) return known
  plan.needRoom('a new queue')
  const base = baseOf(name)
  const store = storeRecord(plan)
  const number = store.lastTopicNumber + 1
  plan.put(TABLES.store, STORE_KEY, { ...store, lastTopicNumber: number + 1 })
  const record = {
    main: newBooks(number),
    dead: newBooks(number + 1),
    secret: randomBytes(15).toString('hex'),
    deadMs: Number.MAX_SAFE_INTEGER,
    bindings: [],
  }
  const queue = makeQueue(plan, base, record, '')
  cacheOf(plan).queues.set(base, queue)
  join(plan, queue)
  return queue
}

/** The queue with indexes that are being made anew; what they are is read again after this plan. */
export function queueAnew(plan: Plan, name: string, record: QueueRecord): Queue {
  const { queues } = cacheOf(plan)
  const queue = makeQueue(plan, name, record, '', true)
  queues.set(name, queue)
  join(plan, queue)
  plan.atEnd(() => queues.delete(name))
  return queue
}

function makeQueue({ environment }: Plan, name: string, record: QueueRecord, stored: string, isAnew = false): Queue {
  const main = new QueueHalf(environment, name, record.main, false, isAnew)
  const dead = new QueueHalf(environment, `${name}${DEAD}`, record.dead, true, isAnew)
  return { name, record, main, dead, workAt: [workAtOf(main), workAtOf(dead)], tellAt: [NOTHING, NOTHING], stored }
}

export function halfOf(queue: Queue, name: string): QueueHalf {
  return isDeadName(name) ? queue.dead : queue.main
}

/** At the plan's end the queue hands over what changed. */
function join(plan: Plan, queue: Queue): void {
  const queues = inPlan.get(plan) ?? new Set()
  inPlan.set(plan, queues)
  if (queues.has(queue)) return
  queues.add(queue)
  plan.atEnd(() => {
    const { record, main, dead } = queue
    for (const [i, half] of [main, dead].entries()) {
      half.complete(plan, record.deadMs)
      const at = queue.tellAt[i] ?? NOTHING
      if (at < NOTHING) plan.notifyQueue(queue.name, { kind: 'work', at: Math.max(at, plan.now) })
      queue.tellAt[i as 0 | 1] = NOTHING
    }
    const text = JSON.stringify(record)
    if (text === queue.stored) return
    queue.stored = text
    plan.put(TABLES.queues, nameKey(queue.name), record)
  })
}

function workAtOf(half: QueueHalf): number {
  return half.waiting > 0 ? 0 : half.nextDueAt
}

/**
 * Called at the end of each step that may have brought work: the watches are told where it comes earlier than they know,
 * but not of what a later step of the same commit has handed out.
 */
export function tellWork(queue: Queue): void {
  for (const i of [0, 1] as const) {
    const at = workAtOf(i === 0 ? queue.main : queue.dead)
    if (at < queue.workAt[i] || queue.tellAt[i] < NOTHING) queue.tellAt[i] = at
    queue.workAt[i] = at
  }
}
