/**
 * A queue, or its dead letters, inside commits: its jobs in chunks, the indexes that find them, its counters. Owns that all
 * of these fit each other; what happens to a job and why is decided by the steps that call it. It stays in memory from
 * one commit to the next as long as everything it planned became durable (see cache.ts).
 */

import type { RecordBody } from '../../../codec.ts'
import type { JobState } from '../../../contract/store.ts'
import { DamagedQueue } from '../../../damage.ts'
import type { Changes } from '../../engine/changes.ts'
import type { Environment } from '../../engine/environment.ts'
import { blockKey, countOf, digest, digestKey, dueKey, nameKey, numberKey } from '../../engine/keys.ts'
import { TABLES } from '../../engine/tables.ts'
import { ConsumerEntries } from './consumerRecords.ts'
import { INDEXES, Indexes } from './indexes.ts'
import {
  chunkOfJob,
  encodeChunk,
  expiryOf,
  isNamed,
  type Job,
  keptSinceOf,
  lapseOf,
  numberIn,
  PER_CHUNK,
  storedChunk,
} from './jobs.ts'
import { JobBodies } from './payloads/bodies.ts'
import { ReadyJobs } from './ready/readyJobs.ts'
import { type Counters, jobsIn } from './records.ts'
import { SettledLeases } from './settledLeases.ts'
import type { Pair, SortedIndex } from './sortedIndex.ts'

interface Chunk {
  readonly number: number
  /** By number, with holes. */
  readonly jobs: (Job | undefined)[]
  /** As the indexes have it; 0 where there is none. */
  lapseAt: number
  expiryAt: number
}

/** Chunks that stay in memory between commits. */
const KEPT_CHUNKS = 128
/** Chunks that are looked for together when all are gone through. */
const CHUNKS_AT_ONCE = 32

export class JobSet {
  readonly name: string
  readonly isDead: boolean
  readonly counters: Counters
  readonly indexes: Indexes
  readonly bodies: JobBodies
  readonly consumers: ConsumerEntries
  readonly settled: SettledLeases
  readonly ready: ReadyJobs
  /** Nothing expires before that, as there is no room to tell of it. */
  expiresFrom = 0
  readonly #environment: Environment
  readonly #isAnew: boolean
  readonly #expiryOf: (job: Job) => number
  readonly #chunks = new Map<number, Chunk>()
  readonly #changed = new Set<Chunk>()
  /** Those whose jobs changed since the indexes of chunks were brought up. */
  readonly #stale = new Set<Chunk>()

  /** `isAnew`: its indexes are being made anew (see queues/mend.ts). */
  constructor(environment: Environment, name: string, counters: Counters, isDead: boolean, isAnew = false) {
    this.name = name
    this.isDead = isDead
    this.counters = counters
    this.#environment = environment
    this.#isAnew = isAnew
    this.#expiryOf = isDead ? keptSinceOf : expiryOf
    this.indexes = new Indexes(environment, counters.number, name, isAnew)
    this.bodies = new JobBodies(environment, counters.number)
    this.consumers = new ConsumerEntries(environment, name, this.indexes)
    this.settled = new SettledLeases(environment, counters.number, this.indexes)
    this.ready = new ReadyJobs(environment, counters, this.indexes, isDead)
  }

  get size(): number {
    return this.#chunks.size
  }

  #chunk(number: number): Chunk {
    let chunk = this.#chunks.get(number)
    if (chunk === undefined) {
      const jobs: (Job | undefined)[] = Array(PER_CHUNK).fill(undefined)
      for (const job of storedChunk(this.#environment, this.counters.number, number)) jobs[job.n % PER_CHUNK] = job
      chunk = { number, jobs, lapseAt: 0, expiryAt: 0 }
      if (!this.#isAnew) {
        chunk.lapseAt = this.#earliest(chunk, lapseOf)
        chunk.expiryAt = this.#earliest(chunk, this.#expiryOf)
      }
      this.#chunks.set(number, chunk)
    }
    return chunk
  }

  #earliest({ jobs }: Chunk, timeOf: (job: Job) => number): number {
    let earliest = 0
    for (const job of jobs) {
      const time = job === undefined ? 0 : timeOf(job)
      if (time > 0 && (earliest === 0 || time < earliest)) earliest = time
    }
    return earliest
  }

  job(n: number): Job | undefined {
    return n <= 0 || n > this.counters.lastJob ? undefined : this.#chunk(chunkOfJob(n)).jobs[n % PER_CHUNK]
  }

  /** The job that an index names. */
  indexed(n: number, state: JobState): Job {
    const job = this.job(n)
    if (job === undefined || job.state !== state) throw new DamagedQueue(this.name)
    return job
  }

  jobsIn(chunk: number): Job[] {
    return this.#chunk(chunk).jobs.filter((job) => job !== undefined)
  }

