/** Which ids a subject gave to a topic lately, and the offsets they got. Owns the window in time and number. */

import { DUE, fallDue, ID_MS } from '../engine/expiry.ts'
import { digest, digestKey } from '../engine/keys.ts'
import { type IdsRecord, TABLES } from '../engine/tables.ts'
import type { Transaction } from '../engine/transaction.ts'
import { type ChunkedArray, chunkOf, readChunk, removeChunks, writeEntries } from './chunkedArray.ts'

/** Ids remembered for one subject of one topic. */
export const MAX_IDS = 1_000_000

/** Entry: the id's digest, then its time. */
const LOG: ChunkedArray = { table: TABLES.idLog, entryBytes: 22, perChunk: 64 }
const DIGEST_BYTES = 16

export class Ids {
  readonly #transaction: Transaction
  readonly #topicNumber: number
  readonly #owner: Buffer
  readonly #subject: Buffer
  readonly #maxIds: number

  constructor(transaction: Transaction, topicNumber: number, subject: string, maxIds: number) {
    this.#transaction = transaction
    this.#topicNumber = topicNumber
    this.#subject = digest(subject)
    this.#owner = digestKey(topicNumber, this.#subject)
    this.#maxIds = maxIds
  }

  #key(id: Buffer): Buffer {
    return digestKey(this.#topicNumber, this.#subject, id)
  }

  /** The offset that this id got, while it is remembered. */
  offsetOf(id: string): number | undefined {
    const known = this.#transaction.get(TABLES.ids, this.#key(digest(id)))
    if (known === undefined || this.#transaction.now - known.at >= ID_MS) return undefined
    const owner = this.#transaction.get(TABLES.idOwners, this.#owner)
    return owner === undefined || known.number < owner.floor ? undefined : known.offset
  }

  /** As if it had never been given. */
  forget(id: string): void {
    this.#transaction.remove(TABLES.ids, this.#key(digest(id)))
  }

  /** Remembers new ids in their order, and forgets the oldest beyond the limit. Answers how many of these before their time. */
  remember(given: readonly { readonly id: string; readonly offset: number }[]): number {
    if (given.length === 0) return 0
    const transaction = this.#transaction
    const known = transaction.get(TABLES.idOwners, this.#owner)
    const number = known?.next ?? 0
    const entries = Buffer.alloc(given.length * LOG.entryBytes)
    given.forEach(({ id, offset }, i) => {
      const short = digest(id)
      short.copy(entries, i * LOG.entryBytes)
      entries.writeUIntBE(transaction.now, i * LOG.entryBytes + DIGEST_BYTES, 6)
      transaction.put(TABLES.ids, this.#key(short), { offset, at: transaction.now, number: number + i })
    })
    writeEntries(transaction, LOG, this.#owner, number, entries)
    const next = number + given.length
    const dueAt = known?.dueAt ?? transaction.now + ID_MS
    if (known === undefined) fallDue(transaction, dueAt, DUE.ids, this.#owner)
    const oldFloor = known?.floor ?? 0
    const floor = Math.max(oldFloor, next - this.#maxIds)
    for (let chunk = chunkOf(LOG, oldFloor); chunk < chunkOf(LOG, floor); chunk++)
      forgetChunk(transaction, this.#owner, chunk)
    transaction.put(TABLES.idOwners, this.#owner, { next, floor, dueAt })
    return dueAt > transaction.now ? floor - oldFloor : 0
  }
}

function forgetChunk(transaction: Transaction, owner: Buffer, chunk: number): number {
  const entries = readChunk(transaction, LOG, owner, chunk)
  entries.forEach((entry, i) => {
    const key = Buffer.concat([owner, entry.subarray(0, DIGEST_BYTES)])
    // Given again after its time, the id has a later number and stays.
    if (transaction.get(TABLES.ids, key)?.number === chunk * LOG.perChunk + i) transaction.remove(TABLES.ids, key)
  })
  removeChunks(transaction, LOG, owner, chunk, chunk + 1)
  return entries.length
}

interface SweptIds {
  readonly ids: number
  readonly chunks: number
  readonly more: boolean
}

/** Forgets chunks of ids that are over their time, `most` at most; answers how many, and whether there are more. */
export function sweepIds(transaction: Transaction, owner: Buffer, record: IdsRecord, most: number): SweptIds {
  let ids = 0
  let chunks = 0
  let { floor } = record
  for (; floor < record.next; chunks++) {
    const chunk = chunkOf(LOG, floor)
    const last = readChunk(transaction, LOG, owner, chunk).at(-1)
    const dueAt = last === undefined ? 0 : last.readUIntBE(DIGEST_BYTES, 6) + ID_MS
    if (dueAt > transaction.now || chunks === most) {
      transaction.put(TABLES.idOwners, owner, { ...record, floor, dueAt })
      fallDue(transaction, dueAt, DUE.ids, owner)
      return { ids, chunks, more: dueAt <= transaction.now }
    }
    ids += forgetChunk(transaction, owner, chunk)
    floor = Math.min(record.next, (chunk + 1) * LOG.perChunk)
  }
  transaction.remove(TABLES.idOwners, owner)
  return { ids, chunks, more: false }
}
