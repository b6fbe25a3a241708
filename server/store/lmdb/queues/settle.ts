/** The step that ends or changes leases. */

import type { Body, Claim, Owner, QueuePolicy, Settled, Settlement, SettleOutcome } from '../../contract/store.ts'
import { releasePauseMs } from '../../jobs/releases.ts'
import { orRefusal } from '../../refusal.ts'
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
import { fail, fireTimers } from './timers.ts'

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
  const others = new OthersLeases(by)
  const settled = settlements.map((settlement) => settleOne(transaction, queue, jobSet, settlement, policy, others))
  others.tell(transaction, queue, jobSet)
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
  others: OthersLeases,
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
  others.note(job)
  if (as === 'done') done(transaction, queue, jobSet, job, policy, settlement.reply)
  else if (as === 'dead' && !jobSet.isDead) {
    deadLetter(transaction, queue, job, 'rejected', settlement.error)
  } else if (job.state !== 'held') {
    jobSet.change(job, () => {
      endLease(job)
      job.suspect = false
    })
  } else if (as === 'dead') {
    // It is where it belongs; delivered again at once it would go round without an end.
    const { error } = settlement
    fail(transaction, queue, jobSet, job, policy, { what: 'retry', ...(error !== undefined && { error }) })
  } else if (as === 'retry') {
    const { error, delayMs } = settlement
    const given = { ...(error !== undefined && { error }), ...(delayMs !== undefined && { delayMs }) }
    fail(transaction, queue, jobSet, job, policy, { what: 'retry', ...given })
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
  note(job, { at: transaction.now, what: 'release', ...(job.consumer !== undefined && { holder: job.consumer }) })
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
class OthersLeases {
  readonly #by: Owner | undefined
  readonly #byConsumer = new Map<string, { readonly consumer: Owner; readonly leases: string[] }>()

  constructor(by: Owner | undefined) {
    this.#by = by
  }

  note({ state, consumer, lease }: Job): void {
    if (state !== 'held' || consumer === undefined) return
    if (consumer.subject === this.#by?.subject && consumer.client === this.#by.client) return
    const name = `${consumer.subject}\0${consumer.client}`
    const known = this.#byConsumer.get(name) ?? { consumer, leases: [] }
    this.#byConsumer.set(name, known)
    known.leases.push(lease)
  }

  tell(transaction: Transaction, queue: Queue, jobSet: JobSet): void {
    for (const { consumer, leases } of this.#byConsumer.values()) {
      if (!isAttached(jobSet.consumers.of(consumer).record, transaction.now)) continue
      transaction.notifyQueue(queue.name, { kind: 'settled', consumer, leases })
    }
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