  find(changes: Changes, id: string): Job | undefined {
    if (jobsIn(this.counters) === 0) return undefined
    const named = this.job(numberIn(id, '-'))
    if (named?.id === id) return named
    const n = changes.get(TABLES.jobIds, this.#idKey(id))
    return n === undefined ? undefined : this.job(n)
  }

  #idKey(id: string): Buffer {
    return digestKey(this.counters.number, digest(id))
  }

  /** All jobs in the order of their numbers, chunk by chunk; those that this commit has changed are as they are now. */
  *chunks(): Generator<readonly Job[]> {
    const { number, lastJob } = this.counters
    const last = chunkOfJob(lastJob)
    const added = new Set([...this.#changed].map((chunk) => chunk.number))
    for (let from = 0; from <= last; ) {
      const range = { start: blockKey(number, from), end: blockKey(number, last + 1), limit: CHUNKS_AT_ONCE }
      const stored = this.#environment.keys(TABLES.jobs, range).map(countOf)
      const to = stored.length < CHUNKS_AT_ONCE ? last : (stored.at(-1) ?? last)
      const here = new Set([...stored, ...[...added].filter((one) => one >= from && one <= to)])
      for (const chunk of [...here].sort((a, b) => a - b)) yield this.jobsIn(chunk)
      from = to + 1
    }
  }

  /** The one way to change what the indexes and counters tell of a job. */
  change(job: Job, change: () => void): void {
    this.touch(job)
    const stood = this.ready.inGroup(job)
    this.#index(job, -1, stood !== undefined)
    change()
    const stands = stood !== undefined && job.state === 'ready' && !job.blocked && !job.suspect
    // Where it stays, its group keeps its turn.
    const stays = stands && job.sequence === stood.sequence
    if (stood !== undefined && !stays) this.ready.groups.leave(job, stood)
    this.#index(job, 1, stays)
  }

  /** Puts a job into the indexes and counters that it belongs in as it is; with -1 takes it out of them. */
  #index(job: Job, by: 1 | -1, kept = false): void {
    const { counters, indexes } = this
    const put = (kind: number, a: number): void => indexes.of(kind).put(a, job.n, by)
    if (job.state === 'ready') {
      counters.ready += by
      this.ready.put(job, by, kept)
    } else if (job.state === 'delayed') {
      counters.delayed += by
      if (job.sequence === 0) put(INDEXES.scheduled, job.dueAt)
      else {
        put(INDEXES.retrying, job.dueAt)
        put(INDEXES.retryingBySequence, job.sequence)
      }
    } else if (job.state === 'waiting') {
      counters.waiting = (counters.waiting ?? 0) + by
      put(INDEXES.waiting, job.n)
    } else {
      counters.held += by
      if (job.consumer !== undefined) this.consumers.hold(job.consumer, job, by)
    }
  }

  touch(job: Job): void {
    const chunk = this.#chunk(chunkOfJob(job.n))
    this.#changed.add(chunk)
    this.#stale.add(chunk)
  }

  /** Takes in a job that has its number, place and state; it stands last in its line where it has a place. */
  add(changes: Changes, job: Job, body: RecordBody): void {
    this.#chunk(chunkOfJob(job.n)).jobs[job.n % PER_CHUNK] = job
    this.bodies.add(job.n, body)
    if (job.sequence > 0) this.#joinLine(job)
    this.readd(changes, job)
  }

  /** The number and the sequence of a job that comes now. */
  next(): { readonly n: number; readonly sequence: number } {
    return { n: ++this.counters.lastJob, sequence: ++this.counters.lastPlace }
  }

  /** A job that is there, into indexes that are made anew. */
  readd(changes: Changes, job: Job): void {
    this.counters.bytes += job.bytes
    if (!isNamed(job)) changes.put(TABLES.jobIds, this.#idKey(job.id), job.n)
    this.touch(job)
    this.#index(job, 1)
  }

  /** A job that falls due for the first time. Called within `change`. */
  sequence(job: Job): void {
    job.sequence = ++this.counters.lastPlace
    this.#joinLine(job)
  }

  /** Behind all that have a place, but in the line of its key where it was. Called within `change`. */
  moveBehind(job: Job): void {
    if (!this.isDead && job.key !== undefined) job.line ??= job.sequence
    job.sequence = ++this.counters.lastPlace
  }

  line(key: string): SortedIndex {
    return this.indexes.of(INDEXES.line, digest(key))
  }

  /** The first job of its line. */
  first(key: string): Job | undefined {
    const pair = this.line(key).first()
    if (pair === undefined) return undefined
    const job = this.job(pair.b)
    if (job === undefined) throw new DamagedQueue(this.name)
    return job
  }

  #joinLine(job: Job): void {
    if (this.isDead || job.key === undefined) return
    const line = this.line(job.key)
    job.blocked = line.first() !== undefined
    line.add(job.sequence, job.n)
  }

  /** The job leaves this queue for good; the next one of its line can be delivered. */
  take(changes: Changes, job: Job, idStays = false): void {
    this.touch(job)
    this.#index(job, -1)
    const chunk = this.#chunk(chunkOfJob(job.n))
    chunk.jobs[job.n % PER_CHUNK] = undefined
    if (!chunk.jobs.some((other) => other?.block === job.block)) this.bodies.removeBlock(changes, job.block)
    this.bodies.forget(job.n)
    this.counters.bytes -= job.bytes
    if (!idStays && !isNamed(job)) changes.remove(TABLES.jobIds, this.#idKey(job.id))
    if (this.isDead || job.key === undefined || job.sequence === 0) return
    this.line(job.key).remove(job.line ?? job.sequence, job.n)
    const next = this.first(job.key)
    if (!next?.blocked) return
    this.change(next, () => {
      next.blocked = false
    })
  }

  /** Brings the indexes of chunks up to what their jobs are now. */
  refresh(): void {
    for (const chunk of this.#stale) {
      chunk.lapseAt = this.#moved(INDEXES.held, chunk, chunk.lapseAt, this.#earliest(chunk, lapseOf))
      chunk.expiryAt = this.#moved(INDEXES.expiries, chunk, chunk.expiryAt, this.#earliest(chunk, this.#expiryOf))
    }
    this.#stale.clear()
  }

  /** Puts a chunk at another time in an index; 0 is in none. */
  #moved(kind: number, { number }: Chunk, from: number, to: number): number {
    if (from === to) return to
    const index = this.indexes.of(kind)
    if (from > 0) index.remove(from, number)
    if (to > 0) index.add(to, number)
    return to
  }

  nextLapse(): Job | undefined {
    return this.#nextOf(this.indexes.of(INDEXES.held).first(), lapseOf)
  }

  /** The waiting job that expires next, in the dead letters the one that came first. */
  nextExpiry(): Job | undefined {
    return this.#nextOf(this.indexes.of(INDEXES.expiries).first(), this.#expiryOf)
  }

  #nextOf(pair: Pair | undefined, timeOf: (job: Job) => number): Job | undefined {
    if (pair === undefined) return undefined
    const job = this.#chunk(pair.b).jobs.find((job) => job !== undefined && timeOf(job) === pair.a)
    if (job === undefined) throw new DamagedQueue(this.name)
    return job
  }

