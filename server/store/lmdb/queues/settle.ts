/** The step that ends or changes leases. */

import type { Body, Claim, Owner, QueuePolicy, Settled, Settlement, SettleOutcome } from '../../contract/store.ts'
import { releasePauseMs } from '../../jobs/releases.ts'
import { orRefusal } from '../../refusals.ts'
import type { Transaction } from '../engine/transaction.ts'
import { claim, holdAgain } from './claim.ts'
import { deadLetter } from './deadLetters.ts'
import { finish, trimFinished } from './finished.ts'
import { keepAnswer } from './requests.ts'
import { isAttached } from './storage/consumerRecords.ts'
import type { JobSet } from './storage/jobSet.ts'
import { endLease, extendLease, type Job, note, numberIn } from './storage/jobs.ts'
import type { Queue } from './storage/queue.ts'
import { OUTCOMES } from './storage/settledLeases.ts'
import { byConsumer, fail, fireTimers, type Held } from './timers.ts'

export function settle(
  transaction: Transaction,
  name: string,
  settlements: readonly Settlement[],
  policy: QueuePolicy,
  by?: Owner,
  next?: Claim,
): SettleOutcome {
  const settled = settleAll(transaction, name, settlements, policy, by)
  if (next === undefined) return { settled }
  // It is refused before it has changed anything: what was settled stays so.
  return { settled, claimed: orRefusal(() => claim(transaction, name, next)) }
}

function settleAll(
  transaction: Transaction,
  name: string,
  settlements: readonly Settlement[],
  policy: QueuePolicy,
  by: Owner | undefined,
): Settled[] {
  const queue = transaction.queue(name)
  if (queue === undefined) return settlements.map(() => 'lost')
  fireTimers(transaction, queue, policy)
  const jobSet = queue.jobSet(name)
  const ended: Held[] = []
  const settled = settlements.map((settlement) => settleOne(transaction, queue, jobSet, settlement, policy, ended))
  tellOthers(transaction, queue, jobSet, by, ended)
  fireTimers(transaction, queue, policy, settlements.length)
  trimFinished(transaction, queue, policy.keep)
  return settled
}

function settleOne(
  transaction: Transaction,
  queue: Queue,
  jobSet: JobSet,
  settlement: Settlement,
  policy: QueuePolicy,
  ended: Held[],
): Settled {
  const { id, lease, as } = settlement
  const job = jobSet.job(numberIn(lease, '.'))
  if (job === undefined || job.lease !== lease || job.id !== id) {
    if (as === 'extend') return 'lost'
    const handOut = numberIn(lease.slice(lease.indexOf('.') + 1), '.')
    return jobSet.settled.isKnown(handOut, lease, OUTCOMES[as], transaction.now) ? 'ok' : 'lost'
  }
  if (as === 'extend') return extend(transaction, jobSet, job, settlement.leaseMs)

  remember(transaction, jobSet, job, as)
  if (job.state === 'held') ended.push([job.consumer, lease])
  if (as === 'done') done(transaction, queue, jobSet, job, policy, settlement.reply)
  else if (as === 'dead' && !jobSet.isDead) {
    deadLetter(transaction, queue, job, 'rejected', settlement.error)
  } else if (job.state !== 'held') {
    jobSet.change(job, () => {
      endLease(job)
      job.suspect = false
    })
  } else if (as === 'retry') {
    fail(transaction, queue, jobSet, job, policy, 'retry', settlement.error, settlement.delayMs)
  } else if (as === 'dead') {
    // It is where it belongs; delivered again at once it would go round without an end.
    fail(transaction, queue, jobSet, job, policy, 'retry', settlement.error)
  } else release(transaction, queue, jobSet, job, settlement.inPlace !== true)
  return 'ok'
}

/** The same again is `ok` for a while. */
export function remember(transaction: Transaction, jobSet: JobSet, job: Job, as: keyof typeof OUTCOMES): void {
  jobSet.settled.remember(job.handOut, job.lease, OUTCOMES[as], transaction.now)
}

function done(
  transaction: Transaction,
  queue: Queue,
  jobSet: JobSet,
  job: Job,
  { keep }: QueuePolicy,
  reply: Body | undefined,
): void {
  queue.life.done(job.id, job.attempts + 1, reply)
  finish(transaction, queue, jobSet, job, 'done', keep, reply)
  jobSet.counters.done++
  if (jobSet.isDead) queue.main.counters.done++
  else {
    queue.ended.done++
    keepAnswer(transaction, queue, job, { state: 'done', ...(reply !== undefined && { reply }) })
  }
}

/**
 * Given back, no attempt and no suspicion: at its place again as its consumer leaves; or, with `isBehind`, behind what
 * waits, after a pause where the same consumer gives it back again and again.
 */
export function release(transaction: Transaction, queue: Queue, jobSet: JobSet, job: Job, isBehind: boolean): void {
  const pauseMs = isBehind && job.consumer !== undefined ? releasePauseMs(job.history, job.consumer) : 0
  note(job, transaction.now, 'release', job.consumer)
  jobSet.change(job, () => {
    endLease(job)
    job.state = pauseMs > 0 ? 'delayed' : 'ready'
    job.dueAt = transaction.now + pauseMs
    job.suspect = false
    if (!jobSet.isDead) job.startedAt = 0
    if (isBehind) jobSet.moveBehind(job)
  })
  if (!jobSet.isDead) queue.life.tell('retrying', job.id, { dueAt: job.dueAt })
}

/** Leases that were settled by somebody else than their consumer, who has to hear of it. */
function tellOthers(
  transaction: Transaction,
  queue: Queue,
  jobSet: JobSet,
  by: Owner | undefined,
  leases: readonly Held[],
): void {
  for (const [consumer, texts] of byConsumer(leases)) {
    if (consumer.subject === by?.subject && consumer.client === by.client) continue
    if (!isAttached(jobSet.consumers.of(consumer).record, transaction.now)) continue
    transaction.notifyQueue(queue.name, { kind: 'settled', consumer, leases: texts })
  }
}

function extend(transaction: Transaction, jobSet: JobSet, job: Job, leaseMs: number): Settled {
  const { now } = transaction
  if (job.state !== 'held') {
    if (job.capAt <= now) return 'lost'
    holdAgain(jobSet, job, now, leaseMs)
  } else {
    jobSet.touch(job)
    extendLease(job, now, leaseMs)
  }
  return job.expiresAt < now + leaseMs ? { expiresAt: job.expiresAt } : 'ok'
}
