/**
 * Makes the indexes and figures of a queue anew from the records of its jobs, where an index names a job that is not
 * there, or a job is in no index. A job whose record is lost is dead-lettered by its number, so that it is told.
 */

import { mended } from '../../damage.ts'
import { newEpoch } from '../engine/epochs.ts'
import { ALL, afterPrefix, countOf, dueKey, nameKey, numberKey, partsOfDue } from '../engine/keys.ts'
import { TABLES } from '../engine/tables.ts'
import type { Plan } from '../engine/transaction.ts'
import { baseOf, isDeadName, type Queue, queueAnew, tellWork } from './storage/cache.ts'
import { SETS } from './storage/indexes.ts'
import type { QueueHalf } from './storage/jobSet.ts'
import { newJob, note } from './storage/jobs.ts'
import { type Books, newBooks, type QueueRecord } from './storage/records.ts'
import { pairsOf } from './storage/sortedIndex.ts'

/** Numbers that are left out where it is not known which were given. */
const MARGIN = 1_000_000
/** Lost jobs that are dead-lettered; what are more is told in one sentence. */
const LETTERS = 10_000
const NOTHING = Buffer.alloc(0)

/** Called before anything else of its plan works on the queue. */
export function mendQueue(plan: Plan, name: string): void {
  const base = baseOf(name)
  const record = plan.environment.get(TABLES.queues, nameKey(base))
  const found = record ?? lostQueues(plan, { has: (other) => other !== base }).get(base)
  if (found === undefined) plan.remove(TABLES.queues, nameKey(base))
  else mendRecord(plan, base, found)
}

export function mendRecord(plan: Plan, name: string, record: QueueRecord): void {
  const { main: books, dead: letters } = record
  const [named, namedDead] = [namedIn(plan, books), namedIn(plan, letters)]
  for (const half of [books, letters]) clear(plan, half)
  const queue = queueAnew(plan, name, record)
  for (const { half, numbers } of [
    { half: queue.main, numbers: named },
    { half: queue.dead, numbers: namedDead },
  ]) {
    forgetSuspects(plan, half)
    gather(plan, half)
    for (const n of numbers) if (half.job(n) !== undefined) numbers.delete(n)
  }
  bury(plan, queue, [...named].slice(0, LETTERS))
  tellWork(queue)
  plan.environment.damage.tell(mended(name, named.size + namedDead.size))
}

/** Numbers of the jobs that the indexes name. */
function namedIn(plan: Plan, { number }: Books): Set<number> {
  const prefix = numberKey(number)
  const named = new Set<number>()
  const byNumber: readonly number[] = [SETS.open, SETS.suspects, SETS.blocked, SETS.scheduled, SETS.retrying, SETS.line]
  for (const { key, value } of plan.environment.records(TABLES.pairs, { start: prefix, end: afterPrefix(prefix) })) {
    const kind = key[prefix.length] ?? 0
    if (kind === SETS.held) for (const { a } of pairsOf(value)) named.add(a)
    else if (byNumber.includes(kind)) for (const { b } of pairsOf(value)) named.add(b)
  }
  return named
}

/** Takes away the indexes as they are stored, and the figures that follow from the jobs. */
function clear(plan: Plan, books: Books): void {
  const prefix = numberKey(books.number)
  const all = { start: prefix, end: afterPrefix(prefix) }
  for (const key of plan.environment.keys(TABLES.pairs, all)) plan.remove(TABLES.pairs, key)
  if (books.turnAt > 0) plan.remove(TABLES.turns, dueKey(books.turnAt, 0, prefix))
  const none = { ready: 0, delayed: 0, held: 0, bytes: 0, suspects: 0, turnAt: 0 }
  Object.assign(books, { ...none, open: Array(10).fill(0) })
}

function forgetSuspects(plan: Plan, half: QueueHalf): void {
  const prefix = Buffer.concat([nameKey(half.name), Buffer.of(0)])
  for (const { value } of plan.environment.records(TABLES.holders, { start: prefix, end: afterPrefix(prefix) })) {
    const holder = half.holders.of(value)
    holder.record.suspects = 0
    half.holders.change(holder)
  }
}

/** Puts every job that is there into the indexes. */
function gather(plan: Plan, half: QueueHalf): void {
  const { books, isDead } = half
  const prefix = numberKey(books.number)
  const all = { start: prefix, end: afterPrefix(prefix) }
  const chunks = plan.environment.keys(TABLES.jobs, all)
  for (const key of chunks) {
    if (plan.get(TABLES.jobs, key) === undefined) plan.remove(TABLES.jobs, key)
    for (const job of half.jobsIn(countOf(key))) {
      books.lastJob = Math.max(books.lastJob, job.n)
      books.lastPlace = Math.max(books.lastPlace, job.place)
      books.handOuts = Math.max(books.handOuts, job.handOut)
      if (!isDead && job.key !== undefined && job.place > 0) half.line(job.key).add(job.line ?? job.place, job.n)
    }
  }
  for (const key of chunks) {
    for (const job of half.jobsIn(countOf(key))) {
      const isLined = !isDead && job.key !== undefined && job.place > 0
      if (isLined) job.blocked = job.state === 'ready' && half.line(job.key ?? '').first()?.b !== job.n
      half.readd(plan, job)
    }
  }
  half.settled.gather()
}

/** Letters for jobs of which nothing is known but their numbers. */
function bury(plan: Plan, { dead }: Queue, numbers: readonly number[]): void {
  const { now } = plan
  for (const n of numbers) {
    dead.books.lastJob++
    dead.books.lastPlace++
    dead.books.sent++
    const letter = newJob({
      n: dead.books.lastJob,
      id: `${n.toString(36)}-damaged`,
      sentAs: undefined,
      subject: '',
      key: undefined,
      priority: 4,
      sentAt: now,
      cameAt: now,
      replyBy: undefined,
      ttlMs: 0,
      bytes: 0,
      dueAt: now,
      place: dead.books.lastPlace,
      dead: { reason: 'rejected', error: 'damaged', at: now },
    })
    note(letter, { at: now, what: 'dead', why: 'damaged' })
    dead.add(plan, letter, { raw: NOTHING, bytes: 0 })
  }
}

/** Queues whose record is lost, by what falls due in them: their jobs are there. */
export function lostQueues(plan: Plan, known: { has(name: string): boolean }): Map<string, QueueRecord> {
  const found = new Map<string, QueueRecord>()
  const now = plan.now
  for (const { key, value } of plan.environment.range(TABLES.turns, ALL)) {
    const name = value.toString()
    const base = baseOf(name)
    if (known.has(base) || found.has(base)) continue
    const number = partsOfDue(key).key.readUInt32BE() - (isDeadName(name) ? 1 : 0)
    // Sessions and leases that were given are none of those that come.
    const ahead = { lastSession: now, handOuts: MARGIN }
    found.set(base, {
      main: { ...newBooks(number), ...ahead },
      dead: { ...newBooks(number + 1), ...ahead },
      secret: newEpoch() + newEpoch() + newEpoch(),
      deadMs: Number.MAX_SAFE_INTEGER,
      bindings: [],
    })
    plan.environment.damage.tell(`the record of queue ${base} was lost: its jobs are kept, its counts begin anew`)
  }
  return found
}
