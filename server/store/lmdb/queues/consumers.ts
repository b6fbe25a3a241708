/** Sessions of consumers: how they come, that they are there, how they go. */

import type { Attached, Attaching, KeptLease, Leaving, Owner, QueuePolicy } from '../../contract/store.ts'
import { otherSession } from '../../refusals.ts'
import type { Transaction } from '../engine/transaction.ts'
import { release, remember } from './settle.ts'
import { type ConsumerEntry, isAttached } from './storage/consumerRecords.ts'
import type { JobSet } from './storage/jobSet.ts'
import { extendLease, type Job } from './storage/jobs.ts'
import { fireTimers, lapse, tellLapsed } from './timers.ts'

export function attach(
  transaction: Transaction,
  name: string,
  owner: Owner,
  { leaseMs, holding, since, policy }: Attaching,
): Attached {
  checkSince(transaction, name, owner, since)
  const queue = transaction.queueMade(name)
  fireTimers(transaction, queue, policy)
  const jobSet = queue.jobSet(name)
  const { now } = transaction
  const consumer = jobSet.consumers.of(owner)
  const { record } = consumer
  jobSet.counters.lastSession++
  Object.assign(record, { session: jobSet.counters.lastSession, attached: true, touchedAt: now })
  jobSet.consumers.change(consumer)

  const named = holding && new Set(holding)
  const held: KeptLease[] = []
  const lapsed: Job[] = []
  for (const job of jobsOf(jobSet, consumer)) {
    if (named === undefined || named.has(job.lease)) {
      jobSet.touch(job)
      extendLease(job, now, leaseMs)
      held.push({ id: job.id, lease: job.lease, expiresAt: job.expiresAt })
    } else {
      lapsed.push(job)
      lapse(transaction, queue, jobSet, job, policy)
    }
  }
  tellLapsed(transaction, queue, lapsed)
  transaction.notifyQueue(queue.name, {
    kind: 'session',
    consumer: owner,
    session: record.session,
    isDead: jobSet.isDead,
  })
  fireTimers(transaction, queue, policy, held.length + lapsed.length)
  return { session: record.session, held }
}

/** A call that is refused makes no queue. */
function checkSince(transaction: Transaction, name: string, owner: Owner, since: number | undefined): void {
  if (since === undefined) return
  const queue = transaction.queue(name)
  const session = queue === undefined ? 0 : queue.jobSet(name).consumers.of(owner).record.session
  if (session !== since) throw otherSession()
}

/** In the order of their deliveries. */
function jobsOf(jobSet: JobSet, consumer: ConsumerEntry): Job[] {
  const jobs = consumer.held.all()
  const held = jobs.map(({ a }) => jobSet.indexed(a, 'held'))
  return held.sort((a, b) => a.handOut - b.handOut)
}

export function detach(
  transaction: Transaction,
  name: string,
  owner: Owner,
  session: number,
  leaving: Leaving,
  policy: QueuePolicy,
): void {
  const queue = transaction.queue(name)
  if (queue === undefined) return
  const jobSet = queue.jobSet(name)
  fireTimers(transaction, queue, policy)
  const consumer = jobSet.consumers.of(owner)
  const { record } = consumer
  // A higher session is one that the store forgot: it ends what an earlier one of the consumer had.
  if (session < record.session || (session === record.session && !record.attached && leaving === 'keep')) return
  record.attached = false
  jobSet.consumers.change(consumer)
  const held = leaving === 'keep' ? [] : jobsOf(jobSet, consumer)
  const lapsed: Job[] = []
  for (const job of held) {
    if (leaving === 'release') {
      remember(transaction, jobSet, job, 'release')
      release(transaction, queue, jobSet, job, false)
    } else if (leaving !== 'keep' && leaving.graceMs <= 0) {
      lapsed.push(job)
      lapse(transaction, queue, jobSet, job, policy)
    } else if (leaving !== 'keep' && transaction.now + leaving.graceMs < job.expiresAt) {
      jobSet.touch(job)
      extendLease(job, transaction.now, leaving.graceMs)
    }
  }
  tellLapsed(transaction, queue, lapsed)
  fireTimers(transaction, queue, policy, held.length)
}

export function touch(transaction: Transaction, name: string, owners: readonly Owner[]): void {
  const queue = transaction.queue(name)
  if (queue === undefined) return
  const jobSet = queue.jobSet(name)
  for (const owner of owners) {
    const consumer = jobSet.consumers.of(owner)
    if (!isAttached(consumer.record, transaction.now)) continue
    consumer.record.touchedAt = transaction.now
    jobSet.consumers.change(consumer)
  }
}
