/** What is kept of finished jobs, as `finished.lua` packs it. */

import { encodeBody, readBody, readKnownBody } from '../../../codec.ts'
import type { FinishedJob, PayloadChange } from '../../../contract/store.ts'
import { readProgress, repackProgress } from '../../../jobs/progress.ts'
import { historyOf } from './records.ts'

const FIXED = 67
/** Where the lengths stand: of the key, the subject, the id, the result, the error, the history. */
const LENGTHS_AT = 43

interface Row {
  readonly texts: readonly Buffer[]
  readonly fixed: Buffer
  /** What its consumers told, if anything. */
  readonly progress: Buffer
}

function rowOf(row: Buffer): Row {
  let at = FIXED
  const texts = Array.from({ length: 6 }, (_, i) => {
    const length = row.readUInt32LE(LENGTHS_AT + 4 * i)
    at += length
    return row.subarray(at - length, at)
  })
  return { texts, fixed: row.subarray(0, FIXED), progress: row.subarray(at) }
}

export function finishedJob(n: string, row: Buffer): FinishedJob {
  const { texts, progress } = rowOf(row)
  const [key, subject, id, result, error, history] = texts
  const isNamed = row[1] === 1
  const startedAt = row.readDoubleLE(11)
  const body = result === undefined || result.length === 0 ? undefined : readBody(result)
  return {
    id: isNamed ? String(id) : `${Number(n).toString(36)}-${id}`,
    state: row[0] === 1 ? 'done' : 'removed',
    subject: String(subject),
    ...(key !== undefined && key.length > 0 && { key: String(key) }),
    priority: row[2] ?? 0,
    attempts: row.readUInt32LE(35),
    deliveries: row.readUInt32LE(39),
    sentAt: row.readDoubleLE(3),
    ...(startedAt > 0 && { startedAt }),
    endedAt: row.readDoubleLE(19),
    ...(body !== undefined && { result: body }),
    ...(error !== undefined && error.length > 0 && { error: String(error) }),
    history: history === undefined || history.length === 0 ? [] : historyOf(history),
    ...readProgress(progress),
  }
}

/** The same with other bytes in the places of payloads; `undefined` where nothing is another. */
export function rewrittenRow(
  row: Buffer,
  change: PayloadChange,
  otherHistory: (history: Buffer) => Buffer | undefined,
): Buffer | undefined {
  const { texts, fixed, progress } = rowOf(row)
  const [, , , result, error, history] = texts
  const body = result === undefined || result.length === 0 ? undefined : readKnownBody(result)
  const changedBody = body && change.body(body, 'reply')
  const changedError = error === undefined || error.length === 0 ? undefined : change.text(String(error))
  const others = [
    changedBody && encodeBody(changedBody),
    changedError === undefined ? undefined : Buffer.from(changedError),
    history === undefined || history.length === 0 ? undefined : otherHistory(history),
  ]
  const otherProgress = repackProgress(progress, change)
  if ([otherProgress, ...others].every((other) => other === undefined)) return undefined
  const parts = texts.map((text, i) => others[i - 3] ?? text)
  const head = Buffer.from(fixed)
  for (const [i, { length }] of parts.entries()) head.writeUInt32LE(length, LENGTHS_AT + 4 * i)
  return Buffer.concat([head, ...parts, otherProgress ?? progress])
}
