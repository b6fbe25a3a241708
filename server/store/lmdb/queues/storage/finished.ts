/**
 * What is kept of finished jobs: by their numbers in the queue, neighbours in one record; what is large of one in a record
 * of its own. Owns these records, the indexes by the time at which each is forgotten, and how much there is.
 */

import type { FinishedState, Keeping } from '../../../contract/store.ts'
import { DamagedQueue } from '../../../damage.ts'
import type { Changes } from '../../engine/changes.ts'
import type { Environment } from '../../engine/environment.ts'
import { DUE, fallDue } from '../../engine/expiry.ts'
import { blockKey, countOf, digest, digestKey, nameKey, numberKey, under } from '../../engine/keys.ts'
import { TABLES } from '../../engine/tables.ts'
import { INDEXES, type Indexes } from './indexes.ts'
import { chunkOfJob, isNamed, numberIn } from './jobs.ts'
import type { Counters, Told } from './records.ts'
import type { SortedIndex } from './sortedIndex.ts'

export interface FinishedRecord {
  readonly n: number
  readonly id: string
  readonly state: FinishedState
  readonly subject: string
  readonly key: string | undefined
  readonly priority: number
  readonly attempts: number
  readonly deliveries: number
  readonly sentAt: number
  /** 0 where it was never delivered. */
  readonly startedAt: number
  readonly endedAt: number
  /** When it is forgotten. */
  readonly until: number
  bytes: number
  /** `apart`: it is in a record of its own. */
  told: Told | 'apart' | undefined
  /** As it is written, once it was: its neighbours come and go more often than it changes. */
  text: string | undefined
}

type Written = readonly [
  n: number,
  id: string,
  state: number,
  subject: string,
  priority: number,
  attempts: number,
  deliveries: number,
  sentAt: number,
  started: number | null,
  ended: number,
  kept: number,
  bytes: number,
  key: string | 0,
  told?: Told | 1,
]

const STATES = ['done', 'removed'] as const
/** What a record has beside its texts, about. */
const BARE = 100
/** The most that is written again with each neighbour. */
const TOGETHER = 512
/** Those that are over what is kept and go with one call. */
const PART = 100
/** Those that are over their time and go in one part of a sweep. */
const FORGOTTEN = 200
const KEPT_CHUNKS = 64

export function indexOf(state: FinishedState): number {
  return state === 'done' ? INDEXES.done : INDEXES.removed
}

export class FinishedJobs {
  readonly #environment: Environment
  readonly #counters: Counters
  readonly #queue: string
  readonly #indexes: Indexes
  readonly #chunks = new Map<number, Map<number, FinishedRecord>>()
  readonly #changed = new Set<number>()
  /** Since the last look at what is over. */
  #added = 0

  /** `counters`: those of the queue itself. */
  constructor(environment: Environment, queue: string, counters: Counters, indexes: Indexes) {
    this.#environment = environment
    this.#counters = counters
    this.#queue = queue
    this.#indexes = indexes
  }

  #chunk(number: number): Map<number, FinishedRecord> {
    let chunk = this.#chunks.get(number)
    if (chunk === undefined) {
      chunk = new Map(storedFinished(this.#environment, this.#counters.number, number).map((one) => [one.n, one]))
      this.#chunks.set(number, chunk)
    }
    return chunk
  }

  #index(state: FinishedState): SortedIndex {
    return this.#indexes.of(indexOf(state))
  }

  at(n: number): FinishedRecord | undefined {
    return n <= 0 ? undefined : this.#chunk(chunkOfJob(n)).get(n)
  }

