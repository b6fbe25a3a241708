/** The way of a job into the dead letters, back out of them, and away. */

import type { DeadReason, QueuePolicy } from '../../contract/store.ts'
import type { Plan } from '../engine/transaction.ts'
import { keepAnswer } from './requests.ts'
import type { Queue } from './storage/cache.ts'
import { forgetId } from './storage/jobNames.ts'
import type { QueueHalf } from './storage/jobSet.ts'
import { type Job, newJob, note } from './storage/jobs.ts'

/** The policy counts for what falls due without one, too. */
export function keepPolicy(queue: Queue, { deadMs }: QueuePolicy): void {
  if (queue.record.deadMs !== deadMs) queue.record.deadMs = Math.min(deadMs, Number.MAX_SAFE_INTEGER)
}

/** Moves a job; in the dead letters already, it stays where it is. */
export function deadLetter(plan: Plan, queue: Queue, job: Job, reason: DeadReason, error?: string): void {
  const { main, dead } = queue
  const { now } = plan
  const raw = main.bodies.raw(job)
  const holder = reason === 'expired' ? undefined : job.holder
  main.take(plan, job)
  keepAnswer(plan, queue, job, { state: 'failed', reason, ...(error !== undefined && { error }) })
  const { books } = dead
  books.lastJob++
  books.lastPlace++
  books.sent++
  const { id, sentAs, subject, key, priority, sentAt, replyBy, ttlMs, bytes, attempts, deliveries, history } = job
  const letter = newJob({
    ...{ id, sentAs, subject, key, priority, sentAt, replyBy, ttlMs, bytes, attempts, deliveries, history },
    n: books.lastJob,
    cameAt: now,
    dueAt: now,
    place: books.lastPlace,
    dead: { reason, at: now, ...(error !== undefined && { error }) },
  })
  note(letter, { at: now, what: 'dead', ...(holder !== undefined && { holder }), why: error ?? reason })
  dead.add(plan, letter, { raw, bytes })
  plan.lose(queue.name, { kind: 'dead', reason, jobs: 1 })
}

/** Back to the end of the queue, as if it were new. */
export function redrive(plan: Plan, queue: Queue, letter: Job, ttlMs: number): void {
  const { main, dead } = queue
  const { now } = plan
  const raw = dead.bodies.raw(letter)
  dead.take(plan, letter)
  dead.books.removed++
  const { books } = main
  books.lastJob++
  books.lastPlace++
  const { id, sentAs, subject, key, priority, sentAt, bytes, deliveries, history } = letter
  const job = newJob({
    ...{ id, sentAs, subject, key, priority, sentAt, bytes, deliveries, history },
    n: books.lastJob,
    cameAt: now,
    replyBy: undefined,
    ttlMs,
    dueAt: now,
    place: books.lastPlace,
    dead: undefined,
  })
  note(job, { at: now, what: 'redriven' })
  main.add(plan, job, { raw, bytes })
}

/** Takes a job out of the books as removed, and its id out of memory. */
export function removeJob(plan: Plan, queue: Queue, half: QueueHalf, job: Job): void {
  half.take(plan, job)
  half.books.removed++
  forgetId(plan, queue, job)
  if (half.isDead) queue.main.books.removed++
  else keepAnswer(plan, queue, job, { state: 'failed', reason: 'removed' })
}
