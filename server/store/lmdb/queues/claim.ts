/** The step that delivers jobs: who may take, what comes first, under which lease. */

import type { Claim, Claimed, HeldJob, QueuePolicy } from '../../contract/store.ts'
import { DamagedQueue } from '../../damage.ts'
import { lendingOf, maxAttemptsOf } from '../../jobs/jobPolicy.ts'
import { LIFE_MS } from '../../life/life.ts'
import { noConsumer, takenOver } from '../../refusals.ts'
import { unguessable } from '../../token.ts'
import type { Transaction } from '../engine/transaction.ts'
import { childrenOf } from './children.ts'
import { deadLetter, tripBreaker } from './deadLetters.ts'
import { type ConsumerEntry, isAttached } from './storage/consumerRecords.ts'
import { INDEXES, RANKS } from './storage/indexes.ts'
import type { JobSet } from './storage/jobSet.ts'
import { endLease, extendLease, type Job, ttlAtOf } from './storage/jobs.ts'
import type { Queue } from './storage/queue.ts'
import { groupOf } from './storage/ready/groups.ts'
import type { Pair, SortedIndex } from './storage/sortedIndex.ts'
import { fireTimers } from './timers.ts'

/** Each tenth delivery takes the lowest sequence. */
const OLDEST_EACH = 10
/** Jobs that one call clears away instead of delivering them. */
const CLEARED = 1_000

export function claim(transaction: Transaction, name: string, claim: Claim): Claimed {
  const queue = transaction.queue(name)
  const jobSet = queue?.jobSet(name)
  const consumer = jobSet?.consumers.of(claim.consumer)
  if (consumer !== undefined && claim.session < consumer.record.session) {
    throw takenOver()
  }
  const isThere = consumer?.record.session === claim.session && isAttached(consumer.record, transaction.now)
  if (queue === undefined || jobSet === undefined || consumer === undefined || !isThere) {
    throw noConsumer(name)
  }
  fireTimers(transaction, queue, claim.policy)
  const rate = new Rate(jobSet.counters, claim.rate, transaction.now)
  const { room } = queue.life
  if (room === 0 && !jobSet.counters.paused) {
    return { jobs: [], waiting: 0, suspects: 0, nextAt: transaction.now + LIFE_MS }
  }
  const { jobs, stuck } = jobSet.counters.paused
    ? { jobs: [], stuck: false }
    : deliver(transaction, queue, jobSet, consumer, { ...claim, max: Math.min(claim.max, room) }, rate)
  tripBreaker(transaction, queue, claim.policy)
  if (jobSet.counters.paused) return { jobs, waiting: 0, suspects: 0 }

  const there = jobSet.ready.waiting
  const waiting = Math.min(there, rate.left)
  const times = [jobSet.nextDueAt]
  if (waiting < there) times.push(rate.nextAt)
  if (stuck) times.push(transaction.now)
  const nextAt = Math.max(transaction.now, Math.min(...times))
  return {
    jobs,
    waiting,
    suspects: Math.min(jobSet.counters.suspects, waiting),
    ...(Number.isFinite(nextAt) && { nextAt }),
  }
}

interface Delivered {
  readonly jobs: HeldJob[]
  /** It stopped at what has to be cleared away first. */
  readonly stuck: boolean
}

