/**
 * The block: consecutive events of one commit in one value. Owns its format and its checksums; knows nothing of the
 * table. A damaged record costs one event, a damaged header the block's events.
 *
 * version 1 · count 4 · time 8 · bytes of all bodies before 8 · size of each record 4 × count · checksum 4 · records
 */

import { crc32 } from 'node:zlib'
import { countedBytes, type RecordBody, readKnownBody, readPassingBody, sizeBody, writeRecord } from '../../codec.ts'
import type { PayloadChange, StoredEvent } from '../../contract/store.ts'
import { blockKey } from '../engine/keys.ts'

const VERSION = 1
const SIZES = 21
const U32 = 4

/** A block is closed before it grows beyond this; a larger one holds a single event. */
export const MAX_BLOCK_BYTES = 32_768

/** Bytes a block needs besides its records: a header, and a size for each. */
export const BLOCK_OVERHEAD = SIZES + U32
export const RECORD_OVERHEAD = U32

export interface BlockHeader {
  /** Offset of its first event. */
  readonly first: number
  readonly count: number
  readonly at: number
  /** Bytes of all bodies of the topic before this block. */
  readonly before: number
}

export function packBlock(
  topicNumber: number,
  header: Omit<BlockHeader, 'count'>,
  bodies: readonly RecordBody[],
): Buffer {
  const head = SIZES + U32 * bodies.length
  let size = head + U32
  for (const { bytes } of bodies) size += bytes
  const block = Buffer.allocUnsafe(size)
  block[0] = VERSION
  block.writeUInt32BE(bodies.length, 1)
  block.writeDoubleBE(header.at, 5)
  block.writeDoubleBE(header.before, 13)
  let start = head + U32
  for (let i = 0; i < bodies.length; i++) {
    const body = bodies[i]
    if (body === undefined) break
    block.writeUInt32BE(body.bytes, SIZES + U32 * i)
    writeRecord(block, start, body)
    start += body.bytes
  }
  block.writeUInt32BE(headerSum(topicNumber, header.first, block, head), head)
  return block
}

/** The key goes into the sum, so that a block in another's place does not pass. */
function headerSum(topicNumber: number, first: number, block: Buffer, head: number): number {
  return crc32(block.subarray(0, head), crc32(blockKey(topicNumber, first)))
}

/** `undefined` when the header is damaged. */
export function readHeader(topicNumber: number, first: number, block: Buffer): BlockHeader | undefined {
  if (block.length < SIZES + U32 || block[0] !== VERSION) return undefined
  const count = block.readUInt32BE(1)
  const head = SIZES + U32 * count
  if (block.length < head + U32) return undefined
  if (headerSum(topicNumber, first, block, head) !== block.readUInt32BE(head)) return undefined
  return { first, count, at: block.readDoubleBE(5), before: block.readDoubleBE(13) }
}

function recordBytes(block: Buffer, index: number): number {
  return block.readUInt32BE(SIZES + U32 * index)
}

/** Bytes of the bodies of the block's first `count` events, as retention counts them. */
export function bytesOfFirst(block: Buffer, header: BlockHeader, count: number): number {
  let bytes = 0
  let start = recordsAt(header)
  for (let i = 0; i < count; i++) {
    const size = recordBytes(block, i)
    bytes += countedBytes(block, start, size)
    start += size
  }
  return bytes
}

function recordsAt(header: BlockHeader): number {
  return SIZES + U32 * header.count + U32
}

/** The block's events from index `from` on, as long as `take` accepts their size. */
export function* readRecords(
  block: Buffer,
  header: BlockHeader,
  from: number,
  take: (bytes: number) => boolean,
): Generator<StoredEvent> {
  let start = recordsAt(header)
  for (let index = 0; index < from; index++) start += recordBytes(block, index)
  for (let index = from; index < header.count; index++) {
    const bytes = recordBytes(block, index)
    if (!take(countedBytes(block, start, bytes))) return
    const offset = header.first + index
    const body = readPassingBody(block, start, Math.min(start + bytes, block.length))
    yield body === undefined ? { offset, damaged: true } : { offset, at: header.at, body }
    start += bytes
  }
}

/** The block with other bodies in it, where any is to be another one. Retention counts what it did. */
export function rewriteBlock(
  topicNumber: number,
  block: Buffer,
  header: BlockHeader,
  change: PayloadChange,
): { readonly block: Buffer; readonly changed: number } | undefined {
  let changed = 0
  let start = recordsAt(header)
  const bodies = Array.from({ length: header.count }, (_, i): RecordBody => {
    const bytes = recordBytes(block, i)
    const raw = block.subarray(start, Math.min(start + bytes, block.length))
    start += bytes
    const body = readKnownBody(raw)
    const other = body && change.body(body, 'event')
    if (other === undefined) return { raw, bytes }
    changed++
    return sizeBody(other)
  })
  return changed === 0 ? undefined : { block: packBlock(topicNumber, header, bodies), changed }
}
