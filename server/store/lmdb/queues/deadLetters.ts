/** The way of a job into the dead letters, back out of them, and away. */

import type { DeadReason, QueuePolicy } from '../../contract/store.ts'
import type { Transaction } from '../engine/transaction.ts'
import { keepAnswer } from './requests.ts'
import { forgetId } from './storage/jobNames.ts'
import type { JobSet } from './storage/jobSet.ts'
import { type Job, newJob, note } from './storage/jobs.ts'
import type { Queue } from './storage/queue.ts'

/** The policy counts for what falls due without one, too. */
export function keepPolicy(queue: Queue, { deadMs }: QueuePolicy): void {
  if (queue.record.deadMs !== deadMs) queue.record.deadMs = Math.min(deadMs, Number.MAX_SAFE_INTEGER)
}

/** Moves a job; in the dead letters already, it stays where it is. */
export function deadLetter(transaction: Transaction, queue: Queue, job: Job, reason: DeadReason, error?: string): void {
  const { main, dead } = queue
  const { now } = transaction
  const raw = main.bodies.raw(job)
  const consumer = reason === 'expired' ? undefined : job.consumer
  main.take(transaction, job)
  keepAnswer(transaction, queue, job, { state: 'failed', reason, ...(error !== undefined && { error }) })
  dead.counters.sent++
  const { id, sentAs, subject, key, priority, sentAt, replyBy, ttlMs, bytes, attempts, deliveries, history } = job
  const letter = newJob({
    ...{ id, sentAs, subject, key, priority, sentAt, replyBy, ttlMs, bytes, attempts, deliveries, history },
    ...dead.next(),
    cameAt: now,
    dueAt: now,
    dead: { reason, at: now, ...(error !== undefined && { error }) },
  })
  note(letter, { at: now, what: 'dead', ...(consumer !== undefined && { holder: consumer }), why: error ?? reason })
  dead.add(transaction, letter, { raw, bytes })
  transaction.lose(queue.name, { kind: 'dead', reason, jobs: 1 })
}

/** Back to the end of the queue, as if it were new. */
export function revive(transaction: Transaction, queue: Queue, letter: Job, ttlMs: number): void {
  const { main, dead } = queue
  const { now } = transaction
  const raw = dead.bodies.raw(letter)
  dead.take(transaction, letter)
  dead.counters.removed++
  const { id, sentAs, subject, key, priority, sentAt, bytes, deliveries, history } = letter
  const job = newJob({
    ...{ id, sentAs, subject, key, priority, sentAt, bytes, deliveries, history },
    ...main.next(),
    cameAt: now,
    replyBy: undefined,
    ttlMs,
    dueAt: now,
    dead: undefined,
  })
  note(job, { at: now, what: 'redriven' })
  main.add(transaction, job, { raw, bytes })
}

/** Takes a job out of the counters as removed, and its id out of memory. */
export function removeJob(transaction: Transaction, queue: Queue, jobSet: JobSet, job: Job): void {
  jobSet.take(transaction, job)
  jobSet.counters.removed++
  forgetId(transaction, queue, job)
  if (jobSet.isDead) queue.main.counters.removed++
  else keepAnswer(transaction, queue, job, { state: 'failed', reason: 'removed' })
}
