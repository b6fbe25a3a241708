/** What falls due by itself: leases that lapse, jobs whose time has come, expiry. A bounded part at each call. */

import type { Owner, QueuePolicy } from '../../contract/store.ts'
import { backoffOf, maxAttemptsOf, overrunOf } from '../../jobs/jobPolicy.ts'
import { LIFE_MS } from '../../life/life.ts'
import type { Transaction } from '../engine/transaction.ts'
import { deadLetter, keepPolicy, removeJob, tripBreaker } from './deadLetters.ts'
import { trimFinished } from './finished.ts'
import { INDEXES } from './storage/indexes.ts'
import type { JobSet } from './storage/jobSet.ts'
import { endLease, type Job, note, ttlAtOf } from './storage/jobs.ts'
import type { Queue } from './storage/queue.ts'

/** Jobs of each kind. */
const PART = 100
/** Jobs that take over another order of deliveries. */
const REGROUPED = 1_000

/** Done first by each call that works on leases, and last: for what it made due itself. Answers whether more is due. */
export function fireTimers(transaction: Transaction, queue: Queue, policy: QueuePolicy, part = PART): boolean {
  keepPolicy(queue, policy)
  let more = false
  for (const jobSet of [queue.main, queue.dead]) {
    if (fireTimersOf(transaction, queue, jobSet, policy, part)) more = true
  }
  tripBreaker(transaction, queue, policy)
  queue.life.fire(transaction, queue.name)
  return more
}

function fireTimersOf(
  transaction: Transaction,
  queue: Queue,
  jobSet: JobSet,
  policy: QueuePolicy,
  part: number,
): boolean {
  const { now } = transaction
  if (jobSet.nextTimerAt(policy.deadMs) > now) return false
  // How many they are, nobody knows.
  jobSet.expiresFrom = queue.life.room === 0 ? now + LIFE_MS : 0
  jobSet.ready.regroup(REGROUPED, (n) => jobSet.indexed(n, 'ready'))
  const lapsed: Job[] = []
  for (let job = jobSet.nextLapse(); job !== undefined && job.expiresAt <= now; job = jobSet.nextLapse()) {
    if (lapsed.length === part) break
    lapsed.push(job)
    const { consumer } = job
    lapse(transaction, queue, jobSet, job, policy)
    if (consumer !== undefined) transaction.lose(jobSet.name, { kind: 'lapsed', consumer, jobs: 1 })
    jobSet.refresh()
  }
  tellLapsed(transaction, queue, lapsed)

  for (const kind of [INDEXES.retrying, INDEXES.scheduled]) {
    const due = jobSet.indexes.of(kind)
    for (let done = 0, first = due.first(); done < part && first !== undefined && first.a <= now; done++) {
      const job = jobSet.indexed(first.b, 'delayed')
      jobSet.change(job, () => {
        if (job.sequence === 0) jobSet.sequence(job)
        job.state = 'ready'
      })
      first = due.first()
    }
  }
  jobSet.refresh()

  const expired = jobSet.isDead ? now - policy.deadMs : now
  for (let done = 0; done < part && jobSet.expiresFrom === 0; done++) {
    const job = jobSet.nextExpiry()
    if (job === undefined || (jobSet.isDead ? job.cameAt : ttlAtOf(job)) > expired) break
    if (jobSet.isDead) removeJob(transaction, queue, jobSet, job, policy.keep)
    else deadLetter(transaction, queue, job, 'expired')
    jobSet.refresh()
  }
  jobSet.ready.groups.wake(now, part)
  trimFinished(transaction, queue, policy.keep)
  return jobSet.nextTimerAt(policy.deadMs) <= now
}

/** What is told to a consumer of a job that it held. */
export type Held = readonly [consumer: Owner | undefined, text: string]

/** The same for each consumer by itself. */
export function byConsumer(held: readonly Held[]): Iterable<[Owner, string[]]> {
  const told = new Map<string, [Owner, string[]]>()
  for (const [consumer, text] of held) {
    if (consumer === undefined) continue
    const name = `${consumer.subject}\0${consumer.client}`
    const known = told.get(name)
    if (known === undefined) told.set(name, [consumer, [text]])
    else known[1].push(text)
  }
  return told.values()
}

export function tellLapsed(transaction: Transaction, queue: Queue, jobs: readonly Job[]): void {
  for (const [consumer, ids] of byConsumer(jobs.map(({ consumer, id }) => [consumer, id]))) {
    transaction.notifyQueue(queue.name, { kind: 'lapsed', consumer, ids })
  }
}

/** The lease of a held job is over. It can still be settled while no other delivery has begun. */
export function lapse(transaction: Transaction, queue: Queue, jobSet: JobSet, job: Job, policy: QueuePolicy): void {
  // One that ends before its cap does so for another reason.
  const isAtCap = job.capped && transaction.now >= job.capAt
  if (job.alone || isAtCap) {
    const error = isAtCap ? overrunOf(job, jobSet.isDead, transaction.now) : undefined
    fail(transaction, queue, jobSet, job, policy, 'lapsed', error)
    return
  }
  note(job, transaction.now, 'suspect', job.consumer)
  jobSet.change(job, () => {
    job.state = 'ready'
    job.dueAt = transaction.now
    job.suspect = true
    if (!jobSet.isDead) job.startedAt = 0
  })
  if (!jobSet.isDead) queue.life.tell('retrying', job.id, { dueAt: job.dueAt })
}

/** A failure of a held job: another attempt later, or the dead letters. */
export function fail(
  transaction: Transaction,
  queue: Queue,
  jobSet: JobSet,
  job: Job,
  policy: QueuePolicy,
  what: 'retry' | 'lapsed',
  error?: string,
  delayMs?: number,
): void {
  note(job, transaction.now, what, job.consumer, error)
  jobSet.change(job, () => {
    job.attempts++
    job.state = 'delayed'
    job.dueAt = transaction.now + (delayMs ?? backoffOf(job, policy))
  })
  const isLast = job.attempts >= maxAttemptsOf(job, policy)
  const told = error ?? (what === 'lapsed' ? what : undefined)
  if (!jobSet.isDead) queue.life.failed(job.id, job.attempts, told, isLast ? undefined : job.dueAt)
  if (!jobSet.isDead && isLast) {
    deadLetter(transaction, queue, job, 'max_attempts', error)
    return
  }
  if (!jobSet.isDead) job.startedAt = 0
  if (what !== 'retry') return
  endLease(job)
  job.suspect = false
}
