/**
 * The contract's queues as a small program in memory: no indexes, no parts, nothing but what the prose says. Ids and
 * leases that an engine makes are random, so the model is given the engine's and says only whether they may be.
 */

import { sizeBody } from '../../../server/store/codec.ts'
import type {
  Attached,
  Claim,
  HeldJob,
  Keeping,
  Leaving,
  Owner,
  Progress,
  QueuePolicy,
  Report,
  Settled,
  Settlement,
} from '../../../server/store/contract/store.ts'
import { releasePauseMs } from '../../../server/store/jobs/releases.ts'
import { RepriseError } from '../../../shared/errors.ts'
import type { Position } from '../../../shared/positions.ts'
import { delivered, firstInTurns, restingIn, stand, tieTurns, wakeBeyond } from './queueModelGroups.ts'
import {
  childrenOf,
  extend,
  type Half,
  heldBy,
  isolate,
  MINUTE,
  type ModelJob,
  nextDueAt,
  openOf,
  ownerName,
  Rate,
  TOUCH_MS,
} from './queueModelJobs.ts'
import { Sending } from './queueModelSend.ts'
import { baseOf, isDead, type ModelQueue } from './queueModelTimers.ts'

export class QueueModel extends Sending {
  #handOuts = 0

  claim(name: string, claim: Claim, theirs: readonly HeldJob[]) {
    const queue = this.queues.get(baseOf(name))
    const half = this.half(name)
    const holder = half?.holders.get(ownerName(claim.consumer))
    const isThere = holder?.attached === true && this.now - holder.touchedAt <= TOUCH_MS
    if (holder !== undefined && isThere && claim.session < holder.session) throw new RepriseError('taken_over', 'old')
    if (queue === undefined || half === undefined || !isThere || holder?.session !== claim.session) {
      throw new RepriseError('not_found', 'not there')
    }
    this.turn(name, claim.policy)
    if (half.paused) return { jobs: [], waiting: 0, suspects: 0, nextAt: undefined }
    const rate = new Rate(half, claim.rate, this.now)
    wakeBeyond(half, claim, this.now)
    const jobs = this.#handOut(queue, half, claim, rate, theirs)
    this.trip(queue, claim.policy)
    if (half.paused) return { jobs, waiting: 0, suspects: 0, nextAt: undefined }
    const resting = restingIn(half)
    const open = openOf(half).filter((job) => !resting.includes(job))
    const waiting = Math.min(open.length, rate.left)
    const suspects = Math.min(waiting, open.filter(({ suspect }) => suspect).length)
    const times = [nextDueAt(half), ...(waiting < open.length ? [rate.nextAt] : [])]
    return { jobs, waiting, suspects, nextAt: Math.max(this.now, Math.min(...times)) }
  }

