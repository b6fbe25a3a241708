/** What is told of queues and jobs as they are stored. Reads only. */

import type { Answer, JobInfo, JobState, JobsQuery, QueueInfo } from '../../contract/store.ts'
import { fullLife } from '../../life/life.ts'
import type { Environment } from '../engine/environment.ts'
import { digest, digestKey, nameKey } from '../engine/keys.ts'
import { TABLES } from '../engine/tables.ts'
import { storedAnswer } from './requests.ts'
import { countConsumers } from './storage/consumerRecords.ts'
import { INDEXES, RANKS, setKey } from './storage/indexes.ts'
import { chunkOfJob, type Job, numberIn, storedChunk, ttlAtOf } from './storage/jobs.ts'
import { storedBody } from './storage/payloads/bodies.ts'
import { storedProgress } from './storage/payloads/progress.ts'
import { baseOf, isDeadName } from './storage/queue.ts'
import type { Counters, QueueRecord } from './storage/records.ts'
import { type Pair, storedPairs } from './storage/sortedIndex.ts'

/** A queue, or its dead letters, as it is stored. */
export class StoredQueue {
  readonly #environment: Environment
  readonly #name: string
  readonly #record: QueueRecord
  readonly #counters: Counters
  readonly #chunks = new Map<number, Job[]>()

  private constructor(environment: Environment, name: string, record: QueueRecord) {
    this.#environment = environment
    this.#name = name
    this.#record = record
    this.#counters = isDeadName(name) ? record.dead : record.main
  }

  static of(environment: Environment, name: string): StoredQueue | undefined {
    const record = environment.get(TABLES.queues, nameKey(baseOf(name)))
    return record && new StoredQueue(environment, name, record)
  }

  #job(n: number): Job | undefined {
    if (n <= 0 || n > this.#counters.lastJob) return undefined
    const chunk = chunkOfJob(n)
    let jobs = this.#chunks.get(chunk)
    if (jobs === undefined) {
      jobs = storedChunk(this.#environment, this.#counters.number, chunk)
      this.#chunks.set(chunk, jobs)
    }
    return jobs.find((job) => job.n === n)
  }

  #find(id: string): Job | undefined {
    const named = this.#job(numberIn(id, '-'))
    if (named?.id === id) return named
    const n = this.#environment.get(TABLES.jobIds, digestKey(this.#counters.number, digest(id)))
    return n === undefined ? undefined : this.#job(n)
  }

  #pairs(kind: number, a = 0, b = 0, whose?: Buffer): Generator<Pair> {
    return storedPairs(this.#environment, setKey(this.#counters.number, kind, whose), a, b)
  }

