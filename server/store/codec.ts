/**
 * Turns an event's body into the bytes that engines keep, and back. Owns the record format: a first byte for its kind
 * and version, a checksum, the content. Knows nothing of where records are kept.
 */

import { crc32 } from 'node:zlib'
import { RepriseError } from '../../shared/errors.ts'
import type { Binary, Body, Utf8 } from './contract/store.ts'

const JSON_1 = 0x01
const BINARY_1 = 0x02
const SEALED_1 = 0x03

const KIND_AND_CRC = 5
const U32 = 4

/** Bytes of a sealed record beyond those of the same body as it is: key, nonce, tag, and its own kind. */
const SEAL_BYTES = 45
const KEY_BYTES = 16

/** A body that only a holder of its key can read: the key's name in 16 bytes, then what sealing/keyring.ts makes of it. */
export class SealedBody implements Body {
  readonly sealed: Buffer

  constructor(sealed: Buffer) {
    this.sealed = sealed
  }

  get key(): string {
    return this.sealed.toString('latin1', 0, KEY_BYTES).replace(/\0+$/, '')
  }

  /** What a hub without keys meets. */
  get json(): string {
    throw keyMissing(this.key)
  }
}

/** A body as it was read, in the page that it stands in: a string, or a buffer, is made of it only for who asks. */
class StoredText implements Body, Utf8 {
  readonly #source: Buffer
  readonly #start: number
  readonly length: number

  constructor(source: Buffer, start: number, end: number) {
    this.#source = source
    this.#start = start
    this.length = end - start
  }

  get utf8(): Utf8 {
    return this
  }

  get json(): string {
    return this.#source.toString('utf8', this.#start, this.#start + this.length)
  }

  copyTo(target: Buffer, at: number): void {
    this.#source.copy(target, at, this.#start, this.#start + this.length)
  }
}

/** Not damage: with the key it can be read. */
export function keyMissing(key: string): RepriseError {
  const text = `a payload is encrypted with the key ${key}, which this hub does not have: add it to encryption.keys`
  return new RepriseError('unavailable', text)
}

/** A body with the size of its record. */
export interface SizedBody {
  readonly body: Body
  readonly bytes: number
  /** What retention counts: encryption adds nothing to it. */
  readonly counted: number
  /** Where the body has binaries: their paths and lengths as JSON text. */
  readonly places: string | undefined
}

export function sizeBody(body: Body): SizedBody {
  if (body instanceof SealedBody) {
    const bytes = KIND_AND_CRC + body.sealed.length
    return { body, bytes, counted: bytes - SEAL_BYTES, places: undefined }
  }
  const { json, binaries } = body
  const text = Buffer.byteLength(json)
  if (binaries === undefined || binaries.length === 0) {
    return { body, bytes: KIND_AND_CRC + text, counted: KIND_AND_CRC + text, places: undefined }
  }
  const places = JSON.stringify(binaries.map((binary) => [binary.path, binary.bytes.byteLength]))
  let bytes = KIND_AND_CRC + U32 + text + U32 + Buffer.byteLength(places)
  for (const binary of binaries) bytes += binary.bytes.byteLength
  return { body, bytes, counted: bytes, places }
}

/** What retention counts of the record of so many bytes that begins at `start`. */
export function countedBytes(source: Buffer, start: number, bytes: number): number {
  return source[start] === SEALED_1 ? bytes - SEAL_BYTES : bytes
}

/** Writes the record at `start`; it fills exactly `sized.bytes`. */
export function writeBody(target: Buffer, start: number, sized: SizedBody): void {
  const { body } = sized
  const content = start + KIND_AND_CRC
  const end = start + sized.bytes
  let kind = JSON_1
  if (body instanceof SealedBody) {
    kind = SEALED_1
    target.set(body.sealed, content)
  } else if (sized.places === undefined) {
    target.write(body.json, content)
  } else {
    kind = BINARY_1
    const { json, binaries } = body
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

/** A body to be written, or a record as it is kept, damaged or not. */
export type RecordBody = SizedBody | { readonly raw: Buffer; readonly bytes: number }

export function writeRecord(target: Buffer, start: number, body: RecordBody): void {
  if ('raw' in body) target.set(body.raw, start)
  else writeBody(target, start, body)
}

/** The body of a record as it is, where it can be read by this version. */
export function readKnownBody(record: Buffer): Body | undefined {
  try {
    return readBody(record)
  } catch {
    return undefined
  }
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
  return readRecord(source, start, end, (from) => ({ json: source.toString('utf8', from, end) }))
}

/** The same for who is done with it soon: it may be a part of `source`. */
export function readPassingBody(source: Buffer, start = 0, end = source.length): Body | undefined {
  return readRecord(source, start, end, (from) => new StoredText(source, from, end))
}

function readRecord(source: Buffer, start: number, end: number, textFrom: (start: number) => Body): Body | undefined {
  if (end - start < KIND_AND_CRC) return undefined
  const kind = source[start] ?? 0
  const content = source.subarray(start + KIND_AND_CRC, end)
  if (crc32(content, kind) !== source.readUInt32BE(start + 1)) return undefined
  if (kind === JSON_1) return textFrom(start + KIND_AND_CRC)
  if (kind === SEALED_1) return content.length < KEY_BYTES ? undefined : new SealedBody(Buffer.from(content))
  return contentOf(kind, content, 0, content.length)
}

/** What is encrypted of a body: its kind, and its record's content. */
export function plainOf(body: Body): readonly [kind: Buffer, content: Buffer] {
  const record = encodeBody(body)
  return [record.subarray(0, 1), record.subarray(KIND_AND_CRC)]
}

/** The same again. */
export function bodyOf(plain: Buffer): Body {
  return contentOf(plain[0] ?? 0, plain, 1, plain.length)
}

function contentOf(kind: number, source: Buffer, content: number, end: number): Body {
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
