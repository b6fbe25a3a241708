/** The step that ends or changes leases. */

import type { Body, Owner, QueuePolicy, Settled, Settlement } from '../../contract/store.ts'
import { releasePauseMs } from '../../releases.ts'
import type { Transaction } from '../engine/transaction.ts'
import { holdAgain } from './claim.ts'
import { deadLetter } from './deadLetters.ts'
import { keepAnswer } from './requests.ts'
import { jobSetOf, type Queue, queueIn, tellWork } from './storage/cache.ts'
import { isAttached } from './storage/consumerRecords.ts'
import type { JobSet } from './storage/jobSet.ts'
import { endLease, extendLease, type Job, note, numberIn } from './storage/jobs.ts'
import { OUTCOMES } from './storage/settledLeases.ts'
import { fail, turn } from './timers.ts'

export function settle(
  transaction: Transaction,
  name: string,
  settlements: readonly Settlement[],
  policy: QueuePolicy,
  by?: Owner,
): Settled[] {
  const queue = queueIn(transaction, name)
  if (queue === undefined) return settlements.map(() => 'lost')
  turn(transaction, queue, policy)
  const jobSet = jobSetOf(queue, name)
  const others = new OthersLeases(by)
  const settled = settlements.map((settlement) => settleOne(transaction, queue, jobSet, settlement, policy, others))
  others.tell(transaction, queue, jobSet)
  turn(transaction, queue, policy, settlements.length)
  tellWork(queue)
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
  if (as === 'done') finish(transaction, queue, jobSet, job, settlement.reply)
  else if (as === 'dead' && !jobSet.isDead) {
    deadLetter(transaction, queue, job, 'rejected', settlement.error)
  } else if (job.state !== 'held') {
    jobSet.unindex(job)
    endLease(job)
    job.suspect = false
    jobSet.index(job)
  } else if (as === 'dead') {
    // It is where it belongs; handed out again at once it would go round without an end.
    const { error } = settlement
    fail(transaction, queue, jobSet, job, policy, { what: 'retry', ...(error !== undefined && { error }) })
  } else if (as === 'retry') {
    const { error, delayMs } = settlement
    const given = { ...(error !== undefined && { error }), ...(delayMs !== undefined && { delayMs }) }
    fail(transaction, queue, jobSet, job, policy, { what: 'retry', ...given })
  } else release(transaction, jobSet, job)
  return 'ok'
}

/** The same again is `ok` for a while. */
export function remember(transaction: Transaction, jobSet: JobSet, job: Job, as: keyof typeof OUTCOMES): void {
  jobSet.settled.remember(job.handOut, job.lease, OUTCOMES[as], transaction.now)
}

function finish(transaction: Transaction, queue: Queue, jobSet: JobSet, job: Job, reply: Body | undefined): void {
  jobSet.take(transaction, job)
  jobSet.counters.done++
  if (jobSet.isDead) queue.main.counters.done++
  else keepAnswer(transaction, queue, job, { state: 'done', ...(reply !== undefined && { reply }) })
}

/** Behind what waits, after a pause where the same holder gives it back again and again; no attempt, no suspicion. */
function release(transaction: Transaction, jobSet: JobSet, job: Job): void {
  const pauseMs = job.holder === undefined ? 0 : releasePauseMs(job.history, job.holder)
  jobSet.unindex(job)
  endHold(transaction, job)
  jobSet.moveBehind(job)
  if (pauseMs > 0) job.state = 'delayed'
  job.dueAt = transaction.now + pauseMs
  jobSet.index(job)
}

/** At its place again, as its holder leaves. */
export function giveBack(transaction: Transaction, jobSet: JobSet, job: Job): void {
  jobSet.unindex(job)
  endHold(transaction, job)
  jobSet.index(job)
}

function endHold(transaction: Transaction, job: Job): void {
  note(job, { at: transaction.now, what: 'release', ...(job.holder !== undefined && { holder: job.holder }) })
  endLease(job)
  job.state = 'ready'
  job.dueAt = transaction.now
  job.suspect = false
}

/** Leases that were settled by somebody else than their holder, who has to hear of it. */
class OthersLeases {
  readonly #by: Owner | undefined
  readonly #byHolder = new Map<string, { readonly holder: Owner; readonly leases: string[] }>()

  constructor(by: Owner | undefined) {
    this.#by = by
  }

  note({ state, holder, lease }: Job): void {
    if (state !== 'held' || holder === undefined) return
    if (holder.subject === this.#by?.subject && holder.client === this.#by.client) return
    const name = `${holder.subject}\0${holder.client}`
    const known = this.#byHolder.get(name) ?? { holder, leases: [] }
    this.#byHolder.set(name, known)
    known.leases.push(lease)
  }

  tell(transaction: Transaction, queue: Queue, jobSet: JobSet): void {
    for (const { holder, leases } of this.#byHolder.values()) {
      if (!isAttached(jobSet.holders.of(holder).record, transaction.now)) continue
      transaction.notifyQueue(queue.name, { kind: 'settled', holder, leases })
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
