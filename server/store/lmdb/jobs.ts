/**
 * The changing record of a job, and the chunks in which records of neighbours are kept together. Owns how they are
 * written; says nothing about when they change. Bodies are elsewhere.
 */

import type { DeadReason, HistoryEntry, JobState, Owner } from '../contract.ts'
import type { Environment } from './environment.ts'
import { blockKey } from './keys.ts'
import { TABLES } from './tables.ts'

/** Jobs whose numbers share a chunk are written together. */
export const PER_CHUNK = 32

export interface Job {
  /** Its number in its queue, in the order of coming. */
  readonly n: number
  readonly id: string
  readonly subject: string
  readonly key: string | undefined
  readonly priority: number
  readonly sentAt: number
  /** When it came into this queue. */
  readonly cameAt: number
  readonly replyBy: number | undefined
  /** 0 for ever, as in the dead letters. */
  readonly ttlAt: number
  /** Of its body's record. */
  readonly bytes: number
  /** Where its body is: the number in the key of its block, and the place in that. Block 0: not written yet. */
  block: number
  at: number
  state: JobState
  attempts: number
  deliveries: number
  dueAt: number
  /** 0 before it is due for the first time. */
  place: number
  suspect: boolean
  /** Ready, but nothing to hand out: behind another of its key, or damaged. */
  blocked: boolean
  /** The last one while it counts, also when it has lapsed; what follows is of that lease. */
  lease: string
  /** The number of the hand-out. */
  handOut: number
  expiresAt: number
  capAt: number
  alone: boolean
  holder: Owner | undefined
  readonly dead: { readonly reason: DeadReason; readonly error?: string; readonly at: number } | undefined
  history: readonly HistoryEntry[]
  /** As it is written; `undefined` since it changed. */
  text: string | undefined
}

const STATES = ['ready', 'delayed', 'held'] as const
const FLAG = { suspect: 1, blocked: 2, alone: 4 } as const
/** Of a job without a lease. */
const NO_LEASE = { lease: '', handOut: 0, expiresAt: 0, capAt: 0, holder: undefined } as const

interface Extra {
  readonly key?: string
  readonly replyBy?: number
  readonly cameAt?: number
  readonly dead?: Job['dead']
  readonly history?: readonly HistoryEntry[]
}

type Head = readonly [
  number,
  string,
  string,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
]
type Lease = readonly [string, number, number, number, string, string]

function encodeJob(job: Job): string {
  if (job.text !== undefined) return job.text
  const flags = (job.suspect ? FLAG.suspect : 0) | (job.blocked ? FLAG.blocked : 0) | (job.alone ? FLAG.alone : 0)
  const head: Head = [
    job.n,
    job.id,
    job.subject,
    job.priority,
    job.sentAt,
    job.ttlAt,
    job.bytes,
    job.block,
    job.at,
    STATES.indexOf(job.state),
    job.attempts,
    job.deliveries,
    job.dueAt,
    job.place,
    flags,
  ]
  const { lease, handOut, expiresAt, capAt, holder, key, replyBy, cameAt, dead, history } = job
  const hasLease = lease !== ''
  const hasExtra =
    key !== undefined || replyBy !== undefined || cameAt !== job.sentAt || dead !== undefined || history.length > 0
  let parts: unknown = head
  if (hasLease || hasExtra) {
    const kept: Lease | 0 = hasLease
      ? [lease, handOut, expiresAt, capAt, holder?.subject ?? '', holder?.client ?? '']
      : 0
    const extra: Extra = {
      ...(key !== undefined && { key }),
      ...(replyBy !== undefined && { replyBy }),
      ...(cameAt !== job.sentAt && { cameAt }),
      ...(dead !== undefined && { dead }),
      ...(history.length > 0 && { history }),
    }
    parts = hasExtra ? [...head, kept, extra] : [...head, kept]
  }
  job.text = JSON.stringify(parts)
  return job.text
}

function decodeJob(parts: readonly [...Head, (Lease | 0)?, Extra?]): Job {
  const [n, id, subject, priority, sentAt, ttlAt, bytes, block, at, state, attempts, deliveries, dueAt, place, flags] =
    parts
  const [kept, extra] = parts.slice(15) as [(Lease | 0)?, Extra?]
  const lease = kept
    ? {
        lease: kept[0],
        handOut: kept[1],
        expiresAt: kept[2],
        capAt: kept[3],
        holder: { subject: kept[4], client: kept[5] },
      }
    : NO_LEASE
  return {
    ...{ n, id, subject, priority, sentAt, ttlAt, bytes, block, at, attempts, deliveries, dueAt, place, ...lease },
    key: extra?.key,
    replyBy: extra?.replyBy,
    cameAt: extra?.cameAt ?? sentAt,
    dead: extra?.dead,
    history: extra?.history ?? [],
    state: STATES[state] ?? 'ready',
    suspect: (flags & FLAG.suspect) !== 0,
    blocked: (flags & FLAG.blocked) !== 0,
    alone: (flags & FLAG.alone) !== 0,
    text: undefined,
  }
}

/** In the order of their numbers. */
export function encodeChunk(jobs: Iterable<Job>): Buffer {
  let text = ''
  for (const job of jobs) text += (text === '' ? '[' : ',') + encodeJob(job)
  return Buffer.from(`${text}]`)
}

export function chunkKey(queueNumber: number, chunk: number): Buffer {
  return blockKey(queueNumber, chunk)
}

export function decodeChunk(bytes: Buffer | undefined): Job[] {
  if (bytes === undefined) return []
  return (JSON.parse(bytes.toString()) as [...Head, (Lease | 0)?, Extra?][]).map(decodeJob)
}

/** As it is stored; for reading alone. */
export function storedChunk(environment: Environment, queueNumber: number, chunk: number): Job[] {
  return decodeChunk(environment.get(TABLES.jobs, chunkKey(queueNumber, chunk)))
}

export function chunkOfJob(n: number): number {
  return Math.floor(n / PER_CHUNK)
}

/** The number in an id or a lease that the store gave; 0 where there is none. */
export function numberIn(text: string, end: '-' | '.'): number {
  const number = Number.parseInt(text.slice(0, Math.max(0, text.indexOf(end))), 36)
  return Number.isSafeInteger(number) && number < 2 ** 47 ? number : 0
}

/** The job, forgetting its lease. */
export function endLease(job: Job): void {
  Object.assign(job, NO_LEASE)
  job.alone = false
}

const KEPT_HISTORY = 20

export function note(job: Job, entry: HistoryEntry): void {
  job.history = [...job.history, entry].slice(-KEPT_HISTORY)
}
