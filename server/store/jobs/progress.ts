/**
 * How what a consumer tells of its job is written: its last value, and the last lines of its log. Both engines keep it so;
 * the script of a queue has the same rules. The value's length, its record, then the lines as JSON.
 */

import { MAX_LOG_BYTES, MAX_LOG_LINES } from '../../../shared/queues/progress.ts'
import { encodeBody, readBody, readKnownBody } from '../codec.ts'
import type { LogLine, PayloadChange, Report, Told } from '../contract/store.ts'

const U32 = 4

interface Parts {
  /** Empty where there is none. */
  readonly value: Buffer
  readonly log: readonly (readonly [at: number, text: string])[]
}

const NOTHING = Buffer.alloc(0)

function partsOf(packed: Buffer | undefined): Parts {
  if (packed === undefined || packed.length < U32) return { value: NOTHING, log: [] }
  const end = U32 + packed.readUInt32LE()
  const text = packed.toString('utf8', end)
  return { value: packed.subarray(U32, end), log: text === '' ? [] : (JSON.parse(text) as Parts['log']) }
}

function pack({ value, log }: Parts): Buffer {
  const lines = Buffer.from(log.length === 0 ? '' : JSON.stringify(log))
  const packed = Buffer.allocUnsafe(U32 + value.length + lines.length)
  packed.writeUInt32LE(value.length)
  value.copy(packed, U32)
  lines.copy(packed, U32 + value.length)
  return packed
}

/** With what is told now. */
export function withReport(packed: Buffer | undefined, { value, log = [] }: Report, now: number): Buffer {
  const before = partsOf(packed)
  const lines = [...before.log, ...log.map((text) => [now, text] as const)].slice(-MAX_LOG_LINES)
  let bytes = lines.reduce((sum, [, text]) => sum + Buffer.byteLength(text), 0)
  let first = 0
  for (; bytes > MAX_LOG_BYTES; first++) bytes -= Buffer.byteLength(lines[first]?.[1] ?? '')
  return pack({ value: value === undefined ? before.value : encodeBody(value), log: lines.slice(first) })
}

/** As it is told of a job; nothing of what is spoilt. */
export function readProgress(packed: Buffer | undefined): Told {
  try {
    const { value, log } = partsOf(packed)
    const progress = value.length === 0 ? undefined : readBody(value)
    return {
      ...(progress !== undefined && { progress }),
      ...(log.length > 0 && { log: log.map(([at, text]): LogLine => ({ at, text })) }),
    }
  } catch {
    return {}
  }
}

/** The same in other bytes; `undefined` where nothing is another. */
export function repackProgress(packed: Buffer, change: PayloadChange): Buffer | undefined {
  const { value, log } = partsOf(packed)
  const known = value.length === 0 ? undefined : readKnownBody(value)
  const other = known && change.body(known, 'reply')
  const texts = log.map(([, text]) => change.text(text))
  if (other === undefined && texts.every((text) => text === undefined)) return undefined
  return pack({
    value: other === undefined ? value : encodeBody(other),
    log: log.map(([at, text], i) => [at, texts[i] ?? text]),
  })
}
