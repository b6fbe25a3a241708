/** The step that hands out jobs: who may take, what comes first, under which lease. */

import { RepriseError } from '../../../../shared/errors.ts'
import type { Claim, Claimed, HeldJob, QueuePolicy } from '../../contract/store.ts'
import { DamagedQueue } from '../../damage.ts'
import type { Plan } from '../engine/transaction.ts'
import { deadLetter } from './deadLetters.ts'
import { halfOf, type Queue, queueIn, tellWork } from './storage/cache.ts'
import { type Holder, isAttached } from './storage/consumerRecords.ts'
import { SETS } from './storage/indexes.ts'
import { type QueueHalf, RANKS } from './storage/jobSet.ts'
import { endLease, extendLease, type Job, ttlAtOf } from './storage/jobs.ts'
import type { Pair } from './storage/sortedIndex.ts'
import { turn } from './timers.ts'

/** Each tenth hand-out takes the lowest place. */
const OLDEST_EACH = 10
/** Jobs that one call clears away instead of handing them out. */
const CLEARED = 1_000

export function planClaim(plan: Plan, name: string, claim: Claim): Claimed {
  const queue = queueIn(plan, name)
  const half = queue && halfOf(queue, name)
  const holder = half?.holders.of(claim.holder)
  if (holder !== undefined && claim.session < holder.record.session) {
    throw new RepriseError('taken_over', 'a newer session of this client took over')
  }
  const isThere = holder?.record.session === claim.session && isAttached(holder.record, plan.now)
  if (queue === undefined || half === undefined || holder === undefined || !isThere) {
    throw new RepriseError('not_found', `this client does not consume ${name}`)
  }
  turn(plan, queue, claim.policy)
  const rate = new Rate(half, claim.rate, plan.now)
  const { jobs, stuck } = half.books.paused
    ? { jobs: [], stuck: false }
    : handOut(plan, queue, half, holder, claim, rate)
  tellWork(queue)
  if (half.books.paused) return { jobs, waiting: 0, suspects: 0 }

  const waiting = Math.min(half.waiting, rate.left)
  const times = [half.nextDueAt]
  if (waiting < half.waiting) times.push(rate.nextAt)
  if (stuck) times.push(plan.now)
  const nextAt = Math.max(plan.now, Math.min(...times))
  return {
    jobs,
    waiting,
    suspects: Math.min(half.books.suspects, waiting),
    ...(Number.isFinite(nextAt) && { nextAt }),
  }
}

interface HandedOut {
  readonly jobs: HeldJob[]
  /** It stopped at what has to be cleared away first. */
  readonly stuck: boolean
}

function handOut(plan: Plan, queue: Queue, half: QueueHalf, holder: Holder, claim: Claim, rate: Rate): HandedOut {
  const jobs: HeldJob[] = []
  const held = holder.held
  const isEmpty = held.first() === undefined
  if (!isEmpty && holder.record.suspects > 0) return { jobs, stuck: false }
  let bytes = 0
  let cleared = 0
  let kind: number = isEmpty && half.books.suspects > 0 ? SETS.suspects : SETS.open
  while (jobs.length < claim.max && rate.left > 0) {
    let job = next(half, kind)
    // The last suspects may have been cleared away.
    if (job === undefined && kind === SETS.suspects) {
      kind = SETS.open
      job = next(half, kind)
    }
    if (job === undefined) break
    const body = clearAway(plan, queue, half, job, claim.policy)
    if (body === undefined) {
      cleared++
      if (cleared === CLEARED) return { jobs, stuck: true }
      continue
    }
    if (jobs.length > 0 && bytes + job.bytes > claim.bytes) break
    bytes += job.bytes
    rate.take()
    jobs.push({ ...lend(plan, half, holder, job, claim), body })
    if (kind === SETS.suspects) break
  }
  return { jobs, stuck: false }
}

/** Jobs that must not be handed out go where they belong; answers the body of one that can be. */
function clearAway(plan: Plan, queue: Queue, half: QueueHalf, job: Job, { maxAttempts }: QueuePolicy) {
  if (!half.isDead && ttlAtOf(job) <= plan.now) {
    deadLetter(plan, queue, job, 'expired')
    return undefined
  }
  // The limit was higher when it failed last.
  if (!half.isDead && job.attempts >= maxAttempts) {
    endLease(job)
    deadLetter(plan, queue, job, 'max_attempts')
    return undefined
  }
  const body = half.bodies.body(job)
  if (body !== undefined) return body
  if (!half.isDead) {
    deadLetter(plan, queue, job, 'rejected', 'damaged')
    return undefined
  }
  half.unindex(job)
  job.blocked = true
  half.index(job)
  return undefined
}

