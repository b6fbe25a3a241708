/** Who takes jobs from a queue: sessions, presence, and what each holds. */

import type { Owner } from '../../../contract/store.ts'
import type { Environment } from '../../engine/environment.ts'
import { DUE, fallDue } from '../../engine/expiry.ts'
import { afterPrefix, digest, nameKey } from '../../engine/keys.ts'
import { TABLES } from '../../engine/tables.ts'
import type { Transaction } from '../../engine/transaction.ts'
import { INDEXES, type Indexes } from './indexes.ts'
import type { Job } from './jobs.ts'
import type { HolderRecord } from './records.ts'
import type { SortedIndex } from './sortedIndex.ts'

/** A holder that was not touched for so long is not attached any more. */
export const HOLDER_MS = 60_000

export interface Holder {
  readonly key: Buffer
  readonly record: HolderRecord
  /** Numbers of the jobs it holds. */
  readonly held: SortedIndex
}

const KEPT = 1_000

export class Holders {
  readonly #environment: Environment
  readonly #name: string
  readonly #indexes: Indexes
  readonly #known = new Map<string, Holder>()
  readonly #changed = new Set<Holder>()
  readonly #forgotten = new Map<string, Buffer>()

  constructor(environment: Environment, name: string, indexes: Indexes) {
    this.#environment = environment
    this.#name = name
    this.#indexes = indexes
  }

  of(owner: Owner): Holder {
    const name = `${owner.subject}\0${owner.client}`
    const known = this.#known.get(name)
    if (known !== undefined) return known
    const whose = digest(owner.subject, owner.client)
    const key = holderKey(this.#name, whose)
    const stored = this.#forgotten.has(name) ? undefined : this.#environment.get(TABLES.holders, key)
    const record = stored ?? newRecord(owner)
    const holder = { key, record, held: this.#indexes.of(INDEXES.held, whose) }
    this.#known.set(name, holder)
    return holder
  }

  /** Its record is written with this commit. */
  change(holder: Holder): void {
    this.#changed.add(holder)
  }

  take(owner: Owner, job: Job): void {
    const holder = this.of(owner)
    holder.held.add(job.n, 0)
    if (!job.suspect) return
    holder.record.suspects++
    this.change(holder)
  }

  drop(owner: Owner, job: Job): void {
    const holder = this.of(owner)
    holder.held.remove(job.n, 0)
    if (!job.suspect) return
    holder.record.suspects--
    this.change(holder)
  }

  /** Forgets a holder that is gone; answers whether it was. */
  sweep(transaction: Transaction, owner: Owner): boolean {
    const holder = this.of(owner)
    const { record } = holder
    const isOver = !record.attached || transaction.now - record.touchedAt > HOLDER_MS
    if (!isOver || holder.held.first() !== undefined) {
      record.dueAt = transaction.now + HOLDER_MS
      fallDue(transaction, record.dueAt, DUE.holder, holder.key)
      this.change(holder)
      return false
    }
    const name = `${owner.subject}\0${owner.client}`
    this.#changed.delete(holder)
    this.#known.delete(name)
    this.#forgotten.set(name, holder.key)
    transaction.remove(TABLES.holders, holder.key)
    return true
  }

  flush(transaction: Transaction): void {
    for (const holder of this.#changed) {
      const { record } = holder
      if (record.dueAt === 0) {
        record.dueAt = transaction.now + HOLDER_MS
        fallDue(transaction, record.dueAt, DUE.holder, holder.key)
      }
      transaction.put(TABLES.holders, holder.key, { ...record })
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

function newRecord({ subject, client }: Owner): HolderRecord {
  return { subject, client, session: 0, touchedAt: 0, attached: false, handOut: 0, suspects: 0, dueAt: 0 }
}

function holderKey(queue: string, whose: Buffer): Buffer {
  return Buffer.concat([nameKey(queue), Buffer.of(0), whose])
}

/** As it is stored. */
export function storedSession(environment: Environment, queue: string, { subject, client }: Owner): number {
  return environment.get(TABLES.holders, holderKey(queue, digest(subject, client)))?.session ?? 0
}

export function queueOfHolder(key: Buffer): string {
  return key.subarray(0, key.indexOf(0)).toString()
}

export function isAttached({ attached, touchedAt }: HolderRecord, now: number): boolean {
  return attached && now - touchedAt <= HOLDER_MS
}

/** How many are there, as it is stored. */
export function countConsumers(environment: Environment, queue: string, now: number): number {
  const start = Buffer.concat([nameKey(queue), Buffer.of(0)])
  let count = 0
  for (const { value } of environment.records(TABLES.holders, { start, end: afterPrefix(start) })) {
    if (isAttached(value, now)) count++
  }
  return count
}
