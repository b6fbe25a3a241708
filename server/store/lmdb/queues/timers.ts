/** What falls due by itself: leases that lapse, jobs whose time has come, expiry. A bounded part at each turn. */

import type { HistoryEntry, Owner, QueuePolicy } from '../../contract/store.ts'
import type { Plan } from '../engine/transaction.ts'
import { deadLetter, keepPolicy, removeJob } from './deadLetters.ts'
import type { Queue } from './storage/cache.ts'
import { SETS } from './storage/indexes.ts'
import type { QueueHalf } from './storage/jobSet.ts'
import { endLease, type Job, note, ttlAtOf } from './storage/jobs.ts'

/** Jobs of each kind. */
const PART = 100

/** Done first by each call that works on leases, and last: for what it made due itself. Answers whether more is due. */
export function turn(plan: Plan, queue: Queue, policy: QueuePolicy, part = PART): boolean {
  keepPolicy(queue, policy)
  let more = false
  for (const half of [queue.main, queue.dead]) {
    if (turnHalf(plan, queue, half, policy, part)) more = true
  }
  return more
}

function turnHalf(plan: Plan, queue: Queue, half: QueueHalf, policy: QueuePolicy, part: number): boolean {
  const { now } = plan
  if (half.turnAt(policy.deadMs) > now) return false
  const lapsed: Job[] = []
  for (let job = half.nextLapse(); job !== undefined && job.expiresAt <= now; job = half.nextLapse()) {
    if (lapsed.length === part) break
    lapsed.push(job)
    const { holder } = job
    lapse(plan, queue, half, job, policy)
    if (holder !== undefined)
      plan.lose(half.isDead ? `${queue.name}/dead` : queue.name, { kind: 'lapsed', holder, jobs: 1 })
    half.refresh()
  }
  tellLapsed(plan, queue, lapsed)

  for (const kind of [SETS.retrying, SETS.scheduled]) {
    const due = half.sets.of(kind)
    for (let done = 0, first = due.first(); done < part && first !== undefined && first.a <= now; done++) {
      const job = half.indexed(first.b, 'delayed')
      half.unindex(job)
      if (job.place === 0) half.place(job)
      job.state = 'ready'
      half.index(job)
      first = due.first()
    }
  }
  half.refresh()

  const expired = half.isDead ? now - policy.deadMs : now
  for (let done = 0; done < part; done++) {
    const job = half.nextExpiry()
    if (job === undefined || (half.isDead ? job.cameAt : ttlAtOf(job)) > expired) break
    if (half.isDead) removeJob(plan, queue, half, job)
    else deadLetter(plan, queue, job, 'expired')
    half.refresh()
  }
  return half.turnAt(policy.deadMs) <= now
}

/** Told for each holder by itself. */
export function tellLapsed(plan: Plan, queue: Queue, jobs: readonly Job[]): void {
  const byHolder = new Map<string, { holder: Owner; ids: string[] }>()
  for (const { holder, id } of jobs) {
    if (holder === undefined) continue
    const name = `${holder.subject}\0${holder.client}`
    const told = byHolder.get(name) ?? { holder, ids: [] }
    byHolder.set(name, told)
    told.ids.push(id)
  }
  for (const { holder, ids } of byHolder.values()) plan.notifyQueue(queue.name, { kind: 'lapsed', holder, ids })
}

/** The lease of a held job is over. It can still be settled while no other hand-out has begun. */
export function lapse(plan: Plan, queue: Queue, half: QueueHalf, job: Job, policy: QueuePolicy): void {
  // One that ends before its cap does so for another reason.
  if (job.alone || (job.capped && plan.now >= job.capAt)) {
    fail(plan, queue, half, job, policy, { what: 'lapsed' })
    return
  }
  half.unindex(job)
  note(job, { at: plan.now, what: 'suspect', ...(job.holder !== undefined && { holder: job.holder }) })
  job.state = 'ready'
  job.dueAt = plan.now
  job.suspect = true
  half.index(job)
}

/** A failure of a held job: another attempt later, or the dead letters. */
export function fail(
  plan: Plan,
  queue: Queue,
  half: QueueHalf,
  job: Job,
  policy: QueuePolicy,
  how: { readonly what: HistoryEntry['what']; readonly error?: string; readonly delayMs?: number },
): void {
  const { maxAttempts, backoffMs } = policy
  const { what, error, delayMs } = how
  half.unindex(job)
  job.attempts++
  const why = error === undefined ? {} : { why: error }
  note(job, { at: plan.now, what, ...(job.holder !== undefined && { holder: job.holder }), ...why })
  job.state = 'delayed'
  job.dueAt = plan.now + (delayMs ?? backoffMs[Math.min(job.attempts, backoffMs.length) - 1] ?? 0)
  half.index(job)
  if (!half.isDead && job.attempts >= maxAttempts) {
    deadLetter(plan, queue, job, 'max_attempts', error)
  } else if (what === 'retry') {
    endLease(job)
    job.suspect = false
  }
}
