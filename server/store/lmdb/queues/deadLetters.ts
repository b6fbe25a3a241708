/** The way of a job into the dead letters, back out of them, and away. */

import { overIn, withEnded } from '../../breaker.ts'
import type { DeadReason, EndedChild, Keeping, QueuePolicy } from '../../contract/store.ts'
import type { Transaction } from '../engine/transaction.ts'
import { childEnded, endedElsewhere, type Failing } from './children.ts'
import { finish } from './finished.ts'
import { keepAnswer } from './requests.ts'
import { forgetId } from './storage/jobNames.ts'
import type { JobSet } from './storage/jobSet.ts'
import { type Job, newJob, note } from './storage/jobs.ts'
import { giveProgress, takeProgress } from './storage/payloads/progress.ts'
import type { Queue } from './storage/queue.ts'

/** The policy counts for what falls due without one, too. */
export function keepPolicy(queue: Queue, { deadMs, grouped = false, events = false }: QueuePolicy): void {
  queue.main.counters.grouped = grouped
  queue.life.isOn = events
  if (queue.record.deadMs !== deadMs) queue.record.deadMs = Math.min(deadMs, Number.MAX_SAFE_INTEGER)
}

/** Moves a job of the queue into its dead letters. */
export function deadLetter(transaction: Transaction, queue: Queue, job: Job, reason: DeadReason, error?: string): void {
  const { now } = transaction
  const { replyBy, ttlMs, attempts, startedAt } = job
  const consumer = reason === 'expired' ? undefined : job.consumer
  keepAnswer(transaction, queue, job, { state: 'failed', reason, ...(error !== undefined && { error }) })
  queue.dead.counters.sent++
  const dead = { reason, at: now, ...(error !== undefined && { error }) }
  const moved = move(transaction, queue.main, queue.dead, job, { replyBy, ttlMs, attempts, startedAt, dead })
  note(moved, now, 'dead', consumer, error ?? reason)
  transaction.lose(queue.name, { kind: 'dead', reason, jobs: 1 })
  if (reason !== 'expired' && reason !== 'child') queue.ended.dead++
  queue.life.tell('dead', job.id, { attempt: attempts, error: error ?? reason })
  failParent(transaction, queue, childEnded(transaction, queue, job, 'dead', { error: error ?? reason }))
}

/** Children in other queues have ended. */
export function tellParents(transaction: Transaction, name: string, ended: readonly EndedChild[]): void {
  const queue = transaction.queue(name)
  if (queue === undefined) return
  for (const one of ended) failParent(transaction, queue, endedElsewhere(transaction, queue, one))
}

/** A parent that waits goes with its child. */
export function failParent(transaction: Transaction, queue: Queue, failing: Failing | undefined): void {
  if (failing === undefined) return
  deadLetter(transaction, queue, failing.parent, 'child', failing.error)
}

/** The queue pauses itself where too much of what ended of late went to the dead letters. */
export function tripBreaker(transaction: Transaction, queue: Queue, { breaker }: QueuePolicy): void {
  const { record, ended } = queue
  const { done, dead } = ended
  Object.assign(ended, { done: 0, dead: 0 })
  if (breaker === undefined || done + dead === 0 || record.main.paused) return
  record.outcomes = withEnded(record.outcomes, transaction.now, { done, dead })
  const over = dead === 0 ? undefined : overIn(record.outcomes, breaker)
  if (over === undefined) return
  record.main.paused = true
  record.tripped = { at: transaction.now, dead: over.dead, ended: over.dead + over.done }
  delete record.outcomes
  transaction.notifyQueue(queue.name, { kind: 'changed' })
  transaction.lose(queue.name, { kind: 'tripped', jobs: over.dead, ended: over.dead + over.done })
}

/** Back to the end of the queue, as if it were new. */
export function revive(transaction: Transaction, queue: Queue, letter: Job, ttlMs: number): void {
  queue.dead.counters.removed++
  const as = { replyBy: undefined, ttlMs, attempts: 0, startedAt: 0, dead: undefined }
  queue.life.tell('retrying', letter.id, { dueAt: transaction.now })
  note(move(transaction, queue.dead, queue.main, letter, as), transaction.now, 'redriven')
}

function move(
  transaction: Transaction,
  from: JobSet,
  to: JobSet,
  job: Job,
  as: Pick<Job, 'replyBy' | 'ttlMs' | 'attempts' | 'startedAt' | 'dead'>,
): Job {
  const { now } = transaction
  const raw = from.bodies.raw(job)
  const progress = takeProgress(transaction, from, job)
  from.take(transaction, job)
  const moved = newJob({ ...job, ...as, ...to.next(), state: 'ready', cameAt: now, dueAt: now })
  giveProgress(transaction, to, moved, progress)
  to.add(transaction, moved, { raw, bytes: job.bytes })
  return moved
}

/** Takes a job out of the counters as removed, and its id out of memory. */
export function removeJob(transaction: Transaction, queue: Queue, jobSet: JobSet, job: Job, keep?: Keeping): void {
  const failing = finish(transaction, queue, jobSet, job, 'removed', keep)
  jobSet.counters.removed++
  forgetId(transaction, queue, job)
  queue.life.tell('removed', job.id)
  if (jobSet.isDead) queue.main.counters.removed++
  else keepAnswer(transaction, queue, job, { state: 'failed', reason: 'removed' })
  failParent(transaction, queue, failing)
}
