/** Entries of equal size, numbered, kept in chunks under one prefix: appended at the end, forgotten from the start. */

import { countKey } from '../engine/keys.ts'
import type { Table } from '../engine/tables.ts'
import type { Plan } from '../engine/transaction.ts'

export interface Series {
  readonly table: Table<Buffer>
  readonly entryBytes: number
  readonly perChunk: number
}

export function chunkOf(series: Series, number: number): number {
  return Math.floor(number / series.perChunk)
}

/** Writes entries from `number` on; those before it stay. */
export function writeEntries(plan: Plan, series: Series, prefix: Buffer, number: number, entries: Buffer): void {
  const { entryBytes, perChunk, table } = series
  let done = 0
  while (done < entries.length) {
    const chunk = chunkOf(series, number)
    const start = (number - chunk * perChunk) * entryBytes
    const part = entries.subarray(done, done + perChunk * entryBytes - start)
    const key = countKey(prefix, chunk)
    const bytes = Buffer.alloc(start + part.length)
    if (start > 0) plan.get(table, key)?.copy(bytes, 0, 0, start)
    part.copy(bytes, start)
    plan.put(table, key, bytes)
    done += part.length
    number += part.length / entryBytes
  }
}

/** All entries of a chunk; none where it is not kept. */
export function readChunk(plan: Plan, series: Series, prefix: Buffer, chunk: number): Buffer[] {
  const bytes = plan.get(series.table, countKey(prefix, chunk))
  const entries: Buffer[] = []
  for (let at = 0; bytes !== undefined && at < bytes.length; at += series.entryBytes) {
    entries.push(bytes.subarray(at, at + series.entryBytes))
  }
  return entries
}

export function readEntry(plan: Plan, series: Series, prefix: Buffer, number: number): Buffer | undefined {
  const chunk = chunkOf(series, number)
  const bytes = plan.get(series.table, countKey(prefix, chunk))
  const start = (number - chunk * series.perChunk) * series.entryBytes
  return bytes === undefined || bytes.length < start + series.entryBytes
    ? undefined
    : bytes.subarray(start, start + series.entryBytes)
}

export function removeChunks(plan: Plan, series: Series, prefix: Buffer, from: number, to: number): void {
  for (let chunk = from; chunk < to; chunk++) plan.remove(series.table, countKey(prefix, chunk))
}
