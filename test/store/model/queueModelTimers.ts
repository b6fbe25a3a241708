/** What happens to the model's jobs by itself or as an ending: turns, failures, the way into the dead letters. */

import { sizeBody } from '../../../server/store/codec.ts'
import type {
  Answer,
  Body,
  Child,
  ChildState,
  DeadReason,
  HistoryEntry,
  Keeping,
  LifeRecord,
  Owner,
  QueueInfo,
  QueuePolicy,
  StoredJobDraft,
} from '../../../server/store/contract/store.ts'
import { MUCH_LIFE } from '../../../server/store/life/life.ts'
import { childFailed, NO_ROOM } from '../../../server/store/lmdb/queues/children.ts'
import type { Position } from '../../../shared/positions.ts'
import { ModelFinished } from './queueModelFinished.ts'
import { beginTurns, stand } from './queueModelGroups.ts'
import { type Half, type ModelJob, type ModelPlace, newHalf, ttlAtOf } from './queueModelJobs.ts'

export interface ModelQueue {
  readonly name: string
  readonly main: Half
  readonly dead: Half
  readonly ids: Map<string, { readonly id: string; readonly until: number }>
  readonly producers: Map<string, { start: number; usedAt: number; ids: string[] }>
  readonly answers: Map<string, { readonly replyBy: number; readonly answer: Answer }>
  readonly bindings: Map<string, Position>
  readonly finished: ModelFinished
  sends: number
  /** How jobs ended since the breaker was asked last, and in the minute before. */
  readonly ended: ('done' | 'dead')[]
  outcomes: { readonly as: 'done' | 'dead'; readonly part: number }[]
  tripped: QueueInfo['tripped']
  /** What happens to jobs is told. */
  isLived: boolean
  /** What happened to each job, by its id, and what is left for other queues: as far as it waits to be moved. */
  readonly life: Map<string, LifeRecord[]>
  errands: ModelErrand[]
  /** By another queue, up to where its errands have come. */
  readonly carried: Map<string, { readonly row: string; readonly number: number }>
}

/** What is left for another queue; those of one step may be in another order. */
export type ModelErrand = { readonly step: number } & ModelErrandLeft

type ModelErrandLeft = { readonly to: string; readonly parent: ModelPlace } & (
  | { readonly errand: 'child'; readonly subject: string; readonly draft: StoredJobDraft }
  | { readonly errand: 'ended'; readonly child: Child }
)

/** What the watches of a queue have to be told, at least. */
export type Told =
  | { readonly kind: 'lapsed'; readonly holder: Owner; readonly id: string }
  | { readonly kind: 'session'; readonly holder: Owner }
  | { readonly kind: 'answered'; readonly id: string }
  | { readonly kind: 'changed' }

export class Turning {
  readonly queues = new Map<string, ModelQueue>()
  now: number
  /** Dead letters that came in one turn at the same time: their order is the engine's. */
  ties: ModelJob[][] = []
  told: { readonly queue: string; readonly what: Told }[] = []
  /** Counts what is done, one after the other. */
  step = 0

  constructor(now: number) {
    this.now = now
  }

  half(name: string): Half | undefined {
    const queue = this.queues.get(baseOf(name))
    return isDead(name) ? queue?.dead : queue?.main
  }

  protected made(name: string): ModelQueue {
    const base = baseOf(name)
    const known = this.queues.get(base)
    if (known !== undefined) return known
    const queue: ModelQueue = {
      name: base,
      main: newHalf(false),
      dead: newHalf(true),
      ids: new Map(),
      producers: new Map(),
      answers: new Map(),
      bindings: new Map(),
      finished: new ModelFinished(),
      sends: 0,
      ended: [],
      outcomes: [],
      tripped: undefined,
      isLived: false,
      life: new Map(),
      errands: [],
      carried: new Map(),
    }
    this.queues.set(base, queue)
    return queue
  }

  protected lives(queue: ModelQueue, record: LifeRecord): void {
    if (!queue.isLived) return
    const told = [...queue.life.values()].reduce((sum, { length }) => sum + length, 0)
    const waiting = told + queue.errands.length
    if (record.kind === 'progress' && waiting >= MUCH_LIFE) return
    queue.life.set(record.id, [...(queue.life.get(record.id) ?? []), record])
  }

  protected leave(queue: ModelQueue, errand: ModelErrandLeft): void {
    queue.errands.push({ step: this.step, ...errand })
  }

  protected tell(queue: ModelQueue, what: Told): void {
    this.told.push({ queue: queue.name, what })
  }

  turn(name: string, policy: QueuePolicy): void {
    const queue = this.queues.get(baseOf(name))
    if (queue === undefined) return
    queue.main.grouped = policy.grouped ?? false
    queue.isLived = policy.events ?? false
    beginTurns(queue.main, this.now)
    this.#fire(queue, policy)
    queue.main.tie = undefined
    this.trip(queue, policy)
  }

