/** The step that ends or changes leases. */

import type { Body, Owner, QueuePolicy, Settled, Settlement } from '../../contract/store.ts'
import { releasePauseMs } from '../../releases.ts'
import type { Plan } from '../engine/transaction.ts'
import { holdAgain } from './claim.ts'
import { deadLetter } from './deadLetters.ts'
import { keepAnswer } from './requests.ts'
import { halfOf, type Queue, queueIn, tellWork } from './storage/cache.ts'
import { isAttached } from './storage/consumerRecords.ts'
import type { QueueHalf } from './storage/jobSet.ts'
import { endLease, extendLease, type Job, note, numberIn } from './storage/jobs.ts'
import { OUTCOMES } from './storage/settledLeases.ts'
import { fail, turn } from './timers.ts'

export function planSettle(
  plan: Plan,
  name: string,
  settlements: readonly Settlement[],
  policy: QueuePolicy,
  by?: Owner,
): Settled[] {
  const queue = queueIn(plan, name)
  if (queue === undefined) return settlements.map(() => 'lost')
  turn(plan, queue, policy)
  const half = halfOf(queue, name)
  const others = new OthersLeases(by)
  const settled = settlements.map((settlement) => settle(plan, queue, half, settlement, policy, others))
  others.tell(plan, queue, half)
  turn(plan, queue, policy, settlements.length)
  tellWork(queue)
  return settled
}

function settle(
  plan: Plan,
  queue: Queue,
  half: QueueHalf,
  settlement: Settlement,
  policy: QueuePolicy,
  others: OthersLeases,
): Settled {
  const { id, lease, as } = settlement
  const job = half.job(numberIn(lease, '.'))
  if (job === undefined || job.lease !== lease || job.id !== id) {
    if (as === 'extend') return 'lost'
    const handOut = numberIn(lease.slice(lease.indexOf('.') + 1), '.')
    return half.settled.isKnown(handOut, lease, OUTCOMES[as], plan.now) ? 'ok' : 'lost'
  }
  if (as === 'extend') return extend(plan, half, job, settlement.leaseMs)

  remember(plan, half, job, as)
  others.note(job)
  if (as === 'done') finish(plan, queue, half, job, settlement.reply)
  else if (as === 'dead' && !half.isDead) {
    deadLetter(plan, queue, job, 'rejected', settlement.error)
  } else if (job.state !== 'held') {
    half.unindex(job)
    endLease(job)
    job.suspect = false
    half.index(job)
  } else if (as === 'dead') {
    // It is where it belongs; handed out again at once it would go round without an end.
    const { error } = settlement
    fail(plan, queue, half, job, policy, { what: 'retry', ...(error !== undefined && { error }) })
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

/** Behind what waits, after a pause where the same holder gives it back again and again; no attempt, no suspicion. */
function release(plan: Plan, half: QueueHalf, job: Job): void {
  const pauseMs = job.holder === undefined ? 0 : releasePauseMs(job.history, job.holder)
  half.unindex(job)
  endHold(plan, job)
  half.moveBehind(job)
  if (pauseMs > 0) job.state = 'delayed'
  job.dueAt = plan.now + pauseMs
  half.index(job)
}

/** At its place again, as its holder leaves. */
export function giveBack(plan: Plan, half: QueueHalf, job: Job): void {
  half.unindex(job)
  endHold(plan, job)
  half.index(job)
}

function endHold(plan: Plan, job: Job): void {
  note(job, { at: plan.now, what: 'release', ...(job.holder !== undefined && { holder: job.holder }) })
  endLease(job)
  job.state = 'ready'
  job.dueAt = plan.now
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

  tell(plan: Plan, queue: Queue, half: QueueHalf): void {
    for (const { holder, leases } of this.#byHolder.values()) {
      if (!isAttached(half.holders.of(holder).record, plan.now)) continue
      plan.notifyQueue(queue.name, { kind: 'settled', holder, leases })
    }
  }
}

function extend(plan: Plan, half: QueueHalf, job: Job, leaseMs: number): Settled {
  const { now } = plan
  if (job.state !== 'held') {
    if (job.capAt <= now) return 'lost'
    holdAgain(half, job, now, leaseMs)
  } else {
    half.touch(job)
    extendLease(job, now, leaseMs)
  }
  return job.expiresAt < now + leaseMs ? { expiresAt: job.expiresAt } : 'ok'
}
