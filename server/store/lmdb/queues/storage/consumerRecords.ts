/** Who takes jobs from a queue: sessions, presence, and what each holds. */

import type { Owner } from '../../../contract/store.ts'
import type { Changes } from '../../engine/changes.ts'
import type { Environment } from '../../engine/environment.ts'
import { DUE, fallDue } from '../../engine/expiry.ts'
import { digest, nameKey, under } from '../../engine/keys.ts'
import { TABLES } from '../../engine/tables.ts'
import { INDEXES, type Indexes } from './indexes.ts'
import type { Job } from './jobs.ts'
import type { ConsumerRecord } from './records.ts'
import type { SortedIndex } from './sortedIndex.ts'

/** A consumer that was not touched for so long is not attached any more. */
const TOUCH_MS = 60_000

export interface ConsumerEntry {
  readonly key: Buffer
  readonly record: ConsumerRecord
  /** Numbers of the jobs it holds. */
  readonly held: SortedIndex
}

const KEPT = 1_000

export class ConsumerEntries {
  readonly #environment: Environment
  readonly #name: string
  readonly #indexes: Indexes
  readonly #known = new Map<string, ConsumerEntry>()
  readonly #changed = new Set<ConsumerEntry>()
  readonly #forgotten = new Map<string, Buffer>()

  constructor(environment: Environment, name: string, indexes: Indexes) {
    this.#environment = environment
    this.#name = name
    this.#indexes = indexes
  }

  of(owner: Owner): ConsumerEntry {
    const name = `${owner.subject}\0${owner.client}`
    const known = this.#known.get(name)
    if (known !== undefined) return known
    const whose = digest(owner.subject, owner.client)
    const key = consumerKey(this.#name, whose)
    const stored = this.#forgotten.has(name) ? undefined : this.#environment.get(TABLES.consumers, key)
    const record = stored ?? newRecord(owner)
    const consumer = { key, record, held: this.#indexes.of(INDEXES.heldBy, whose) }
    this.#known.set(name, consumer)
    return consumer
  }

  /** Its record is written with this commit. */
  change(consumer: ConsumerEntry): void {
    this.#changed.add(consumer)
  }

  /** It holds one job more, or with -1 one less. */
  hold(owner: Owner, job: Job, by: 1 | -1): void {
    const consumer = this.of(owner)
    consumer.held.put(job.n, 0, by)
    if (!job.suspect) return
    consumer.record.suspects += by
    this.change(consumer)
  }

  /** How many are attached, as this transaction leaves them. */
  attached(now: number): number {
    const records = new Map(storedConsumers(this.#environment, this.#name))
    for (const { key, record } of this.#changed) records.set(key.toString('latin1'), record)
    return [...records.values()].filter((record) => isAttached(record, now)).length
  }

  /** Forgets all of them. */
  clear(changes: Changes): void {
    for (const [key] of storedConsumers(this.#environment, this.#name)) {
      changes.remove(TABLES.consumers, Buffer.from(key, 'latin1'))
    }
  }

  /** Forgets a consumer that is gone; answers whether it was. */
  sweep(changes: Changes, owner: Owner): boolean {
    const consumer = this.of(owner)
    const { record } = consumer
    const isOver = !record.attached || changes.now - record.touchedAt > TOUCH_MS
    if (!isOver || consumer.held.first() !== undefined) {
      record.dueAt = 0
      this.change(consumer)
      return false
    }
    const name = `${owner.subject}\0${owner.client}`
    this.#changed.delete(consumer)
    this.#known.delete(name)
    this.#forgotten.set(name, consumer.key)
    changes.remove(TABLES.consumers, consumer.key)
    return true
  }

  flush(changes: Changes): void {
    for (const consumer of this.#changed) {
      const { record } = consumer
      if (record.dueAt === 0) {
        record.dueAt = changes.now + TOUCH_MS
        fallDue(changes, record.dueAt, DUE.consumer, consumer.key)
      }
      changes.put(TABLES.consumers, consumer.key, { ...record })
    }
    this.#changed.clear()
    this.#forgotten.clear()
    if (this.#known.size > KEPT) this.#known.clear()
  }

  /** Their sets are not those that changes go to any more. */
  letGo(): void {
    this.#known.clear()
  }
}

function newRecord({ subject, client }: Owner): ConsumerRecord {
  return { subject, client, session: 0, touchedAt: 0, attached: false, handOut: 0, suspects: 0, dueAt: 0 }
}

function consumerKey(queue: string, whose: Buffer): Buffer {
  return Buffer.concat([nameKey(queue), Buffer.of(0), whose])
}

/** As it is stored. */
export function storedSession(environment: Environment, queue: string, { subject, client }: Owner): number {
  return environment.get(TABLES.consumers, consumerKey(queue, digest(subject, client)))?.session ?? 0
}

export function queueOfHolder(key: Buffer): string {
  return key.subarray(0, key.indexOf(0)).toString()
}

export function isAttached({ attached, touchedAt }: ConsumerRecord, now: number): boolean {
  return attached && now - touchedAt <= TOUCH_MS
}

/** How many are there, as it is stored. */
export function countConsumers(environment: Environment, queue: string, now: number): number {
  let count = 0
  for (const [, record] of storedConsumers(environment, queue)) if (isAttached(record, now)) count++
  return count
}

function* storedConsumers(environment: Environment, queue: string): Generator<[key: string, ConsumerRecord]> {
  const prefix = Buffer.concat([nameKey(queue), Buffer.of(0)])
  for (const { key, value } of environment.records(TABLES.consumers, under(prefix))) {
    yield [key.toString('latin1'), value]
  }
}