  #handOut(queue: ModelQueue, half: Half, claim: Claim, rate: Rate, theirs: readonly HeldJob[]): HeldJob[] {
    const mine = heldBy(half, claim.consumer)
    const jobs: HeldJob[] = []
    if (mine.some(({ suspect }) => suspect)) return jobs
    let bytes = 0
    const sizeOf = ({ body, children }: ModelJob) => sizeBody(body).bytes + (children?.bytes ?? 0)
    const fits = (job: ModelJob) => jobs.length === 0 || bytes + sizeOf(job) <= claim.bytes
    while (jobs.length < claim.max && rate.left > 0) {
      const open = openOf(half)
      const suspects = mine.length + jobs.length > 0 ? [] : open.filter(({ suspect }) => suspect)
      const from = suspects.length > 0 ? suspects : open.filter(({ suspect }) => !suspect)
      const isOldest = (half.handOuts + 1) % 10 === 0
      const inTurns = half.grouped && suspects.length === 0 ? firstInTurns(half, claim, this.now) : undefined
      const [first] = from.sort((a, b) => (isOldest ? 0 : b.priority - a.priority) || a.place - b.place)
      const asTheirs = inTurns?.find(({ id }) => id === theirs[jobs.length]?.id)
      // Of groups that have a turn together, the engine's own choice; one that does not fit is seen by where it stops.
      const tooLarge = theirs.length > jobs.length ? undefined : inTurns?.find((one) => !fits(one))
      const job = inTurns === undefined ? first : (asTheirs ?? tooLarge ?? inTurns[0])
      if (job === undefined) break
      if (!half.isDead && job.attempts >= (job.policy?.maxAttempts ?? claim.policy.maxAttempts)) {
        this.bury(queue, job, 'max_attempts')
        stand(half)
        continue
      }
      if (!fits(job)) break
      bytes += sizeOf(job)
      rate.take()
      half.handOuts++
      this.#handOuts++
      const { runMs } = job.policy ?? {}
      const capAt = this.now + Math.min(claim.capMs, runMs ?? claim.capMs)
      const expiresAt = Math.min(this.now + claim.leaseMs, capAt)
      job.state = 'held'
      job.deliveries++
      if (!half.isDead) job.startedAt = this.now
      job.lease = {
        token: theirs[jobs.length]?.lease ?? '',
        holder: claim.consumer,
        handOut: this.#handOuts,
        expiresAt,
        capAt,
        alone: true,
        capped: runMs !== undefined && expiresAt === this.now + runMs,
      }
      isolate(half, job)
      delivered(half, job, claim, this.now)
      if (!half.isDead) this.lives(queue, { kind: 'started', id: job.id, attempt: job.attempts + 1 })
      const { id, attempts, deliveries, sentAt, dueAt, replyBy, body } = job
      const { token: lease } = job.lease
      jobs.push({
        id,
        lease,
        expiresAt,
        attempts,
        deliveries,
        sentAt,
        dueAt,
        ...(replyBy !== undefined && { replyBy }),
        ...(runMs !== undefined && { runMs }),
        ...(job.children && { children: childrenOf(job) ?? [] }),
        body,
      })
      if (job.suspect) break
    }
    return jobs
  }

  // Settling

  settle(name: string, settlements: readonly Settlement[], policy: QueuePolicy): readonly Settled[] {
    const queue = this.queues.get(baseOf(name))
    const half = this.half(name)
    if (queue === undefined || half === undefined) return settlements.map(() => 'lost')
    this.turn(name, policy)
    if (settlements.some(({ as }) => as === 'retry')) tieTurns(queue.main)
    const settled = settlements.map((settlement) => {
      const answer = this.#settle(queue, half, settlement, policy)
      stand(queue.main)
      return answer
    })
    this.turn(name, policy)
    return settled
  }

  #settle(queue: ModelQueue, half: Half, settlement: Settlement, policy: QueuePolicy): Settled {
    const { id, lease: token, as } = settlement
    const job = half.jobs.get(id)
    const lease = job?.lease
    if (job === undefined || lease?.token !== token) {
      const known = half.settled.get(token)
      return known?.as === as && this.now - known.at < 5 * MINUTE ? 'ok' : 'lost'
    }
    if (as === 'extend') {
      if (job.state !== 'held' && lease.capAt <= this.now) return 'lost'
      const isBack = job.state !== 'held'
      if (isBack && !half.isDead) job.startedAt = this.now
      job.state = 'held'
      extend(job, this.now, settlement.leaseMs)
      if (isBack) isolate(half, job)
      return lease.expiresAt < this.now + settlement.leaseMs ? { expiresAt: lease.expiresAt } : 'ok'
    }
    half.settled.set(token, { as, at: this.now })
    const isHeld = job.state === 'held'
    const { holder } = lease
    if (as === 'done') {
      half.jobs.delete(id)
      half.done++
      queue.finished.end(half, job, 'done', policy.keep, this.now, settlement.reply)
      const body = settlement.reply
      this.lives(queue, { kind: 'done', id, attempt: job.attempts + 1, ...(body && { body }) })
      if (half.isDead) queue.main.done++
      else queue.ended.push('done')
      if (!half.isDead) this.answer(queue, job, { state: 'done', ...(settlement.reply && { reply: settlement.reply }) })
      this.childEnded(queue, job, 'done', { result: settlement.reply })
    } else if (as === 'dead' && !half.isDead) this.bury(queue, job, 'rejected', settlement.error, holder)
    else {
      job.lease = undefined
      job.suspect = false
      if (isHeld && as === 'retry') {
        const { error, delayMs } = settlement
        this.fail(queue, half, job, policy, { what: 'retry', holder, ...(error && { why: error }) }, delayMs)
      } else if (isHeld && as === 'dead') {
        const { error } = settlement
        this.fail(queue, half, job, policy, { what: 'retry', holder, ...(error && { why: error }) })
      } else if (isHeld) {
        const isInPlace = as === 'release' && settlement.inPlace === true
        const pauseMs = isInPlace ? 0 : releasePauseMs(job.history, holder)
        if (!isInPlace) job.place = ++half.places
        this.#giveBack(job, holder)
        job.dueAt += pauseMs
        if (pauseMs > 0) job.state = 'delayed'
        if (!half.isDead) this.lives(queue, { kind: 'retrying', id, dueAt: job.dueAt })
      }
    }
    return 'ok'
  }

  progress(name: string, reports: readonly Report[], policy: QueuePolicy): readonly Progress[] {
    const queue = this.queues.get(baseOf(name))
    const half = this.half(name)
    if (queue === undefined || half === undefined) return reports.map(() => 'lost')
    this.turn(name, policy)
    return reports.map(({ id, lease, value, log = [] }) => {
      const job = half.jobs.get(id)
      if (job === undefined || job.lease?.token !== lease) return 'lost'
      const lines = [...(job.told?.log ?? []), ...log.map((text) => ({ at: this.now, text }))].slice(-100)
      job.told = { ...job.told, ...(value && { progress: value }), ...(lines.length > 0 && { log: lines }) }
      const attempt = job.attempts + 1
      if (value !== undefined && !half.isDead) this.lives(queue, { kind: 'progress', id, attempt, body: value })
      return 'ok'
    })
  }

  #giveBack(job: ModelJob, holder: Owner): void {
    job.lease = undefined
    job.suspect = false
    job.state = 'ready'
    job.dueAt = this.now
    this.note(job, { what: 'release', holder })
  }

  // Holders

  attach(
    name: string,
    holder: Owner,
    { leaseMs, holding, policy }: { leaseMs: number; holding?: readonly string[]; policy: QueuePolicy },
    session: number,
  ): Attached['held'] {
    const queue = this.made(name)
    const half = isDead(name) ? queue.dead : queue.main
    this.turn(name, policy)
    half.holders.set(ownerName(holder), { session, attached: true, touchedAt: this.now })
    this.tell(queue, { kind: 'session', holder })
    if (holding !== undefined) tieTurns(queue.main)
    const kept: { id: string; lease: string; expiresAt: number }[] = []
    for (const job of heldBy(half, holder)) {
      const { lease } = job
      if (lease === undefined) continue
      if (holding === undefined || holding.includes(lease.token)) {
        extend(job, this.now, leaseMs)
        kept.push({ id: job.id, lease: lease.token, expiresAt: lease.expiresAt })
      } else this.lapse(queue, half, job, policy)
      stand(queue.main)
    }
    this.turn(name, policy)
    return kept
  }

  detach(name: string, owner: Owner, session: number, leaving: Leaving, policy: QueuePolicy): void {
    const queue = this.queues.get(baseOf(name))
    const half = this.half(name)
    if (queue === undefined || half === undefined) return
    this.turn(name, policy)
    const holder = half.holders.get(ownerName(owner))
    if (holder === undefined || session < holder.session) return
    holder.attached = false
    if (typeof leaving === 'object') tieTurns(queue.main)
    for (const job of leaving === 'keep' ? [] : heldBy(half, owner)) {
      const { lease } = job
      if (lease === undefined) continue
      if (leaving === 'release') {
        half.settled.set(lease.token, { as: 'release', at: this.now })
        this.#giveBack(job, owner)
        if (!half.isDead) this.lives(queue, { kind: 'retrying', id: job.id, dueAt: job.dueAt })
      } else if (leaving !== 'keep' && this.now + leaving.graceMs < lease.expiresAt) {
        lease.expiresAt = this.now + leaving.graceMs
        lease.capped = false
        if (lease.expiresAt <= this.now) this.lapse(queue, half, job, policy)
      }
      stand(queue.main)
    }
    this.turn(name, policy)
  }

  touch(name: string, owners: readonly Owner[]): void {
    for (const owner of owners) {
      const holder = this.half(name)?.holders.get(ownerName(owner))
      if (holder?.attached && this.now - holder.touchedAt <= TOUCH_MS) holder.touchedAt = this.now
    }
  }

  // People, and the hub itself

  remove(name: string, id: string, keep?: Keeping): boolean {
    const queue = this.queues.get(baseOf(name))
    const half = this.half(name)
    const job = half?.jobs.get(id)
    if (queue === undefined || half === undefined || job === undefined || job.state === 'held') return false
    this.takeAway(queue, half, job, keep)
    stand(half)
    if (keep !== undefined) queue.finished.trim(keep)
    return true
  }

  /** How many could go; with `gone`, those that did. */
  purge(name: string, before: number, limit: number, gone?: (id: string) => boolean, keep?: Keeping): number {
    const queue = this.queues.get(baseOf(name))
    const half = this.half(name)
    const old = [...(half?.jobs.values() ?? [])].filter(({ state, cameAt }) => state !== 'held' && cameAt <= before)
    // In which order they go, and with that who comes next in which line, is the engine's.
    if (half !== undefined) half.tie = ++half.lastTurn
    for (const job of old) {
      // It may have gone with its child.
      if (half?.jobs.get(job.id) !== job) continue
      if (queue !== undefined && half !== undefined && (old.length <= limit || gone?.(job.id) === true)) {
        this.takeAway(queue, half, job, keep)
      }
    }
    if (half !== undefined) stand(half)
    if (half !== undefined) half.tie = undefined
    if (keep !== undefined) queue?.finished.trim(keep)
    return Math.min(old.length, limit)
  }

  awaitEnd(name: string, id: string, until: number): boolean {
    const job = this.queues.get(name)?.main.jobs.get(id)
    if (job !== undefined) job.awaitBy = Math.max(job.awaitBy ?? 0, until)
    return job !== undefined
  }

  runNow(name: string, ids: readonly string[]): number {
    const half = this.half(name)
    let found = 0
    for (const id of ids) {
      const job = half?.jobs.get(id)
      if (half === undefined || job?.state !== 'delayed') continue
      if (job.place === 0) job.line = job.place = ++half.places
      job.state = 'ready'
      job.dueAt = Math.min(job.dueAt, this.now)
      this.note(job, { what: 'run' })
      stand(half)
      found++
    }
    return found
  }

  redrive(name: string, ids: readonly string[], ttlMs: number): number {
    const queue = this.queues.get(name)
    let found = 0
    for (const id of ids) {
      const letter = queue?.dead.jobs.get(id)
      if (queue === undefined || letter?.dead === undefined) continue
      if (letter.state === 'held' || letter.dead.reason === 'gap') continue
      found++
      queue.dead.jobs.delete(id)
      queue.dead.removed++
      queue.main.places++
      const { now } = this
      const job: ModelJob = {
        ...letter,
        ...{ cameAt: now, dueAt: now, ttlMs, replyBy: undefined, state: 'ready' },
        ...{
          place: queue.main.places,
          line: queue.main.places,
          attempts: 0,
          suspect: false,
          lease: undefined,
          dead: undefined,
          startedAt: undefined,
        },
      }
      this.note(job, { what: 'redriven' })
      this.lives(queue, { kind: 'retrying', id, dueAt: now })
      queue.main.jobs.set(id, job)
      stand(queue.main)
    }
    return found
  }

  pause(name: string, paused: boolean): boolean {
    const half = paused && this.made(name) ? this.half(name) : this.half(name)
    if (half === undefined || half.paused === paused) return false
    half.paused = paused
    const queue = this.queues.get(name)
    if (queue !== undefined && !paused) {
      queue.tripped = undefined
      queue.outcomes = []
    }
    this.told.push({ queue: baseOf(name), what: { kind: 'changed' } })
    return true
  }

  bind(name: string, topic: string, position: Position | undefined): Position | undefined {
    const queue = position === undefined ? this.queues.get(name) : this.made(name)
    const stands = queue?.bindings.get(topic)
    if (position === undefined ? stands === undefined : stands !== undefined) return stands
    if (position === undefined) queue?.bindings.delete(topic)
    else queue?.bindings.set(topic, position)
    this.told.push({ queue: name, what: { kind: 'changed' } })
    return position
  }
}
