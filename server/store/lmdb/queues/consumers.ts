/** Sessions of holders: how they come, that they are there, how they go. */

import { RepriseError } from '../../../../shared/errors.ts'
import type { Attached, Attaching, KeptLease, Leaving, Owner, QueuePolicy } from '../../contract/store.ts'
import type { Plan } from '../engine/transaction.ts'
import { giveBack, remember } from './settle.ts'
import { halfOf, queueIn, queueMade, tellWork } from './storage/cache.ts'
import { type Holder, isAttached } from './storage/consumerRecords.ts'
import type { QueueHalf } from './storage/jobSet.ts'
import { extendLease, type Job } from './storage/jobs.ts'
import { lapse, tellLapsed, turn } from './timers.ts'

export function planAttach(
  plan: Plan,
  name: string,
  owner: Owner,
  { leaseMs, holding, since, policy }: Attaching,
): Attached {
  checkSince(plan, name, owner, since)
  const queue = queueMade(plan, name)
  turn(plan, queue, policy)
  const half = halfOf(queue, name)
  const { now } = plan
  const holder = half.holders.of(owner)
  const { record } = holder
  half.books.lastSession++
  Object.assign(record, { session: half.books.lastSession, attached: true, touchedAt: now })
  half.holders.change(holder)

  const named = holding && new Set(holding)
  const held: KeptLease[] = []
  const lapsed: Job[] = []
  for (const job of jobsOf(half, holder)) {
    if (named === undefined || named.has(job.lease)) {
      half.touch(job)
      extendLease(job, now, leaseMs)
      held.push({ id: job.id, lease: job.lease, expiresAt: job.expiresAt })
    } else {
      lapsed.push(job)
      lapse(plan, queue, half, job, policy)
    }
  }
  tellLapsed(plan, queue, lapsed)
  plan.notifyQueue(queue.name, { kind: 'session', holder: owner, session: record.session, isDead: half.isDead })
  turn(plan, queue, policy, held.length + lapsed.length)
  tellWork(queue)
  return { session: record.session, held }
}

/** A call that is refused makes no queue. */
function checkSince(plan: Plan, name: string, owner: Owner, since: number | undefined): void {
  if (since === undefined) return
  const queue = queueIn(plan, name)
  const session = queue === undefined ? 0 : halfOf(queue, name).holders.of(owner).record.session
  if (session !== since) throw new RepriseError('conflict', 'another session of this client began meanwhile')
}

/** In the order of their hand-outs. */
function jobsOf(half: QueueHalf, holder: Holder): Job[] {
  const jobs = holder.held.all()
  const held = jobs.map(({ a }) => half.indexed(a, 'held'))
  return held.sort((a, b) => a.handOut - b.handOut)
}

export function planDetach(
  plan: Plan,
  name: string,
  owner: Owner,
  session: number,
  leaving: Leaving,
  policy: QueuePolicy,
): void {
  const queue = queueIn(plan, name)
  if (queue === undefined) return
  const half = halfOf(queue, name)
  turn(plan, queue, policy)
  const holder = half.holders.of(owner)
  const { record } = holder
  // A higher session is one that the store forgot: it ends what an earlier one of the holder had.
  if (session < record.session || (session === record.session && !record.attached)) {
    tellWork(queue)
    return
  }
  record.attached = false
  half.holders.change(holder)
  const held = leaving === 'keep' ? [] : jobsOf(half, holder)
  const lapsed: Job[] = []
  for (const job of held) {
    if (leaving === 'release') {
      remember(plan, half, job, 'release')
      giveBack(plan, half, job)
    } else if (leaving !== 'keep' && leaving.graceMs <= 0) {
      lapsed.push(job)
      lapse(plan, queue, half, job, policy)
    } else if (leaving !== 'keep' && plan.now + leaving.graceMs < job.expiresAt) {
      half.touch(job)
      extendLease(job, plan.now, leaving.graceMs)
    }
  }
  tellLapsed(plan, queue, lapsed)
  turn(plan, queue, policy, held.length)
  tellWork(queue)
}

export function planTouch(plan: Plan, name: string, owners: readonly Owner[]): void {
  const queue = queueIn(plan, name)
  if (queue === undefined) return
  const half = halfOf(queue, name)
  for (const owner of owners) {
    const holder = half.holders.of(owner)
    if (!isAttached(holder.record, plan.now)) continue
    holder.record.touchedAt = plan.now
    half.holders.change(holder)
  }
}