function deliver(
  transaction: Transaction,
  queue: Queue,
  jobSet: JobSet,
  consumer: ConsumerEntry,
  claim: Claim,
  rate: Rate,
): Delivered {
  const jobs: HeldJob[] = []
  const token = unguessable()
  const held = consumer.held
  const isEmpty = held.first() === undefined
  // Groups that need not rest any more are awake afterwards, whether there is something for this consumer or not.
  const turns = jobSet.ready.isGrouped ? new Turns(jobSet, claim.groupRate, transaction.now) : undefined
  if (!isEmpty && consumer.record.suspects > 0) return { jobs, stuck: false }
  let bytes = 0
  let cleared = 0
  let kind: number = isEmpty && jobSet.counters.suspects > 0 ? INDEXES.suspects : INDEXES.ready
  while (jobs.length < claim.max && rate.left > 0) {
    let job = next(jobSet, kind, turns)
    // The last suspects may have been cleared away.
    if (job === undefined && kind === INDEXES.suspects) {
      kind = INDEXES.ready
      job = next(jobSet, kind, turns)
    }
    if (job === undefined) return { jobs, stuck: turns?.isStuck === true }
    if (isClearedAway(transaction, queue, jobSet, job, claim.policy)) {
      cleared++
      if (cleared === CLEARED) return { jobs, stuck: true }
      continue
    }
    const size = job.bytes + (job.children?.bytes ?? 0)
    if (jobs.length > 0 && bytes + size > claim.bytes) break
    bytes += size
    rate.take()
    const children = job.children && { children: childrenOf(transaction, queue, job) }
    const lent = lend(transaction, jobSet, consumer, job, claim, token)
    jobs.push({ ...lent, ...children, body: jobSet.bodies.body(job) })
    if (!jobSet.isDead) queue.life.tell('started', job.id, { attempt: job.attempts + 1 })
    turns?.taken(job)
    if (kind === INDEXES.suspects) break
  }
  return { jobs, stuck: false }
}

/** A job that must not be delivered goes where it belongs. */
function isClearedAway(transaction: Transaction, queue: Queue, jobSet: JobSet, job: Job, policy: QueuePolicy): boolean {
  if (jobSet.isDead) return false
  if (ttlAtOf(job) <= transaction.now) {
    deadLetter(transaction, queue, job, 'expired')
    return true
  }
  // The limit was higher when it failed last.
  if (job.attempts < maxAttemptsOf(job, policy)) return false
  endLease(job)
  deadLetter(transaction, queue, job, 'max_attempts')
  return true
}

/** What comes first of a kind. */
function next(jobSet: JobSet, kind: number, turns: Turns | undefined): Job | undefined {
  const isInTurns = turns !== undefined && kind === INDEXES.ready
  const first = isInTurns ? turns.next() : firstOf(jobSet, jobSet.indexes.of(kind), jobSet.counters.handOuts)
  if (first !== undefined) {
    const job = jobSet.indexed(first.b, 'ready')
    if (job.blocked) throw new DamagedQueue(jobSet.name)
    return job
  }
  const { counters, ready } = jobSet
  const { inGroups, resting } = ready.groups
  const open = ready.waiting - counters.suspects
  // What is not in its place yet comes with the next timers.
  const there =
    kind === INDEXES.suspects ? counters.suspects : isInTurns ? inGroups - resting : open + resting - inGroups
  if (there > 0 && turns?.isStuck !== true) throw new DamagedQueue(jobSet.name)
  return undefined
}

/** `deliveries`: how many there were, of which each tenth takes the lowest sequence. */
function firstOf(jobSet: JobSet, set: SortedIndex, deliveries: number): Pair | undefined {
  return (deliveries + 1) % OLDEST_EACH === 0 ? lowestSequence(jobSet, set) : set.first()
}

function lowestSequence(jobSet: JobSet, set: SortedIndex): Pair | undefined {
  let lowest: Pair | undefined
  for (let row = 0; row < OLDEST_EACH; row++) {
    if (jobSet.counters.suspects === 0 && jobSet.counters.open[9 - row] === 0) continue
    const first = set.from(row * RANKS, 0)
    if (first === undefined) break
    if (lowest === undefined || first.a % RANKS < lowest.a % RANKS) lowest = first
  }
  return lowest
}

function lend(
  transaction: Transaction,
  jobSet: JobSet,
  consumer: ConsumerEntry,
  job: Job,
  claim: Claim,
  token: string,
): Omit<HeldJob, 'body'> {
  const { now } = transaction
  const { record } = consumer
  const { counters } = jobSet
  const held = consumer.held
  const first = held.first()
  if (first !== undefined) endSolitude(jobSet, jobSet.job(first.a))
  const lending = lendingOf(job, claim)
  counters.handOuts++
  jobSet.change(job, () => {
    job.state = 'held'
    job.deliveries++
    if (!jobSet.isDead) job.startedAt = now
    job.handOut = counters.handOuts
    job.lease = `${job.n.toString(36)}.${counters.handOuts.toString(36)}.${token}`
    job.capAt = now + lending.capMs
    job.expiresAt = now + lending.leaseMs
    job.consumer = claim.consumer
    job.alone = first === undefined
    job.capped = lending.capped
  })
  record.handOut = job.handOut
  jobSet.consumers.change(consumer)
  const { id, lease, expiresAt, attempts, deliveries, sentAt, dueAt, replyBy, policy } = job
  return {
    ...{ id, lease, expiresAt, attempts, deliveries, sentAt, dueAt },
    ...(replyBy !== undefined && { replyBy }),
    ...(policy?.runMs !== undefined && { runMs: policy.runMs }),
  }
}

