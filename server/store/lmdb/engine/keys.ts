/** How the keys of every table are built. Their byte order is the order in which ranges are read. */

import { hash } from 'node:crypto'
import { RepriseError } from '../../../../shared/errors.ts'
import type { Owner } from '../../contract/store.ts'
import { ownerKey } from '../../owners.ts'

const NUMBER = 4
const COUNT = 6
const DIGEST = 16

/** LMDB takes keys of up to 1,978 bytes; a cursor's key holds a topic and a client besides the subject. */
const MAX_SUBJECT_BYTES = 1_024

export function nameKey(name: string): Buffer {
  return Buffer.from(name)
}

/** What belongs to one birth of a topic starts with its number; a topic born again has another one. */
export function numberKey(topicNumber: number): Buffer {
  const key = Buffer.allocUnsafe(NUMBER)
  key.writeUInt32BE(topicNumber)
  return key
}

/** An entry counted by `count` (offset, chunk) behind a prefix. */
export function countKey(prefix: Buffer, count: number): Buffer {
  const key = Buffer.allocUnsafe(prefix.length + COUNT)
  key.set(prefix)
  key.writeUIntBE(count, prefix.length, COUNT)
  return key
}

export function countOf(key: Buffer): number {
  return key.readUIntBE(key.length - COUNT, COUNT)
}

export function blockKey(topicNumber: number, offset: number): Buffer {
  const key = Buffer.allocUnsafe(NUMBER + COUNT)
  key.writeUInt32BE(topicNumber)
  key.writeUIntBE(offset, NUMBER, COUNT)
  return key
}

/** Digests of the latest short texts: the id of a job is looked for, put and removed within few commits. */
const latest = new Map<string, Buffer>()
const MOST_LATEST = 4_096
const SHORT = 64

/** Sixteen bytes that stand for texts of any length; each text is told apart from its neighbour. Not to be written to. */
export function digest(...texts: string[]): Buffer {
  const [text = ''] = texts
  if (texts.length !== 1) return digestOf(JSON.stringify(texts))
  const known = latest.get(text)
  if (known !== undefined) return known
  const made = digestOf(text)
  if (text.length > SHORT) return made
  if (latest.size >= MOST_LATEST) latest.clear()
  latest.set(text, made)
  return made
}

function digestOf(text: string): Buffer {
  return hash('sha256', text, 'buffer').subarray(0, DIGEST)
}

/** A subject, producer or id of a topic. */
export function digestKey(topicNumber: number, ...digests: Buffer[]): Buffer {
  let length = NUMBER
  for (const part of digests) length += part.length
  const key = Buffer.allocUnsafe(length)
  key.writeUInt32BE(topicNumber)
  let at = NUMBER
  for (const part of digests) {
    key.set(part, at)
    at += part.length
  }
  return key
}

/** Ordered by topic, subject and client. */
export function cursorKey(topic: string, owner?: Owner): Buffer {
  const start = Buffer.concat([Buffer.from(topic), Buffer.of(0)])
  if (owner === undefined) return start
  if (Buffer.byteLength(owner.subject) > MAX_SUBJECT_BYTES) {
    throw new RepriseError('bad_request', `a subject has at most ${MAX_SUBJECT_BYTES} bytes`)
  }
  return Buffer.concat([start, ownerKey(owner)])
}

/** All that has keys which start with `prefix`, from one of them on. */
export function under(prefix: Buffer, start = prefix): { readonly start: Buffer; readonly end: Buffer } {
  return { start, end: Buffer.concat([prefix, Buffer.alloc(32, 0xff)]) }
}

/** The whole of a table. */
export const ALL = under(Buffer.alloc(0), Buffer.of(0))

/** What falls due, by time. `kind` says in which table `key` is. */
export function dueKey(at: number, kind: number, key: Buffer): Buffer {
  const due = Buffer.allocUnsafe(COUNT + 1 + key.length)
  due.writeUIntBE(Math.max(0, Math.min(Math.floor(at), 2 ** 48 - 1)), 0, COUNT)
  due[COUNT] = kind
  due.set(key, COUNT + 1)
  return due
}

export function partsOfDue(due: Buffer): { at: number; kind: number; key: Buffer } {
  return { at: due.readUIntBE(0, COUNT), kind: due[COUNT] ?? 0, key: due.subarray(COUNT + 1) }
}
