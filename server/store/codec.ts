/**
 * Turns an event's body into the bytes that engines keep, and back. Owns the record format: a first byte for its kind
 * and version, a checksum, the content. Knows nothing of where records are kept.
 */

import { crc32 } from 'node:zlib'
import { RepriseError } from '../../shared/errors.ts'
import type { Binary, Body } from './contract/store.ts'

const JSON_1 = 0x01
const BINARY_1 = 0x02

const KIND_AND_CRC = 5
const U32 = 4

/** A body with the size of its record, which is what the contract's `bytes` count. */
export interface SizedBody {
  readonly body: Body
  readonly bytes: number
  /** Where the body has binaries: their paths and lengths as JSON text. */
  readonly places: string | undefined
}

export function sizeBody(body: Body): SizedBody {
  const { json, binaries } = body
  const text = Buffer.byteLength(json)
  if (binaries === undefined || binaries.length === 0) {
    return { body, bytes: KIND_AND_CRC + text, places: undefined }
  }
  const places = JSON.stringify(binaries.map((binary) => [binary.path, binary.bytes.byteLength]))
  let bytes = KIND_AND_CRC + U32 + text + U32 + Buffer.byteLength(places)
  for (const binary of binaries) bytes += binary.bytes.byteLength
  return { body, bytes, places }
}

/** Writes the record at `start`; it fills exactly `sized.bytes`. */
export function writeBody(target: Buffer, start: number, sized: SizedBody): void {
  const { json, binaries } = sized.body
  const content = start + KIND_AND_CRC
  const end = start + sized.bytes
  let kind = JSON_1
  if (sized.places === undefined) {
    target.write(json, content)
  } else {
    kind = BINARY_1
    let at = content
    for (const text of [json, sized.places]) {
      const length = target.write(text, at + U32)
      target.writeUInt32BE(length, at)
      at += U32 + length
    }
    for (const { bytes } of binaries ?? []) {
      target.set(bytes, at)
      at += bytes.byteLength
    }
  }
  target[start] = kind
  target.writeUInt32BE(crc32(target.subarray(content, end), kind), start + 1)
}

export function encodeBody(body: Body): Buffer {
  const sized = sizeBody(body)
  const record = Buffer.allocUnsafe(sized.bytes)
  writeBody(record, 0, sized)
  return record
}

/**
 * The body of the record in `source` from `start` to `end`; `undefined` when it is damaged. Shares no memory with
 * `source`. A kind that only a newer version can have written is `unsupported`, not damage.
 */
export function readBody(source: Buffer, start = 0, end = source.length): Body | undefined {
  if (end - start < KIND_AND_CRC) return undefined
  const kind = source[start] ?? 0
  const content = start + KIND_AND_CRC
  if (crc32(source.subarray(content, end), kind) !== source.readUInt32BE(start + 1)) return undefined
  if (kind === JSON_1) return { json: source.toString('utf8', content, end) }
  if (kind !== BINARY_1) {
    throw new RepriseError('unsupported', `a stored event has the format ${kind}, which this version does not know`)
  }
  let at = content
  const texts: string[] = []
  for (let i = 0; i < 2; i++) {
    const length = source.readUInt32BE(at)
    texts.push(source.toString('utf8', at + U32, at + U32 + length))
    at += U32 + length
  }
  const [json = '', places = '[]'] = texts
  const binaries: Binary[] = []
  for (const [path, length] of JSON.parse(places) as [Binary['path'], number][]) {
    binaries.push({ path, bytes: new Uint8Array(source.subarray(at, at + length)) })
    at += length
  }
  return { json, binaries }
}