  /** The queue pauses itself where too much of what ended of late went to the dead letters. */
  protected trip(queue: ModelQueue, { breaker }: QueuePolicy): void {
    const ended = queue.ended.splice(0)
    const { main } = queue
    if (main.paused || breaker === undefined) return
    // A clock that went back counts in the part that was last.
    const part = Math.max(Math.floor(this.now / 10_000), queue.outcomes.at(-1)?.part ?? 0)
    queue.outcomes.push(...ended.map((as) => ({ as, part })))
    queue.outcomes = queue.outcomes.filter((one) => one.part > part - 6)
    const dead = queue.outcomes.filter(({ as }) => as === 'dead').length
    const all = queue.outcomes.length
    if (!ended.includes('dead') || dead < breaker.min || dead <= breaker.share * all) return
    main.paused = true
    queue.tripped = { at: this.now, dead, ended: all }
    queue.outcomes = []
    this.tell(queue, { kind: 'changed' })
  }

  #fire(queue: ModelQueue, policy: QueuePolicy): void {
    for (const half of [queue.main, queue.dead]) {
      const due = (timeOf: (job: ModelJob) => number | undefined): [number, ModelJob[]][] => {
        const groups = new Map<number, ModelJob[]>()
        for (const job of half.jobs.values()) {
          const time = timeOf(job)
          if (time !== undefined && time <= this.now) groups.set(time, [...(groups.get(time) ?? []), job])
        }
        return [...groups].sort(([a], [b]) => a - b)
      }
      for (const [, jobs] of due(({ state, lease }) => (state === 'held' ? lease?.expiresAt : undefined))) {
        this.together(queue, () => {
          for (const job of jobs) this.lapse(queue, half, job, policy)
        })
        stand(queue.main)
      }
      for (const [, jobs] of due(({ state, dueAt }) => (state === 'delayed' ? dueAt : undefined))) {
        for (const job of jobs.sort((a, b) => a.n - b.n)) {
          if (job.place === 0) job.line = job.place = ++half.places
          job.state = 'ready'
        }
      }
      stand(queue.main)
      const expiryOf = (job: ModelJob): number | undefined => {
        if (job.state === 'held' || job.place === 0) return undefined
        return half.isDead ? job.cameAt + policy.deadMs : ttlAtOf(job)
      }
      for (const [, jobs] of due(expiryOf)) {
        this.together(queue, () => {
          for (const job of jobs) {
            if (half.isDead) this.takeAway(queue, half, job, policy.keep)
            else this.bury(queue, job, 'expired')
            stand(queue.main)
          }
        })
      }
    }
    if (policy.keep !== undefined) queue.finished.trim(policy.keep)
  }

  /** Dead letters that come here come at once. */
  protected together(queue: ModelQueue, step: () => void): void {
    const before = queue.dead.places
    step()
    const came = [...queue.dead.jobs.values()].filter(({ place }) => place > before)
    if (came.length > 1) this.ties.push(came)
  }

  protected lapse(queue: ModelQueue, half: Half, job: ModelJob, policy: QueuePolicy): void {
    const { lease } = job
    if (lease === undefined) throw new Error('a held job has a lease')
    this.tell(queue, { kind: 'lapsed', holder: lease.holder, id: job.id })
    const isAtCap = lease.capped && this.now >= lease.capAt
    if (lease.alone || isAtCap) {
      const { runMs } = job.policy ?? {}
      const ranMs = half.isDead ? Number.POSITIVE_INFINITY : this.now - (job.startedAt ?? this.now)
      const isOver = isAtCap && runMs !== undefined && ranMs >= runMs
      const why = isOver ? `ran longer than its runMs of ${runMs} ms` : undefined
      this.fail(queue, half, job, policy, { what: 'lapsed', holder: lease.holder, ...(why && { why }) })
      return
    }
    this.note(job, { what: 'suspect', holder: lease.holder })
    job.state = 'ready'
    job.dueAt = this.now
    job.suspect = true
    if (!half.isDead) this.lives(queue, { kind: 'retrying', id: job.id, dueAt: job.dueAt })
  }

  protected note(job: ModelJob, { holder, why, ...entry }: Omit<HistoryEntry, 'at'>): void {
    const given = { ...(holder !== undefined && { holder }), ...(why !== undefined && { why }) }
    job.history = [...job.history, { at: this.now, ...entry, ...given }].slice(-20)
  }

  protected fail(
    queue: ModelQueue,
    half: Half,
    job: ModelJob,
    { maxAttempts, backoffMs }: QueuePolicy,
    entry: Omit<HistoryEntry, 'at'>,
    delayMs?: number,
  ): void {
    job.attempts++
    this.note(job, entry)
    const { id, attempts: attempt } = job
    const error = entry.why ?? (entry.what === 'lapsed' ? 'lapsed' : undefined)
    if (!half.isDead) this.lives(queue, { kind: 'failed', id, attempt, ...(error !== undefined && { error }) })
    if (!half.isDead && job.attempts >= (job.policy?.maxAttempts ?? maxAttempts)) {
      this.bury(queue, job, 'max_attempts', entry.why, entry.holder)
      return
    }
    const backoff = job.policy?.backoff
    const times = backoff?.kind === 'list' ? backoff.ms : backoff && [backoff.ms]
    let own = times?.[Math.min(job.attempts, times.length) - 1]
    for (let n = 1; n < job.attempts && backoff?.kind === 'exponential'; n++) {
      own = Math.min(backoff.maxMs, 2 * (own ?? 0))
    }
    job.dueAt = this.now + (delayMs ?? own ?? backoffMs[Math.min(job.attempts, backoffMs.length) - 1] ?? 0)
    job.state = job.dueAt <= this.now ? 'ready' : 'delayed'
    if (!half.isDead) this.lives(queue, { kind: 'retrying', id, attempt, dueAt: job.dueAt })
  }

  protected bury(queue: ModelQueue, job: ModelJob, reason: DeadReason, error?: string, holder?: Owner): void {
    const { now } = this
    queue.main.jobs.delete(job.id)
    this.answer(queue, job, { state: 'failed', reason, ...(error !== undefined && { error }) })
    queue.dead.places++
    queue.dead.sent++
    const letter: ModelJob = {
      ...job,
      ...{ cameAt: now, dueAt: now, state: 'ready', place: queue.dead.places },
      startedAt: job.state === 'held' ? job.startedAt : undefined,
      ...{ suspect: false, lease: undefined, dead: { reason, at: now, ...(error !== undefined && { error }) } },
    }
    this.note(letter, { what: 'dead', ...(holder !== undefined && { holder }), why: error ?? reason })
    queue.dead.jobs.set(job.id, letter)
    if (reason !== 'expired' && reason !== 'child') queue.ended.push('dead')
    this.lives(queue, { kind: 'dead', id: job.id, attempt: job.attempts, error: error ?? reason })
    this.childEnded(queue, job, 'dead', { error: error ?? reason })
  }

  /** Its parent gets what became of it, or fails with it. */
  protected childEnded(
    queue: ModelQueue,
    { id, parent: place }: ModelJob,
    state: ChildState,
    { result, error }: { readonly result?: Body | undefined; readonly error?: string } = {},
  ): void {
    if (place === undefined) return
    const child = { id, state, ...(result !== undefined && { result }), ...(error !== undefined && { error }) }
    if (place.queue === undefined) this.childTold(queue, place, child)
    else this.leave(queue, { errand: 'ended', to: place.queue, parent: place, child })
  }

  protected childTold(queue: ModelQueue, place: ModelPlace, child: Child): void {
    const { id, state, result, error } = child
    const parent = queue.main.jobs.get(place.id) ?? queue.dead.jobs.get(place.id)
    const { among } = place
    // What was told first counts.
    if (parent?.children !== among || among.ended.has(place.at)) return
    const size = result === undefined ? 0 : sizeBody(result).bytes
    const fits = among.bytes + size <= among.most
    if (fits) among.bytes += size
    const why = fits ? error : NO_ROOM
    const told = { ...(fits && result !== undefined && { result }), ...(why !== undefined && { error: why }) }
    among.ended.set(place.at, { id, state, ...told })
    if (parent.state !== 'waiting') return
    stand(queue.main)
    if (state !== 'done' && among.onDead === 'fail') this.bury(queue, parent, 'child', childFailed(child))
    else if (among.ended.size === among.ids.length) {
      parent.state = parent.dueAt > this.now ? 'delayed' : 'ready'
      if (parent.state === 'delayed') return
      parent.dueAt = this.now
      parent.line = parent.place = ++queue.main.places
      stand(queue.main)
    }
  }

  protected answer(queue: ModelQueue, job: ModelJob, answer: Answer): void {
    const { id, awaitBy = 0 } = job
    const replyBy = Math.max(job.replyBy ?? 0, awaitBy > this.now ? Math.min(awaitBy, this.now + 60_000) : 0)
    job.awaitBy = 0
    if (replyBy <= this.now) return
    queue.answers.set(id, { replyBy, answer })
    this.tell(queue, { kind: 'answered', id })
  }

  protected takeAway(queue: ModelQueue, half: Half, job: ModelJob, keep: Keeping | undefined): void {
    half.jobs.delete(job.id)
    queue.finished.end(half, job, 'removed', keep, this.now)
    half.removed++
    this.lives(queue, { kind: 'removed', id: job.id })
    for (const [given, { id }] of queue.ids) {
      if (id === job.id && given.startsWith(`${job.subject}/`)) queue.ids.delete(given)
    }
    if (half.isDead) queue.main.removed++
    else this.answer(queue, job, { state: 'failed', reason: 'removed' })
    this.childEnded(queue, job, 'removed')
  }
}

export function isDead(name: string): boolean {
  return name.endsWith('/dead')
}

export function baseOf(name: string): string {
  return name.replace(/\/dead$/, '')
}
