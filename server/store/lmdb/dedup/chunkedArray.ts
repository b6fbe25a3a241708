/** Entries of equal size, numbered, kept in chunks under one prefix: appended at the end, forgotten from the start. */

import { countKey } from '../engine/keys.ts'
import type { Table } from '../engine/tables.ts'
import type { Transaction } from '../engine/transaction.ts'

export interface ChunkedArray {
  readonly table: Table<Buffer>
  readonly entryBytes: number
  readonly perChunk: number
}

export function chunkOf(series: ChunkedArray, number: number): number {
  return Math.floor(number / series.perChunk)
}

/** Writes entries from `number` on; those before it stay. */
export function writeEntries(
  transaction: Transaction,
  series: ChunkedArray,
  prefix: Buffer,
  number: number,
  entries: Buffer,
): void {
  const { entryBytes, perChunk, table } = series
  let done = 0
  while (done < entries.length) {
    const chunk = chunkOf(series, number)
    const start = (number - chunk * perChunk) * entryBytes
    const part = entries.subarray(done, done + perChunk * entryBytes - start)
    const key = countKey(prefix, chunk)
    const bytes = Buffer.alloc(start + part.length)
    if (start > 0) transaction.get(table, key)?.copy(bytes, 0, 0, start)
    part.copy(bytes, start)
    transaction.put(table, key, bytes)
    done += part.length
    number += part.length / entryBytes
  }
}

/** All entries of a chunk; none where it is not kept. */
export function readChunk(transaction: Transaction, series: ChunkedArray, prefix: Buffer, chunk: number): Buffer[] {
  const bytes = transaction.get(series.table, countKey(prefix, chunk))
  const entries: Buffer[] = []
  for (let at = 0; bytes !== undefined && at < bytes.length; at += series.entryBytes) {
    entries.push(bytes.subarray(at, at + series.entryBytes))
  }
  return entries
}

export function readEntry(
  transaction: Transaction,
  series: ChunkedArray,
  prefix: Buffer,
  number: number,
): Buffer | undefined {
  const chunk = chunkOf(series, number)
  const bytes = transaction.get(series.table, countKey(prefix, chunk))
  const start = (number - chunk * series.perChunk) * series.entryBytes
  return bytes === undefined || bytes.length < start + series.entryBytes
    ? undefined
    : bytes.subarray(start, start + series.entryBytes)
}

export function removeChunks(
  transaction: Transaction,
  series: ChunkedArray,
  prefix: Buffer,
  from: number,
  to: number,
): void {
  for (let chunk = from; chunk < to; chunk++) transaction.remove(series.table, countKey(prefix, chunk))
}
