/**
 * Makes the indexes and figures of a queue anew from the records of its jobs, where an index names a job that is not
 * there, or a job is in no index. A job whose record is lost is dead-lettered by its number, so that it is told.
 */

import { mended } from '../../damage.ts'
import { newEpoch } from '../../token.ts'
import { ALL, countOf, dueKey, nameKey, numberKey, partsOfDue, under } from '../engine/keys.ts'
import { TABLES, type Table } from '../engine/tables.ts'
import type { Transaction } from '../engine/transaction.ts'
import { childEnded, LOST, lostChildren } from './children.ts'
import { failParent } from './deadLetters.ts'
import { INDEXES } from './storage/indexes.ts'
import type { JobSet } from './storage/jobSet.ts'
import { newJob, note } from './storage/jobs.ts'
import { baseOf, isDeadName, type Queue } from './storage/queue.ts'
import { type Counters, newCounters, type QueueRecord } from './storage/records.ts'
import { pairsOf } from './storage/sortedIndex.ts'

/** Numbers that are left out where it is not known which were given. */
const MARGIN = 1_000_000
/** Lost jobs that are dead-lettered; what are more is told in one sentence. */
const LETTERS = 10_000
const NOTHING = Buffer.alloc(0)

/** Called before anything else of its transaction works on the queue. */
export function mendQueue(transaction: Transaction, name: string): void {
  const base = baseOf(name)
  const record = transaction.environment.get(TABLES.queues, nameKey(base))
  const found = record ?? lostQueues(transaction, { has: (other) => other !== base }).get(base)
  if (found === undefined) transaction.remove(TABLES.queues, nameKey(base))
  else mendRecord(transaction, base, found)
}

export function mendRecord(transaction: Transaction, name: string, record: QueueRecord): void {
  const { main: counters, dead: letters } = record
  const [named, namedDead] = [namedIn(transaction, counters), namedIn(transaction, letters)]
  for (const jobSet of [counters, letters]) clear(transaction, jobSet)
  const queue = transaction.queueAnew(name, record)
  for (const { jobSet, numbers } of [
    { jobSet: queue.main, numbers: named },
    { jobSet: queue.dead, numbers: namedDead },
  ]) {
    forgetSuspects(transaction, jobSet)
    gather(transaction, jobSet)
    for (const n of numbers) if (jobSet.job(n) !== undefined) numbers.delete(n)
  }
  queue.finished.gather(transaction)
  deadLetterLost(transaction, queue, [...named].slice(0, LETTERS))
  for (const child of lostChildren(transaction, queue)) {
    failParent(transaction, queue, childEnded(transaction, queue, child, 'dead', { error: LOST }))
  }
  transaction.environment.damage.tell(mended(name, named.size + namedDead.size))
}

/** Numbers of the jobs that the indexes name. */
function namedIn(transaction: Transaction, { number }: Counters): Set<number> {
  const prefix = numberKey(number)
  const named = new Set<number>()
  const byNumber: readonly number[] = [
    INDEXES.ready,
    INDEXES.suspects,
    INDEXES.blocked,
    INDEXES.scheduled,
    INDEXES.retrying,
    INDEXES.line,
    INDEXES.grouped,
    INDEXES.waiting,
  ]
  for (const { key, value } of transaction.environment.records(TABLES.pairs, under(prefix))) {
    const kind = key[prefix.length] ?? 0
    if (kind === INDEXES.heldBy) for (const { a } of pairsOf(value)) named.add(a)
    else if (byNumber.includes(kind)) for (const { b } of pairsOf(value)) named.add(b)
  }
  return named
}

/** Takes away the indexes as they are stored, and the figures that follow from the jobs. */
function clear(transaction: Transaction, counters: Counters): void {
  const prefix = numberKey(counters.number)
  for (const table of [TABLES.pairs, TABLES.groups] as Table<unknown>[]) {
    for (const key of transaction.environment.keys(table, under(prefix))) transaction.remove(table, key)
  }
  if (counters.turnAt > 0) transaction.remove(TABLES.timers, dueKey(counters.turnAt, 0, prefix))
  const none = { ready: 0, delayed: 0, held: 0, waiting: 0, bytes: 0, suspects: 0, turnAt: 0, inGroups: 0, resting: 0 }
  Object.assign(counters, { ...none, open: Array(10).fill(0) })
}

