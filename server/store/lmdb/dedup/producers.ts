/**
 * What each producer of a topic or a queue has numbered already, and what its last drafts got: an offset, or a job's
 * number, and its name where that does not follow from the number.
 */

import { RepriseError } from '../../../../shared/errors.ts'
import { DUE, fallDue, PRODUCER_MS } from '../engine/expiry.ts'
import { countKey, digest, digestKey } from '../engine/keys.ts'
import { type ProducerRecord, TABLES } from '../engine/tables.ts'
import type { Transaction } from '../engine/transaction.ts'
import { type ChunkedArray, chunkOf, readEntry, removeChunks, writeEntries } from './chunkedArray.ts'

/** Drafts of a producer whose offsets are kept. */
const KEPT_DRAFTS = 1_024

const LOG: ChunkedArray = { table: TABLES.producerLog, entryBytes: 6, perChunk: 128 }

function floorOf({ start, next }: Pick<ProducerRecord, 'start' | 'next'>): number {
  return Math.max(start, next - KEPT_DRAFTS)
}

export class Producer {
  readonly #transaction: Transaction
  readonly #name: string
  readonly #key: Buffer
  readonly #stored: ProducerRecord | undefined

  constructor(transaction: Transaction, topicNumber: number, subject: string, name: string) {
    this.#transaction = transaction
    this.#name = name
    this.#key = digestKey(topicNumber, digest(subject, name))
    this.#stored = transaction.get(TABLES.producers, this.#key)
  }

  /** `undefined` also when it is over its time. */
  get #known(): ProducerRecord | undefined {
    const stored = this.#stored
    return stored !== undefined && this.#transaction.now - stored.usedAt < PRODUCER_MS ? stored : undefined
  }

  /** What the first of these drafts got already, an offset or an id; `conflict` where the numbers do not fit. */
  duplicates(seq: number, count: number, got: 'offset' | 'id'): number[] {
    const known = this.#known
    const next = known?.next ?? seq
    if (known === undefined ? seq > 1 : seq > next) throw this.#conflict(seq, known, got)
    const offsets: number[] = []
    for (let number = seq; number < Math.min(next, seq + count); number++) {
      const kept = known !== undefined && number >= floorOf(known)
      const entry = kept ? readEntry(this.#transaction, LOG, this.#key, number) : undefined
      if (entry === undefined) throw this.#conflict(number, known, got)
      offsets.push(entry.readUIntBE(0, LOG.entryBytes))
    }
    return offsets
  }

  /** What the draft of this number was called, if it was given a name. */
  nameOf(number: number): string | undefined {
    return this.#known === undefined
      ? undefined
      : this.#transaction.get(TABLES.producerNames, countKey(this.#key, number))
  }

  #conflict(seq: number, known: ProducerRecord | undefined, got: string): RepriseError {
    const name = JSON.stringify(this.#name)
    if (known === undefined) {
      return new RepriseError(
        'conflict',
        `producer ${name} is not known: its numbers begin with 0 or 1, not with ${seq}`,
      )
    }
    if (seq > known.next) {
      return new RepriseError('conflict', `producer ${name} skipped numbers: ${known.next} is next, not ${seq}`)
    }
    const text =
      seq < known.start
        ? `producer ${name} began with ${known.start}: there was no draft ${seq}`
        : `draft ${seq} of producer ${name} was taken, but its ${got} is no longer kept`
    return new RepriseError('conflict', text)
  }

  /** Takes the numbers from `seq` on for these offsets, and names where there are some; those before are duplicates. */
  take(seq: number, offsets: readonly number[], names: readonly (string | undefined)[] = []): void {
    const transaction = this.#transaction
    const known = this.#known
    const start = known?.start ?? seq
    const from = Math.max(seq, known?.next ?? seq)
    const next = Math.max(seq + offsets.length, known?.next ?? 0)
    if (known === undefined && this.#stored !== undefined) forgetDrafts(transaction, this.#key, this.#stored)
    const entries = Buffer.alloc(Math.max(0, next - from) * LOG.entryBytes)
    for (let number = from; number < next; number++) {
      entries.writeUIntBE(offsets[number - seq] ?? 0, (number - from) * LOG.entryBytes, LOG.entryBytes)
    }
    writeEntries(transaction, LOG, this.#key, from, entries)
    if (known !== undefined) {
      removeChunks(transaction, LOG, this.#key, chunkOf(LOG, floorOf(known)), chunkOf(LOG, floorOf({ start, next })))
    }
    let named = known?.named
    for (let number = from; number < next; number++) {
      const name = names[number - seq]
      if (name === undefined) continue
      named ??= number
      transaction.put(TABLES.producerNames, countKey(this.#key, number), name)
    }
    if (named !== undefined) named = forgetNames(transaction, this.#key, named, floorOf({ start, next }))
    const dueAt = this.#stored?.dueAt ?? transaction.now + PRODUCER_MS
    if (this.#stored === undefined) fallDue(transaction, dueAt, DUE.producer, this.#key)
    transaction.put(TABLES.producers, this.#key, {
      start,
      next,
      ...(named !== undefined && { named }),
      usedAt: transaction.now,
      dueAt,
    })
  }
}

function forgetDrafts(transaction: Transaction, key: Buffer, record: ProducerRecord): void {
  removeChunks(transaction, LOG, key, chunkOf(LOG, floorOf(record)), chunkOf(LOG, record.next) + 1)
  if (record.named !== undefined) forgetNames(transaction, key, record.named, record.next)
}

/** Answers where names may begin now. */
function forgetNames(transaction: Transaction, key: Buffer, named: number, floor: number): number {
  for (let number = named; number < floor; number++) transaction.remove(TABLES.producerNames, countKey(key, number))
  return Math.max(named, floor)
}

/** Forgets a producer that is over its time; answers whether it was. */
export function sweepProducer(transaction: Transaction, key: Buffer, record: ProducerRecord): boolean {
  const dueAt = record.usedAt + PRODUCER_MS
  if (dueAt <= transaction.now) {
    forgetDrafts(transaction, key, record)
    transaction.remove(TABLES.producers, key)
    return true
  }
  transaction.put(TABLES.producers, key, { ...record, dueAt })
  fallDue(transaction, dueAt, DUE.producer, key)
  return false
}
