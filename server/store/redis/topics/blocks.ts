/**
 * The block, as the scripts are given and answer it: consecutive events of one step in one entry of a stream, see
 * blocks.lua. A damaged record costs one event, lengths that are damaged the block's events.
 */

import {
  countedBytes,
  type RecordBody,
  readKnownBody,
  readPassingBody,
  type SizedBody,
  sizeBody,
  writeBody,
  writeRecord,
} from '../../codec.ts'
import type { PayloadChange, StoredEvent } from '../../contract/store.ts'
import type { Argument } from '../connection/connection.ts'

/** As blocks.lua has them. */
const MAX_BLOCK_EVENTS = 128
const MAX_BLOCK_BYTES = 16_384

export interface Block {
  readonly id: Buffer
  /** Offset of its first event. */
  readonly first: number
  readonly at: number
  readonly lengths: readonly number[]
  /** One behind the other. */
  readonly records: Buffer
}

/** Groups of bodies that fit into a block: how many, what retention counts of them, the length of each, their records. */
export function packGroups(bodies: readonly SizedBody[]): Argument[] {
  const groups: Argument[] = []
  for (let i = 0; i < bodies.length; ) {
    const from = i
    let [size, counted, lengths] = [0, 0, '']
    for (; i < bodies.length && i - from < MAX_BLOCK_EVENTS; i++) {
      const body = bodies[i]
      if (body === undefined || (i > from && size + body.bytes > MAX_BLOCK_BYTES)) break
      size += body.bytes
      counted += body.counted
      lengths += i === from ? body.bytes : ` ${body.bytes}`
    }
    const records = Buffer.allocUnsafe(size)
    let start = 0
    for (const body of bodies.slice(from, i)) {
      writeBody(records, start, body)
      start += body.bytes
    }
    groups.push(String(i - from), String(counted), lengths, records)
  }
  return groups
}

/** Of what a script answers: id, records and lengths of each in turn. Of a single event there need be no lengths. */
export function blocksOf(answer: readonly Buffer[]): Block[] {
  const blocks: Block[] = []
  for (let i = 0; i + 2 < answer.length; i += 3) {
    const [id = NOTHING, records = NOTHING, lengths = NOTHING] = answer.slice(i, i + 3)
    const [first = 0, at = 0] = id.toString('latin1').split('-').map(Number)
    blocks.push({ id, first, at, records, lengths: lengths.length === 0 ? [records.length] : lengthsIn(lengths) })
  }
  return blocks
}

const NOTHING = Buffer.alloc(0)

function lengthsIn(text: Buffer): number[] {
  return text
    .toString('latin1')
    .split(' ')
    .map((length) => Number(length) || 0)
}

/** The block's events from index `from` on, as long as `take` accepts their size. */
export function* readRecords(
  { first, at, lengths, records }: Block,
  from: number,
  take: (bytes: number) => boolean,
): Generator<StoredEvent> {
  let start = 0
  for (let index = 0; index < lengths.length; index++) {
    const bytes = lengths[index] ?? 0
    if (index >= from) {
      if (!take(countedBytes(records, start, bytes))) return
      const offset = first + index
      const body = readPassingBody(records, start, Math.min(start + bytes, records.length))
      yield body === undefined ? { offset, damaged: true } : { offset, at, body }
    }
    start += bytes
  }
}

/** The block's lengths and records with other bodies in it, where any is to be another one. */
export function rewriteBlock({ lengths, records }: Block, change: PayloadChange) {
  let [start, changed] = [0, 0]
  const bodies = lengths.map((bytes): RecordBody => {
    const raw = records.subarray(start, Math.min(start + bytes, records.length))
    start += bytes
    const body = readKnownBody(raw)
    const other = body && change.body(body, 'event')
    if (other === undefined) return { raw, bytes: raw.length }
    changed++
    return sizeBody(other)
  })
  if (changed === 0) return undefined
  const all = bodies.map(({ bytes }) => bytes)
  const written = Buffer.allocUnsafe(all.reduce((sum, bytes) => sum + bytes, 0))
  let end = 0
  for (const body of bodies) {
    writeRecord(written, end, body)
    end += body.bytes
  }
  return { records: written, lengths: all.join(' '), changed }
}