  find(changes: Changes, id: string): FinishedRecord | undefined {
    const { done, removed } = this.#counters.finished ?? {}
    if (!done?.jobs && !removed?.jobs) return undefined
    const named = this.at(numberIn(id, '-'))
    if (named?.id === id) return named
    const n = changes.get(TABLES.jobIds, this.#idKey(id))
    const record = n === undefined ? undefined : this.at(n)
    return record?.id === id ? record : undefined
  }

  #idKey(id: string): Buffer {
    return digestKey(this.#counters.number, digest(id))
  }

  #partKey(n: number): Buffer {
    return blockKey(this.#counters.number, n)
  }

  /** `false`: it has more bytes than are kept. `hasId`: its id names its number already. */
  add(changes: Changes, record: FinishedRecord, told: Told | undefined, keep: Keeping, hasId: boolean): boolean {
    const text = told === undefined ? '' : JSON.stringify(told)
    const { n, id, state, subject, key = '', until } = record
    const bytes = BARE + id.length + subject.length + key.length + Buffer.byteLength(text)
    if (bytes > keep.bytes) return false
    record.bytes = bytes
    record.told = text.length > TOGETHER ? 'apart' : told
    if (record.told === 'apart') changes.put(TABLES.finishedParts, this.#partKey(n), told as Told)
    this.#put(record)
    if (!hasId && !isNamed(record)) changes.put(TABLES.jobIds, this.#idKey(id), n)
    this.#index(state).add(until, n)
    this.#count(state, 1, bytes)
    this.#added++
    if (this.#counters.forgetAt === undefined || until < this.#counters.forgetAt) this.#forgetAt(changes, until)
    return true
  }

  #put(record: FinishedRecord): void {
    const chunk = chunkOfJob(record.n)
    this.#chunk(chunk).set(record.n, record)
    this.#changed.add(chunk)
  }

  #count(state: FinishedState, jobs: number, bytes: number): void {
    this.#counters.finished ??= {}
    const { finished } = this.#counters
    finished[state] ??= { jobs: 0, bytes: 0 }
    finished[state].jobs += jobs
    finished[state].bytes += bytes
  }

  remove(changes: Changes, { n, id, state, until, bytes, told }: FinishedRecord): void {
    const chunk = chunkOfJob(n)
    this.#chunk(chunk).delete(n)
    this.#changed.add(chunk)
    if (told === 'apart') changes.remove(TABLES.finishedParts, this.#partKey(n))
    // Still its own: a job that gets this id next takes it from here first (`forgetFinished`).
    if (!isNamed({ id, n })) changes.remove(TABLES.jobIds, this.#idKey(id))
    this.#index(state).remove(until, n)
    this.#count(state, -1, -bytes)
  }

  #first(state: FinishedState): FinishedRecord | undefined {
    const first = this.#index(state).first()
    if (first === undefined) return undefined
    const record = this.at(first.b)
    if (record === undefined) throw new DamagedQueue(this.#queue)
    return record
  }

  /** Takes away what is more than is kept: all that came since the last time, and a part of the rest. */
  trim(changes: Changes, keep: Keeping): void {
    let left = this.#added + PART
    this.#added = 0
    for (const state of STATES) {
      for (; left > 0; left--) {
        const { jobs = 0, bytes = 0 } = this.#counters.finished?.[state] ?? {}
        if (jobs <= keep.count && bytes <= keep.bytes) break
        const first = this.#first(state)
        if (first === undefined) break
        this.remove(changes, first)
      }
    }
  }

  /** Forgets a part of what is over its time; answers whether there is more of it. */
  sweep(changes: Changes): boolean {
    let left = FORGOTTEN
    for (const state of STATES) {
      for (; left > 0; left--) {
        const first = this.#first(state)
        if (first === undefined || first.until > changes.now) break
        this.remove(changes, first)
      }
    }
    const next = Math.min(...STATES.map((state) => this.#index(state).lowest))
    this.#counters.forgetAt = undefined
    if (Number.isFinite(next)) this.#forgetAt(changes, next)
    return next <= changes.now
  }

  #forgetAt(changes: Changes, at: number): void {
    this.#counters.forgetAt = at
    fallDue(changes, at, DUE.finished, nameKey(this.#queue))
  }

  toldOf(changes: Changes, { n, told }: FinishedRecord): Told | undefined {
    return told === 'apart' ? changes.get(TABLES.finishedParts, this.#partKey(n)) : told
  }

  recordsIn(chunk: number): FinishedRecord[] {
    return [...this.#chunk(chunk).values()]
  }

  /** Other texts of the same meaning in the same place. */
  retell(changes: Changes, record: FinishedRecord, told: Told): void {
    if (record.told === 'apart') changes.put(TABLES.finishedParts, this.#partKey(record.n), told)
    else this.#put({ ...record, told, text: undefined })
  }

  /** All of them, into indexes that are made anew. */
  gather(changes: Changes): void {
    this.#counters.finished = {}
    for (const key of changes.environment.keys(TABLES.finished, under(numberKey(this.#counters.number)))) {
      for (const record of this.recordsIn(countOf(key))) {
        this.#counters.lastJob = Math.max(this.#counters.lastJob, record.n)
        this.#index(record.state).add(record.until, record.n)
        this.#count(record.state, 1, record.bytes)
        if (!isNamed(record)) changes.put(TABLES.jobIds, this.#idKey(record.id), record.n)
        const { forgetAt } = this.#counters
        if (forgetAt === undefined || record.until < forgetAt) this.#forgetAt(changes, record.until)
      }
    }
  }

  flush(changes: Changes): void {
    for (const number of this.#changed) {
      const key = blockKey(this.#counters.number, number)
      const chunk = this.#chunk(number)
      if (chunk.size === 0) changes.remove(TABLES.finished, key)
      else changes.put(TABLES.finished, key, textOf(chunk))
    }
    this.#changed.clear()
    for (const number of this.#chunks.keys()) {
      if (this.#chunks.size <= KEPT_CHUNKS) break
      this.#chunks.delete(number)
    }
  }
}

function textOf(chunk: ReadonlyMap<number, FinishedRecord>): string {
  let text = ''
  for (const record of chunk.values()) {
    record.text ??= JSON.stringify(written(record))
    text += text === '' ? record.text : `,${record.text}`
  }
  return `[${text}]`
}

function written(record: FinishedRecord): Written {
  const { sentAt, startedAt, endedAt, told } = record
  const head: Written = [
    record.n,
    record.id,
    STATES.indexOf(record.state),
    record.subject,
    record.priority,
    record.attempts,
    record.deliveries,
    sentAt,
    startedAt === 0 ? null : startedAt - sentAt,
    endedAt - sentAt,
    record.until - endedAt,
    record.bytes,
    record.key ?? 0,
  ]
  if (told === undefined) return head
  return [...head, told === 'apart' ? 1 : told] as unknown as Written
}

function decode(written: Written): FinishedRecord {
  const [n, id, state, subject, priority, attempts, deliveries, sentAt, started, ended, kept, bytes, key, told] =
    written
  return {
    n,
    id,
    state: STATES[state] ?? 'done',
    subject,
    key: key === 0 ? undefined : key,
    priority,
    attempts,
    deliveries,
    sentAt,
    startedAt: started === null ? 0 : sentAt + started,
    endedAt: sentAt + ended,
    until: sentAt + ended + kept,
    bytes,
    told: told === 1 ? 'apart' : told,
    text: undefined,
  }
}

/** As it is stored. */
export function storedFinished(environment: Environment, queueNumber: number, chunk: number): FinishedRecord[] {
  const records = environment.get(TABLES.finished, blockKey(queueNumber, chunk)) ?? []
  return (records as readonly Written[]).map(decode)
}
