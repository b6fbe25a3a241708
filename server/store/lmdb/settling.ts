/** The step that ends or changes leases. */

import type { Body, QueuePolicy, Settled, Settlement } from '../contract.ts'
import { keepAnswer } from './answers.ts'
import { deadLetter } from './deadLetters.ts'
import { holdAgain } from './handOut.ts'
import { endLease, extendLease, type Job, note, numberIn } from './jobs.ts'
import type { Plan } from './plan.ts'
import { halfOf, type Queue, queueIn, tellWork } from './queueCache.ts'
import type { QueueHalf } from './queueHalf.ts'
import { OUTCOMES } from './settledLeases.ts'
import { fail, turn } from './turning.ts'

export function planSettle(
  plan: Plan,
  name: string,
  settlements: readonly Settlement[],
  policy: QueuePolicy,
): Settled[] {
  const queue = queueIn(plan, name)
  if (queue === undefined) return settlements.map(() => 'lost')
  turn(plan, queue, policy)
  const half = halfOf(queue, name)
  const settled = settlements.map((settlement) => settle(plan, queue, half, settlement, policy))
  turn(plan, queue, policy, settlements.length)
  tellWork(queue)
  return settled
}

function settle(plan: Plan, queue: Queue, half: QueueHalf, settlement: Settlement, policy: QueuePolicy): Settled {
  const { id, lease, as } = settlement
  const job = half.job(numberIn(lease, '.'))
  if (job === undefined || job.lease !== lease || job.id !== id) {
    if (as === 'extend') return 'lost'
    const handOut = numberIn(lease.slice(lease.indexOf('.') + 1), '.')
    return half.settled.isKnown(handOut, lease, OUTCOMES[as], plan.now) ? 'ok' : 'lost'
  }
  if (as === 'extend') return extend(plan, half, job, settlement.leaseMs)

  remember(plan, half, job, as)
  if (as === 'done') finish(plan, queue, half, job, settlement.reply)
  else if (as === 'dead' && !half.isDead) {
    deadLetter(plan, queue, job, 'rejected', settlement.error)
  } else if (job.state !== 'held') {
    half.unindex(job)
    endLease(job)
    job.suspect = false
    half.index(job)
  } else if (as === 'retry') {
    const { error, delayMs } = settlement
    const given = { ...(error !== undefined && { error }), ...(delayMs !== undefined && { delayMs }) }
    fail(plan, queue, half, job, policy, { what: 'retry', ...given })
  } else release(plan, half, job)
  return 'ok'
}

/** The same again is `ok` for a while. */
export function remember(plan: Plan, half: QueueHalf, job: Job, as: keyof typeof OUTCOMES): void {
  half.settled.remember(job.handOut, job.lease, OUTCOMES[as], plan.now)
}

function finish(plan: Plan, queue: Queue, half: QueueHalf, job: Job, reply: Body | undefined): void {
  half.take(plan, job)
  half.books.done++
  if (half.isDead) queue.main.books.done++
  else keepAnswer(plan, queue, job, { state: 'done', ...(reply !== undefined && { reply }) })
}

/** At its place again, no attempt, no suspicion. */
export function release(plan: Plan, half: QueueHalf, job: Job): void {
  half.unindex(job)
  note(job, { at: plan.now, what: 'release', ...(job.holder !== undefined && { holder: job.holder }) })
  endLease(job)
  job.state = 'ready'
  job.suspect = false
  half.index(job)
}

function extend(plan: Plan, half: QueueHalf, job: Job, leaseMs: number): Settled {
  const { now } = plan
  if (job.state !== 'held') {
    if (job.capAt <= now) return 'lost'
    holdAgain(half, job, now, leaseMs)
    return 'ok'
  }
  half.touch(job)
  extendLease(job, now, leaseMs)
  return 'ok'
}