  #info(job: Job): JobInfo {
    const { id, state, subject, priority, attempts, deliveries, sentAt, dueAt, suspect, history, dead } = job
    const { key, group, policy, startedAt, replyBy, consumer, expiresAt, children, parent } = job
    const behind = this.#behind(job)
    const body = storedBody(this.#environment, this.#counters.number, job)
    return {
      ...{ id, state, subject, priority, attempts, deliveries, sentAt, dueAt, suspect, history, body },
      ...(key !== undefined && { key }),
      ...(group !== undefined && { group }),
      ...(policy !== undefined && { policy }),
      ...(startedAt > 0 && { startedAt }),
      ...(dead === undefined && { ttlAt: ttlAtOf(job) }),
      ...(replyBy !== undefined && { replyBy }),
      ...(state === 'held' && consumer !== undefined && { holder: consumer, expiresAt }),
      ...(behind !== undefined && { behind }),
      ...(children !== undefined && { children: { count: children.count, open: children.open } }),
      ...(parent !== undefined && { parent: parent.id }),
      ...(parent?.queue !== undefined && { parentQueue: parent.queue }),
      ...(dead !== undefined && { dead }),
      ...storedProgress(this.#environment, this.#counters.number, job),
    }
  }

  #behind({ n, key, sequence }: Job): string | undefined {
    if (key === undefined || sequence === 0 || isDeadName(this.#name)) return undefined
    const [first] = this.#pairs(INDEXES.line, 0, 0, digest(key))
    return first === undefined || first.b === n ? undefined : this.#job(first.b)?.id
  }

  jobs(query: JobsQuery): JobInfo[] {
    if ('ids' in query) {
      return query.ids.flatMap((id) => {
        const job = this.#find(id)
        return job === undefined ? [] : [this.#info(job)]
      })
    }
    const { after, limit } = query
    const last = after === undefined ? undefined : this.#find(after)
    if (after !== undefined && last === undefined) return []
    const jobs: JobInfo[] = []
    for (const job of 'line' in query ? this.#inLine(query.line, last) : this.#inState(query.state, last)) {
      if (jobs.length >= limit) break
      jobs.push(this.#info(job))
    }
    return jobs
  }

  *#inLine(key: string, last: Job | undefined): Generator<Job> {
    if (isDeadName(this.#name)) return
    const from = last === undefined ? undefined : { a: last.line ?? last.sequence, b: last.n + 1 }
    if (last !== undefined && (last.key !== key || last.sequence === 0)) return
    for (const { b } of this.#pairs(INDEXES.line, from?.a, from?.b, digest(key))) yield* this.#one(b)
  }

  *#inState(state: JobState, last: Job | undefined): Generator<Job> {
    if (state === 'ready') {
      yield* this.#ready(last?.sequence ?? 0)
      return
    }
    if (state === 'held') {
      const held: Job[] = []
      for (const { b } of this.#pairs(INDEXES.held)) {
        const jobs = storedChunk(this.#environment, this.#counters.number, b)
        held.push(...jobs.filter((job) => job.state === 'held' && job.sequence > (last?.sequence ?? 0)))
      }
      yield* held.sort((a, b) => a.sequence - b.sequence)
      return
    }
    if (state === 'waiting') {
      for (const { b } of this.#pairs(INDEXES.waiting, (last?.n ?? 0) + 1)) yield* this.#one(b)
      return
    }
    if (last === undefined || last.sequence > 0) {
      for (const { b } of this.#pairs(INDEXES.retryingBySequence, (last?.sequence ?? 0) + 1)) yield* this.#one(b)
      for (const { b } of this.#pairs(INDEXES.scheduled)) yield* this.#one(b)
    } else {
      for (const { b } of this.#pairs(INDEXES.scheduled, last.dueAt, last.n + 1)) yield* this.#one(b)
    }
  }

  *#one(n: number): Generator<Job> {
    const job = this.#job(n)
    if (job !== undefined) yield job
  }

  /** Ready jobs behind a place, merged from where they stand by priority. */
  *#ready(sequence: number): Generator<Job> {
    const rows: { readonly pairs: Generator<Pair>; next: Pair }[] = []
    const begin = (pairs: Generator<Pair>): void => {
      const { value } = pairs.next()
      if (value !== undefined) rows.push({ pairs, next: value as Pair })
    }
    try {
      for (let row = 0; row < 10; row++) {
        if ((this.#counters.open[9 - row] ?? 0) > 0) begin(this.#row(INDEXES.ready, row, sequence))
        if (this.#counters.suspects > 0) begin(this.#row(INDEXES.suspects, row, sequence))
      }
      begin(this.#pairs(INDEXES.blocked, sequence + 1))
      begin(this.#pairs(INDEXES.grouped, sequence + 1))
      while (rows.length > 0) {
        let lowest = 0
        for (let i = 1; i < rows.length; i++) {
          if ((rows[i]?.next.a ?? 0) < (rows[lowest]?.next.a ?? 0)) lowest = i
        }
        const row = rows[lowest]
        if (row === undefined) return
        yield* this.#one(row.next.b)
        const { value, done } = row.pairs.next()
        if (done === true) rows.splice(lowest, 1)
        else row.next = value
      }
    } finally {
      // Each that is not read to its end keeps one of the environment's few readers, and the pages that it sees.
      for (const { pairs } of rows) pairs.return(undefined)
    }
  }

  /** One priority of an index by rank, as places. */
  *#row(kind: number, row: number, sequence: number): Generator<Pair> {
    for (const { a, b } of this.#pairs(kind, row * RANKS + sequence + 1)) {
      if (a >= (row + 1) * RANKS) return
      yield { a: a - row * RANKS, b }
    }
  }

  info(now: number): QueueInfo {
    const { sent, ready, delayed, held, waiting = 0, done, removed, bytes, paused } = this.#counters
    const { dead: letters, bindings, tripped, life } = this.#record
    const isDead = isDeadName(this.#name)
    const dead = isDead ? 0 : letters.ready + letters.delayed + letters.held
    const [oldest] = this.#ready(0)
    return {
      queue: this.#name,
      counts: { sent, ready, delayed, held, waiting, done, dead, removed },
      bytes,
      ...(oldest !== undefined && { oldestReadyAt: oldest.dueAt }),
      consumers: countConsumers(this.#environment, this.#name, now),
      paused,
      ...(tripped !== undefined && !isDead && { tripped }),
      ...(life?.isOn === true && fullLife({ events: life.next - life.first, bytes: life.bytes ?? 0 })),
      bindings: isDead ? [] : bindings.map(({ topic, epoch, offset }) => ({ topic, position: { epoch, offset } })),
    }
  }

  answer(id: string, now: number): Answer | undefined {
    const kept = storedAnswer(this.#environment, this.#record.main.number, id, now)
    if (kept !== undefined) return kept
    const job = isDeadName(this.#name) ? undefined : this.#find(id)
    if (job?.replyBy === undefined || job.replyBy <= now) return undefined
    return { state: 'waiting', replyBy: job.replyBy }
  }
}
