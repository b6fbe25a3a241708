/** Jobs as the scripts of a queue keep them. The layout is that of `record.lua`. */

import { readBody } from '../../../codec.ts'
import type { DeadReason, HeldJob, HistoryEntry, JobInfo, JobPolicy, JobState, Owner } from '../../../contract/store.ts'
import { readProgress } from '../../../jobs/progress.ts'
import { ownerOf } from '../../../owners.ts'
import { childrenIn, type FamilyRecord, familyOf } from './children.ts'

export interface JobRecord {
  /** Its number. */
  readonly n: string
  readonly state: JobState
  readonly suspect: boolean
  readonly deliveries: number
  readonly serial: number
  readonly expiresAt: number
  /** When it expires; of a held job of the queue itself, when it was delivered. */
  readonly expAt: number
  readonly dead: boolean
  /** The id is the sender's own. */
  readonly named: boolean
  readonly request: boolean
  readonly priority: number
  readonly attempts: number
  readonly sentAt: number
  readonly dueAt: number
  readonly replyBy: number
  readonly ttlMs: number
  readonly key: string
  readonly group: string | undefined
  readonly subject: string
  /** Its id, or the token in it. */
  readonly id: string
  readonly token: string
  readonly consumer: Buffer
}

const STATES: readonly JobState[] = ['delayed', 'ready', 'held', 'delayed', 'ready', 'waiting']
const FIXED = 108
/** The largest body that is kept in its record. */
const SMALL = 256
/** Behind a length of this or more stand the length of the key, the key, and the group. */
const GROUPED = 2 ** 31
/** Of jobs with children or a parent. */
const FAMILY = 4
const NOTHING = Buffer.alloc(0)

export function decodeJob(n: string, record: Buffer): JobRecord {
  const [tokens, consumers] = [record.readUInt8(32), record.readUInt16LE(33)]
  const [keys, subjects, ids] = [96, 100, 104].map((at) => record.readUInt32LE(at)) as [number, number, number]
  const bodyBytes = record.readUInt32LE(35)
  let at = FIXED + (bodyBytes <= SMALL ? bodyBytes : 0)
  const text = (length: number): string => {
    at += length
    return record.toString('utf8', at - length, at)
  }
  const hasGroup = keys >= GROUPED
  const ownKey = hasGroup ? record.readUInt32LE(at) : keys
  if (hasGroup) at += 4
  const key = text(ownKey)
  const group = hasGroup ? text(keys - GROUPED - 4 - ownKey) : undefined
  const [subject, id, token] = [text(subjects), text(ids), text(tokens)]
  return {
    n,
    state: STATES[record[0] ?? 0] ?? 'ready',
    suspect: record[1] === 1,
    deliveries: record.readUInt32LE(4),
    serial: record.readDoubleLE(8),
    expiresAt: record.readDoubleLE(16),
    expAt: record.readDoubleLE(39),
    dead: record[47] === 1,
    named: record[49] === 1,
    request: record[50] === 1,
    priority: record[51] ?? 0,
    attempts: record.readUInt32LE(52),
    sentAt: record.readDoubleLE(64),
    dueAt: record.readDoubleLE(72),
    replyBy: record.readDoubleLE(80),
    ttlMs: record.readDoubleLE(88),
    key,
    group,
    subject,
    id,
    token,
    consumer: record.subarray(at, at + consumers),
  }
}

/**
 * What a claim answers: the jobs, of each the length of its number, the number and the record, and by themselves the large
 * bodies, and what is told of children. `runs`: places of jobs, from 0, each with how long a run of it may take. `token` is
 * that of the delivery. The rest of a record is not looked at, as there are many.
 */