function forgetSuspects(transaction: Transaction, jobSet: JobSet): void {
  const prefix = Buffer.concat([nameKey(jobSet.name), Buffer.of(0)])
  for (const { value } of transaction.environment.records(TABLES.consumers, under(prefix))) {
    const consumer = jobSet.consumers.of(value)
    consumer.record.suspects = 0
    jobSet.consumers.change(consumer)
  }
}

/** Puts every job that is there into the indexes. */
function gather(transaction: Transaction, jobSet: JobSet): void {
  const { counters, isDead } = jobSet
  const chunks = transaction.environment.keys(TABLES.jobs, under(numberKey(counters.number)))
  for (const key of chunks) {
    if (transaction.get(TABLES.jobs, key) === undefined) transaction.remove(TABLES.jobs, key)
    for (const job of jobSet.jobsIn(countOf(key))) {
      counters.lastJob = Math.max(counters.lastJob, job.n)
      counters.lastPlace = Math.max(counters.lastPlace, job.sequence)
      counters.handOuts = Math.max(counters.handOuts, job.handOut)
      if (!isDead && job.key !== undefined && job.sequence > 0)
        jobSet.line(job.key).add(job.line ?? job.sequence, job.n)
    }
  }
  for (const key of chunks) {
    for (const job of jobSet.jobsIn(countOf(key))) {
      const isLined = !isDead && job.key !== undefined && job.sequence > 0
      if (isLined) job.blocked = job.state === 'ready' && jobSet.line(job.key ?? '').first()?.b !== job.n
      jobSet.readd(transaction, job)
    }
  }
  jobSet.settled.gather()
}

/** Letters for jobs of which nothing is known but their numbers. */
function deadLetterLost(transaction: Transaction, { dead }: Queue, numbers: readonly number[]): void {
  const { now } = transaction
  for (const n of numbers) {
    dead.counters.sent++
    const letter = newJob({
      ...dead.next(),
      id: `${n.toString(36)}-damaged`,
      sentAs: undefined,
      subject: '',
      key: undefined,
      group: undefined,
      priority: 4,
      sentAt: now,
      cameAt: now,
      replyBy: undefined,
      ttlMs: 0,
      policy: undefined,
      bytes: 0,
      dueAt: now,
      dead: { reason: 'rejected', error: 'damaged', at: now },
    })
    note(letter, now, 'dead', undefined, 'damaged')
    dead.add(transaction, letter, { raw: NOTHING, bytes: 0 })
  }
}

/** Queues whose record is lost, by what falls due in them: their jobs are there. */
export function lostQueues(transaction: Transaction, known: { has(name: string): boolean }): Map<string, QueueRecord> {
  const found = new Map<string, QueueRecord>()
  const now = transaction.now
  for (const { key, value } of transaction.environment.range(TABLES.timers, ALL)) {
    const name = value.toString()
    const base = baseOf(name)
    if (known.has(base) || found.has(base)) continue
    const number = partsOfDue(key).key.readUInt32BE() - (isDeadName(name) ? 1 : 0)
    // Sessions and leases that were given are none of those that come.
    const ahead = { lastSession: now, handOuts: MARGIN }
    found.set(base, {
      main: { ...newCounters(number), ...ahead },
      dead: { ...newCounters(number + 1), ...ahead },
      secret: newEpoch() + newEpoch() + newEpoch(),
      deadMs: Number.MAX_SAFE_INTEGER,
      bindings: [],
    })
    transaction.environment.damage.tell(
      `the record of queue ${base} was lost: its jobs are kept, its counts begin anew`,
    )
  }
  return found
}