  /** When something may be delivered that cannot be now; `Infinity` where nothing falls due. */
  get nextDueAt(): number {
    this.refresh()
    const kinds = [INDEXES.retrying, INDEXES.scheduled, INDEXES.held, INDEXES.resting]
    return Math.min(...kinds.map((kind) => this.indexes.of(kind).lowest))
  }

  /** When something falls due by itself. */
  nextTimerAt(deadMs: number): number {
    this.refresh()
    if (this.ready.isMixed) return 0
    const expiry = this.indexes.of(INDEXES.expiries).lowest + (this.isDead ? deadMs : 0)
    const lifeAt = this.counters.lifeAt || Number.POSITIVE_INFINITY
    return Math.min(this.nextDueAt, lifeAt, this.ready.groups.nextAt, Math.max(expiry, this.expiresFrom))
  }

  /** Hands over all that changed, once at the end of each transaction. */
  complete(changes: Changes, deadMs: number): void {
    this.refresh()
    const { counters } = this
    this.bodies.flush(changes, (n) => this.job(n))
    for (const chunk of this.#changed) {
      const key = blockKey(counters.number, chunk.number)
      const jobs = chunk.jobs.filter((job) => job !== undefined)
      if (jobs.length === 0) changes.remove(TABLES.jobs, key)
      else changes.put(TABLES.jobs, key, encodeChunk(jobs))
    }
    this.#changed.clear()
    this.settled.flush(changes, counters, this.name)
    this.consumers.flush(changes)
    this.ready.groups.flush(changes)
    if (this.indexes.flush(changes)) this.consumers.letGo()
    const at = this.nextTimerAt(deadMs)
    const turnAt = Number.isFinite(at) ? Math.max(1, at) : 0
    if (turnAt !== counters.turnAt) {
      const key = numberKey(counters.number)
      if (counters.turnAt > 0) changes.remove(TABLES.timers, dueKey(counters.turnAt, 0, key))
      if (turnAt > 0) changes.put(TABLES.timers, dueKey(turnAt, 0, key), nameKey(this.name))
      counters.turnAt = turnAt
    }
    for (const number of this.#chunks.keys()) {
      if (this.#chunks.size <= KEPT_CHUNKS) break
      this.#chunks.delete(number)
    }
  }
}