export function decodeHanded(
  records: Buffer,
  runs: string,
  large: readonly (Buffer | null)[],
  token: string,
): HeldJob[] {
  const handed: HeldJob[] = []
  const runMsAt = new Map<number, number>()
  const words = runs === '' ? [] : runs.split(' ').map(Number)
  for (let i = 0; i + 1 < words.length; i += 2) runMsAt.set(words[i] ?? 0, words[i + 1] ?? 0)
  const withFamily: number[] = []
  let nextLarge = 0
  let numberAt = 0
  while (numberAt < records.length) {
    const at = numberAt + 1 + (records[numberAt] ?? 0)
    const n = records.toString('latin1', numberAt + 1, at)
    const bodyAt = at + FIXED
    const bodyBytes = records.readUInt32LE(at + 35)
    const isSmall = bodyBytes <= SMALL
    const keyAt = isSmall ? bodyAt + bodyBytes : bodyAt
    const idAt = keyAt + (records.readUInt32LE(at + 96) % GROUPED) + records.readUInt32LE(at + 100)
    const tokenAt = idAt + records.readUInt32LE(at + 104)
    const id = records.toString('utf8', idAt, tokenAt)
    if (((records[at + 48] ?? 0) & FAMILY) !== 0) withFamily.push(handed.length)
    const body = isSmall ? records.subarray(bodyAt, keyAt) : large[nextLarge++]
    const runMs = runMsAt.get(handed.length)
    handed.push({
      id: records[at + 49] === 1 ? id : `${Number(n).toString(36)}-${id}`,
      lease: `${n}.${records.readDoubleLE(at + 8)}.${token}`,
      expiresAt: records.readDoubleLE(at + 16),
      attempts: records.readUInt32LE(at + 52),
      deliveries: records.readUInt32LE(at + 4),
      sentAt: records.readDoubleLE(at + 64),
      dueAt: records.readDoubleLE(at + 72),
      ...(records[at + 50] === 1 && { replyBy: records.readDoubleLE(at + 80) }),
      ...(runMs !== undefined && { runMs }),
      body: body == null ? undefined : readBody(body),
    })
    numberAt = tokenAt + records.readUInt8(at + 32) + records.readUInt16LE(at + 33)
  }
  for (const [i, at] of withFamily.entries()) {
    const job = handed[at]
    const children = childrenIn(large[nextLarge + i] ?? NOTHING)
    if (job !== undefined && children !== undefined) handed[at] = { ...job, children }
  }
  return handed
}

/** The body's record, where the job's own has it. */
export function inlineBody(record: Buffer): Buffer | undefined {
  if (record.length < FIXED) return undefined
  const bytes = record.readUInt32LE(35)
  return bytes <= SMALL ? record.subarray(FIXED, FIXED + bytes) : undefined
}

export function idOf({ n, named, id }: JobRecord): string {
  return named ? id : `${Number(n).toString(36)}-${id}`
}

export function leaseOf({ n, serial, token }: JobRecord): string {
  return `${n}.${serial}.${token}`
}

/** What `reads.lua` tells of a job. */
export function jobInfo(told: readonly (Buffer | null)[]): JobInfo {
  const [number, record, body, history, death, headNumber, headRecord, own, family, progress] = told
  const job = decodeJob(String(number), record ?? Buffer.alloc(0))
  const { state, dead, key, group, request, expAt } = job
  const ttlAt = Math.min(job.dueAt + job.ttlMs, request ? job.replyBy : Number.POSITIVE_INFINITY)
  const [, , , deadStartedAt] = dead ? (parsed<Death>(death) ?? []) : []
  const startedAt = dead ? deadStartedAt : state === 'held' ? expAt : undefined
  const policy = parsed<JobPolicy>(own)
  const isBehind = headNumber !== null && headNumber !== undefined && headNumber.length > 0
  return {
    id: idOf(job),
    state,
    subject: job.subject,
    ...(key !== '' && { key }),
    ...(group !== undefined && { group }),
    ...(policy !== undefined && { policy }),
    ...familyOf(parsed<FamilyRecord>(family)),
    priority: job.priority,
    attempts: job.attempts,
    deliveries: job.deliveries,
    sentAt: job.sentAt,
    ...(startedAt !== undefined && { startedAt }),
    dueAt: job.dueAt,
    ...(!dead && { ttlAt }),
    ...(request && { replyBy: job.replyBy }),
    ...(state === 'held' && { holder: ownerOf(job.consumer), expiresAt: job.expiresAt }),
    suspect: job.suspect,
    ...(isBehind && headRecord && { behind: idOf(decodeJob(String(headNumber), headRecord)) }),
    ...(dead && { dead: deathOf(death) }),
    history: historyOf(history),
    ...readProgress(progress ?? undefined),
    body: body === null || body === undefined ? undefined : readBody(body),
  }
}

/** `undefined` where there is none, or it is spoilt. */
function parsed<T>(text: Buffer | null | undefined): T | undefined {
  try {
    return text == null ? undefined : (JSON.parse(text.toString()) as T)
  } catch {
    return undefined
  }
}

type Death = [reason: DeadReason, at: number, error: string, startedAt?: number]

function deathOf(text: Buffer | null | undefined): NonNullable<JobInfo['dead']> {
  const [reason, at, error] = parsed<Death>(text) ?? ['rejected', 0, 'damaged']
  return { reason, at, ...(error !== '' && { error }) }
}

export function historyOf(text: Buffer | null | undefined): HistoryEntry[] {
  const entries = parsed<[number, HistoryEntry['what'], string, string][]>(text) ?? []
  return entries.map(([at, what, holder, why]) => ({
    at,
    what,
    ...(holder !== '' && { holder: ownerFrom(holder) }),
    ...(why !== '' && { why }),
  }))
}

function ownerFrom(text: string): Owner {
  return ownerOf(Buffer.from(text))
}
