/** How what happened to a job is written, until it is moved to the topic of its queue's life. Redis has it likewise. */

import { RepriseError } from '../../../shared/errors.ts'
import { encodeBody, readBody, readKnownBody } from '../codec.ts'
import type { Body, Errand, LifeRecord, PayloadChange } from '../contract/store.ts'
import { changedHead, type ErrandHead, wholeErrand } from './errands.ts'

/** What a queue keeps of its life that is not moved yet: where it is full, no jobs come and none are handed out. */
export const MAX_LIFE = 100_000
export const MAX_LIFE_BYTES = 33_554_432
/** Where so much waits, progress is left out: what comes later says all that it does. */
export const MUCH_LIFE = 1_000
export const MUCH_LIFE_BYTES = 1_048_576
/** Whatever is kept for longer is told again: the node that wrote it may be gone. */
export const LIFE_MS = 2_000

type Head = Omit<LifeRecord, 'body'> | ErrandHead

/** What waits is moved to the topic, or carried to another queue. */
export type Waiting = LifeRecord | Errand

export function packLife({ body, ...head }: LifeRecord): Buffer {
  return packedLife(head, body === undefined ? Buffer.alloc(0) : encodeBody(body))
}

/** Each part behind its length. */
export function packedLife(head: Head, body: Buffer): Buffer {
  const text = Buffer.from(JSON.stringify(head))
  const packed = Buffer.allocUnsafe(8 + text.length + body.length)
  packed.writeUInt32LE(text.length)
  text.copy(packed, 4)
  packed.writeUInt32LE(body.length, 4 + text.length)
  body.copy(packed, 8 + text.length)
  return packed
}

/** Records, one behind the other. */
export function unpackLife(packed: Buffer): Waiting[] {
  const records: Waiting[] = []
  for (let at = 0; at + 8 <= packed.length; ) {
    const bodyAt = at + 8 + packed.readUInt32LE(at)
    const head = JSON.parse(packed.toString('utf8', at + 4, bodyAt - 4)) as Head
    const bytes = packed.readUInt32LE(bodyAt - 4)
    const body: Body | undefined = bytes === 0 ? undefined : readBody(packed, bodyAt, bodyAt + bytes)
    if ('errand' in head) records.push(wholeErrand(head, body))
    else records.push(body === undefined ? head : { ...head, body })
    at = bodyAt + bytes
  }
  return records
}

/** The same records with other payloads; `undefined` where they are as they shall be. Damaged ones stay. */
export function repackLife(packed: Buffer, change: PayloadChange): Buffer | undefined {
  const parts: Buffer[] = []
  let changed = false
  for (let at = 0; at + 8 <= packed.length; ) {
    const bodyAt = at + 8 + packed.readUInt32LE(at)
    const end = bodyAt + packed.readUInt32LE(bodyAt - 4)
    const head = JSON.parse(packed.toString('utf8', at + 4, bodyAt - 4)) as Head
    const raw = packed.subarray(bodyAt, end)
    const known = raw.length === 0 ? undefined : readKnownBody(raw)
    const body = known && change.body(known, 'errand' in head && head.errand === 'child' ? 'job' : 'reply')
    const other = 'errand' in head ? changedHead(head, change) : retold(head, change)
    changed ||= body !== undefined || other !== undefined
    parts.push(packedLife(other ?? head, body === undefined ? raw : encodeBody(body)))
    at = end
  }
  return changed ? Buffer.concat(parts) : undefined
}

function retold(head: Omit<LifeRecord, 'body'>, change: PayloadChange): Head | undefined {
  const error = head.error === undefined ? undefined : change.text(head.error)
  return error === undefined ? undefined : { ...head, error }
}

/** What begins a row: errands, or records of the life; never both. */
export function firstOf(waiting: readonly Waiting[]): { readonly records: LifeRecord[]; readonly errands: Errand[] } {
  const [records, errands]: [LifeRecord[], Errand[]] = [[], []]
  for (const one of waiting) {
    if ('errand' in one) {
      if (records.length > 0) break
      errands.push(one)
    } else {
      if (errands.length > 0) break
      records.push(one)
    }
  }
  return { records, errands }
}

interface Full {
  readonly events: number
  readonly bytes: number
}

/** What is told of a queue whose life is full. */
export function fullLife(waiting: Full): { readonly lifeFull?: Full } {
  return waiting.events >= MAX_LIFE || waiting.bytes >= MAX_LIFE_BYTES ? { lifeFull: waiting } : {}
}

export function lifeFull(waiting: Full): RepriseError {
  const { events, bytes } = waiting
  const text = `${events} events of the queue's life (${bytes} bytes) wait to be moved to its topic: until they are, it takes no jobs and hands none out`
  return new RepriseError('unavailable', text)
}