/** What comes first of a kind. */
function next(half: QueueHalf, kind: number): Job | undefined {
  const set = half.sets.of(kind)
  const isOldest = (half.books.handOuts + 1) % OLDEST_EACH === 0
  const first = isOldest ? lowestPlace(half, kind) : set.first()
  if (first !== undefined) {
    const job = half.indexed(first.b, 'ready')
    if (job.blocked) throw new DamagedQueue(half.name)
    return job
  }
  const there = kind === SETS.suspects ? half.books.suspects : half.waiting - half.books.suspects
  if (there > 0) throw new DamagedQueue(half.name)
  return undefined
}

function lowestPlace(half: QueueHalf, kind: number): Pair | undefined {
  const set = half.sets.of(kind)
  let lowest: Pair | undefined
  for (let row = 0; row < OLDEST_EACH; row++) {
    if (kind === SETS.open && half.books.open[9 - row] === 0) continue
    const first = set.from(row * RANKS, 0)
    if (first === undefined) break
    if (lowest === undefined || first.a % RANKS < lowest.a % RANKS) lowest = first
  }
  return lowest
}

function lend(plan: Plan, half: QueueHalf, holder: Holder, job: Job, claim: Claim): Omit<HeldJob, 'body'> {
  const { now } = plan
  const { record } = holder
  const { books } = half
  const held = holder.held
  const first = held.first()
  if (first !== undefined) endSolitude(half, half.job(first.a))
  half.unindex(job)
  books.handOuts++
  job.state = 'held'
  job.deliveries++
  job.handOut = books.handOuts
  job.lease = `${job.n.toString(36)}.${books.handOuts.toString(36)}.${claim.nonce}`
  job.capAt = now + claim.capMs
  job.expiresAt = Math.min(now + claim.leaseMs, job.capAt)
  job.holder = claim.holder
  job.alone = first === undefined
  job.capped = false
  half.index(job)
  record.handOut = job.handOut
  half.holders.change(holder)
  const { id, lease, expiresAt, attempts, deliveries, sentAt, replyBy } = job
  return { id, lease, expiresAt, attempts, deliveries, sentAt, ...(replyBy !== undefined && { replyBy }) }
}

/** A holder that gets another job is no longer alone with the one it has. */
export function endSolitude(half: QueueHalf, job: Job | undefined): void {
  if (job?.alone !== true) return
  job.alone = false
  half.touch(job)
}

/** Holds a job again whose lease lapsed. */
export function holdAgain(half: QueueHalf, job: Job, now: number, leaseMs: number): void {
  if (job.holder === undefined) return
  const holder = half.holders.of(job.holder)
  const first = holder.held.first()
  if (first !== undefined) endSolitude(half, half.job(first.a))
  half.unindex(job)
  job.state = 'held'
  extendLease(job, now, leaseMs)
  // Since then it may have held others, one after the other.
  job.alone &&= first === undefined && holder.record.handOut === job.handOut
  half.index(job)
  holder.record.handOut = job.handOut
  half.holders.change(holder)
}

/** How many hand-outs the rate allows: evenly, with a burst of a tenth of a second. */
class Rate {
  readonly #half: QueueHalf
  readonly #now: number
  readonly #eachMs: number
  readonly #burstMs: number

  constructor(half: QueueHalf, perSecond: number | undefined, now: number) {
    this.#half = half
    this.#now = now
    this.#eachMs = perSecond === undefined ? 0 : 1_000 / perSecond
    this.#burstMs = perSecond === undefined ? 0 : Math.max(1, perSecond / 10) * this.#eachMs
    // A clock that went back, or a rate that was lower, does not hold up more than a burst.
    const { books } = half
    if (perSecond !== undefined && books.rateAt > now + this.#burstMs) books.rateAt = now + this.#burstMs
  }

  get #usedTo(): number {
    return Math.max(this.#half.books.rateAt, this.#now)
  }

  get left(): number {
    if (this.#eachMs === 0) return Number.POSITIVE_INFINITY
    return Math.floor((this.#now + this.#burstMs - this.#usedTo) / this.#eachMs + 1e-3)
  }

  /** When it allows one more than now. */
  get nextAt(): number {
    return Math.ceil(this.#usedTo + this.#eachMs * (this.left + 1 - 1e-3) - this.#burstMs)
  }

  take(): void {
    if (this.#eachMs > 0) this.#half.books.rateAt = this.#usedTo + this.#eachMs
  }
}