/** A consumer that gets another job is no longer alone with the one it has. */
function endSolitude(jobSet: JobSet, job: Job | undefined): void {
  if (job?.alone !== true) return
  job.alone = false
  jobSet.touch(job)
}

/** Holds a job again whose lease lapsed. */
export function holdAgain(jobSet: JobSet, job: Job, now: number, leaseMs: number): void {
  if (job.consumer === undefined) return
  const consumer = jobSet.consumers.of(job.consumer)
  const first = consumer.held.first()
  if (first !== undefined) endSolitude(jobSet, jobSet.job(first.a))
  jobSet.change(job, () => {
    job.state = 'held'
    if (!jobSet.isDead) job.startedAt = now
    extendLease(job, now, leaseMs)
    // Since then it may have held others, one after the other.
    job.alone &&= first === undefined && consumer.record.handOut === job.handOut
  })
  consumer.record.handOut = job.handOut
  jobSet.consumers.change(consumer)
}

/** The turns that groups take. */
class Turns {
  /** It stopped at groups that have used up their rate. */
  isStuck = false
  readonly #jobSet: JobSet
  readonly #groupRate: number | undefined
  readonly #now: number
  #rested = 0

  constructor(jobSet: JobSet, groupRate: number | undefined, now: number) {
    this.#jobSet = jobSet
    this.#groupRate = groupRate
    this.#now = now
    jobSet.ready.groups.wakeBeyond(new Rate({ rateAt: 0 }, groupRate, now).latest, CLEARED)
  }

  /** The first job of the group whose turn it is; groups that may take none rest. */
  next(): Pair | undefined {
    const { groups } = this.#jobSet.ready
    const turns = this.#jobSet.indexes.of(INDEXES.turns)
    for (let first = turns.first(); first !== undefined; first = turns.first()) {
      const id = first.b
      const rate = new Rate(groups.of(id), this.#groupRate, this.#now)
      if (rate.left > 0) return firstOf(this.#jobSet, groups.jobs(id), groups.of(id).taken)
      this.isStuck = this.#rested === CLEARED
      if (this.isStuck) return undefined
      this.#rested++
      groups.change(id, (group) => {
        group.until = rate.nextAt
      })
    }
    return undefined
  }

  /** Its group has had its turn. */
  taken(job: Job): void {
    this.#jobSet.ready.groups.change(groupOf(job), (group) => {
      const rate = new Rate(group, this.#groupRate, this.#now)
      rate.take()
      group.taken++
      group.turn = 0
      group.until = rate.left > 0 ? 0 : rate.nextAt
      if (this.#groupRate === undefined) group.rateAt = 0
    })
  }
}

/** How many deliveries the rate allows: evenly, with a burst of a tenth of a second. */
class Rate {
  readonly #used: { rateAt: number }
  readonly #now: number
  readonly #eachMs: number
  readonly #burstMs: number

  constructor(used: { rateAt: number }, perSecond: number | undefined, now: number) {
    this.#used = used
    this.#now = now
    this.#eachMs = perSecond === undefined ? 0 : 1_000 / perSecond
    this.#burstMs = perSecond === undefined ? 0 : Math.max(1, perSecond / 10) * this.#eachMs
    // A clock that went back, or a rate that was lower, does not hold up more than a burst.
    if (perSecond !== undefined && used.rateAt > this.latest) used.rateAt = this.latest
  }

  /** The time up to which the rate can be used up now. */
  get latest(): number {
    return this.#now + this.#burstMs
  }

  get #usedTo(): number {
    return Math.max(this.#used.rateAt, this.#now)
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
    if (this.#eachMs > 0) this.#used.rateAt = this.#usedTo + this.#eachMs
  }
}
