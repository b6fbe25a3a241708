/**
 * The changing record of a job, and the chunks in which records of neighbours are kept together. Owns how they are
 * written; says nothing about when they change. Bodies are elsewhere.
 */

import type { DeadReason, HistoryEntry, JobPolicy, JobState, Owner } from '../../../contract/store.ts'
import type { Environment } from '../../engine/environment.ts'
import { blockKey } from '../../engine/keys.ts'
import { TABLES } from '../../engine/tables.ts'
import type { Family } from './records.ts'

/** Jobs whose numbers share a chunk are written together. */
export const PER_CHUNK = 32

export interface Job {
  /** Its number in its queue, in the order of coming. */
  readonly n: number
  readonly id: string
  /** What its sender called it, where that is another one than its id. */
  readonly sentAs: string | undefined
  readonly subject: string
  readonly key: string | undefined
  /** Whose job it is, where its sender said that. */
  readonly group: string | undefined
  readonly priority: number
  readonly sentAt: number
  /** When it came into this queue. */
  readonly cameAt: number
  readonly replyBy: number | undefined
  /** How long it may wait from when it is due, each time anew; nothing counts in the dead letters. */
  readonly ttlMs: number
  readonly policy: JobPolicy | undefined
  /** Of its body's record. */
  bytes: number
  /** Where its body is: the number in the key of its block, and the place in that. Block 0: not written yet. */
  block: number
  at: number
  state: JobState
  attempts: number
  deliveries: number
  /** When the run began that is under way; of a dead letter, the one that made it one. 0 where there is none. */
  startedAt: number
  dueAt: number
  /** 0 before it is due for the first time. */
  sequence: number
  /** Its place in the line of its key, where that is another one. */
  line: number | undefined
  suspect: boolean
  /** Ready, but nothing to deliver: behind another of its key. A dead letter: earlier versions found it damaged. */
  blocked: boolean
  /** The last one while it counts, also when it has lapsed; what follows is of that lease. */
  lease: string
  /** The number of the delivery. */
  handOut: number
  expiresAt: number
  capAt: number
  alone: boolean
  /** Extended up to its cap. */
  capped: boolean
  consumer: Owner | undefined
  dead: { readonly reason: DeadReason; readonly error?: string; readonly at: number } | undefined
  children: Family['children']
  readonly parent: Family['parent']
  /** Until then somebody waits for its end. */
  awaitBy: number | undefined
  /** Its consumers have told something of it: see progress.ts. */
  hasProgress: boolean
  history: readonly HistoryEntry[]
}

const STATES = ['ready', 'delayed', 'held', 'waiting'] as const
const FLAG = { suspect: 1, blocked: 2, alone: 4, capped: 8, hasProgress: 16 } as const

type Sent = 'key' | 'group' | 'policy' | 'sentAs' | 'replyBy' | 'cameAt'
type Later = 'line' | 'dead' | 'children' | 'parent' | 'awaitBy' | 'history'
/** What few jobs have; written is only what there is. */
type Extra = { readonly [Name in Sent | Later]?: Job[Name] | undefined }

/** Times are written as what is between them and the one of sending. */
type Written = readonly [
  n: number,
  id: string,
  subject: string,
  priority: number,
  sentAt: number,
  ttl: number,
  bytes: number,
  block: number,
  at: number,
  state: number,
  attempts: number,
  deliveries: number,
  due: number,
  sequence: number,
  flags: number,
  lease: string,
  handOut: number,
  expires: number,
  cap: number,
  holderSubject: string,
  holderClient: string,
  extra?: Extra | null,
  started?: number,
]

function flagsOf({ suspect, blocked, alone, capped, hasProgress }: Job): number {
  const ofLease = (alone ? FLAG.alone : 0) | (capped ? FLAG.capped : 0)
  return ofLease | (suspect ? FLAG.suspect : 0) | (blocked ? FLAG.blocked : 0) | (hasProgress ? FLAG.hasProgress : 0)
}

function extraOf(job: Job): Extra | undefined {
  const { key, group, policy, sentAs, replyBy, line, dead, children, parent, awaitBy } = job
  const history = job.history.length === 0 ? undefined : job.history
  const cameAt = job.cameAt === job.sentAt ? undefined : job.cameAt
  // One after the other: most have none, and a list of them would be made for each.
  const few = key ?? group ?? policy ?? sentAs ?? replyBy ?? cameAt ?? line ?? dead ?? children ?? parent ?? awaitBy
  if (few === undefined && history === undefined) return undefined
  return { key, group, policy, sentAs, replyBy, cameAt, line, dead, children, parent, awaitBy, history }
}

function decodeJob(written: Written): Job {
  const [n, id, subject, priority, sentAt, ttlMs, bytes, block, at, state, attempts, deliveries, due, sequence, flags] =
    written
  const lease = written[15]
  const has = lease !== ''
  const extra = written[21]
  return {
    n,
    id,
    subject,
    sentAs: extra?.sentAs,
    key: extra?.key,
    group: extra?.group,
    priority,
    sentAt,
    cameAt: extra?.cameAt ?? sentAt,
    replyBy: extra?.replyBy,
    ttlMs,
    policy: extra?.policy,
    bytes,
    block,
    at,
    state: STATES[state] ?? 'ready',
    attempts,
    deliveries,
    startedAt: written[22] === undefined ? 0 : sentAt + written[22],
    dueAt: sentAt + due,
    sequence,
    line: extra?.line,
    suspect: (flags & FLAG.suspect) !== 0,
    blocked: (flags & FLAG.blocked) !== 0,
    lease,
    handOut: written[16],
    expiresAt: has ? sentAt + written[17] : 0,
    capAt: has ? sentAt + written[18] : 0,
    alone: (flags & FLAG.alone) !== 0,
    capped: (flags & FLAG.capped) !== 0,
    consumer: has ? { subject: written[19], client: written[20] } : undefined,
    dead: extra?.dead,
    children: extra?.children,
    parent: extra?.parent,
    awaitBy: extra?.awaitBy,
    hasProgress: (flags & FLAG.hasProgress) !== 0,
    history: extra?.history ?? NONE,
  }
}

type Coming =
  | 'n'
  | 'id'
  | 'sentAs'
  | 'subject'
  | 'key'
  | 'group'
  | 'priority'
  | 'sentAt'
  | 'cameAt'
  | 'replyBy'
  | 'ttlMs'
  | 'policy'
/** What was before is of a job that moves. */
type NewJob = Pick<Job, Coming | 'bytes' | 'dueAt' | 'sequence' | 'dead'> &
  Partial<Pick<Job, 'attempts' | 'deliveries' | 'startedAt' | 'history' | 'state' | 'children' | 'parent'>>

/** A job as it comes; everything about leases and failures begins empty. Field by field: spread, it is read slowly. */
export function newJob(given: NewJob): Job {
  return {
    n: given.n,
    id: given.id,
    sentAs: given.sentAs === given.id ? undefined : given.sentAs,
    subject: given.subject,
    key: given.key,
    group: given.group,
    priority: given.priority,
    sentAt: given.sentAt,
    cameAt: given.cameAt,
    replyBy: given.replyBy,
    ttlMs: given.ttlMs,
    policy: given.policy,
    bytes: given.bytes,
    block: 0,
    at: 0,
    state: given.state ?? (given.sequence > 0 ? 'ready' : 'delayed'),
    attempts: given.attempts ?? 0,
    deliveries: given.deliveries ?? 0,
    startedAt: given.startedAt ?? 0,
    dueAt: given.dueAt,
    sequence: given.sequence,
    line: undefined,
    suspect: false,
    blocked: false,
    lease: '',
    handOut: 0,
    expiresAt: 0,
    capAt: 0,
    alone: false,
    capped: false,
    consumer: undefined,
    dead: given.dead,
    children: given.children,
    parent: given.parent,
    awaitBy: undefined,
    hasProgress: false,
    history: given.history ?? NONE,
  }
}

const NONE: readonly HistoryEntry[] = []

/** In the order of their numbers. */
export function encodeChunk(jobs: readonly Job[]): readonly unknown[] {
  return jobs.map(written)
}

function written(job: Job): Written {
  const { sentAt, lease, consumer } = job
  const has = lease !== '' && consumer !== undefined
  const extra = extraOf(job)
  const head = [
    job.n,
    job.id,
    job.subject,
    job.priority,
    sentAt,
    job.ttlMs,
    job.bytes,
    job.block,
    job.at,
    STATES.indexOf(job.state),
    job.attempts,
    job.deliveries,
    job.dueAt - sentAt,
    job.sequence,
    flagsOf(job),
    lease,
    job.handOut,
    has ? job.expiresAt - sentAt : 0,
    has ? job.capAt - sentAt : 0,
    consumer?.subject ?? '',
    consumer?.client ?? '',
  ] as const
  if (job.startedAt > 0) return [...head, extra ?? null, job.startedAt - sentAt]
  return extra === undefined ? (head as Written) : [...head, extra]
}

/** As it is stored. */
export function storedChunk(environment: Environment, queueNumber: number, chunk: number): Job[] {
  const jobs = environment.get(TABLES.jobs, blockKey(queueNumber, chunk)) ?? []
  return (jobs as readonly Written[]).map(decodeJob)
}

export function chunkOfJob(n: number): number {
  return Math.floor(n / PER_CHUNK)
}

/** Whether the number of the job can be read from its id. */
export function isNamed({ id, n }: Pick<Job, 'id' | 'n'>): boolean {
  return id.startsWith(`${n.toString(36)}-`)
}

/** The number in an id or a lease that the store gave; 0 where there is none. */
export function numberIn(text: string, end: '-' | '.'): number {
  const number = Number.parseInt(text.slice(0, Math.max(0, text.indexOf(end))), 36)
  return Number.isSafeInteger(number) && number < 2 ** 47 ? number : 0
}

/** When it goes to the dead letters if it still waits. */
export function ttlAtOf({ dueAt, ttlMs, replyBy }: Job): number {
  return Math.min(dueAt + ttlMs, replyBy ?? Number.POSITIVE_INFINITY)
}

/** When its lease lapses; 0 where it has none. */
export function lapseOf({ state, expiresAt }: Job): number {
  return state === 'held' ? expiresAt : 0
}

/** The same as `ttlAtOf` while it waits; 0 where it does not, or is not due yet. */
export function expiryOf(job: Job): number {
  return job.state === 'ready' || (job.state === 'delayed' && job.sequence > 0) ? ttlAtOf(job) : 0
}

/** Of a dead letter that waits: since when it is kept. */
export function keptSinceOf({ state, cameAt }: Job): number {
  return state === 'held' ? 0 : cameAt
}

/** The lease ends so long after now, at its cap at the latest. */
export function extendLease(job: Job, now: number, leaseMs: number): void {
  job.capped = now + leaseMs >= job.capAt
  job.expiresAt = job.capped ? job.capAt : now + leaseMs
}

/** The job, forgetting its lease. */
export function endLease(job: Job): void {
  job.lease = ''
  job.handOut = 0
  job.expiresAt = 0
  job.capAt = 0
  job.alone = false
  job.capped = false
  job.consumer = undefined
}

const KEPT_HISTORY = 20

/** Something happened to it; `holder`: in whose hands. */
export function note(job: Job, at: number, what: HistoryEntry['what'], holder?: Owner, why?: string): void {
  const entry = { at, what, ...(holder !== undefined && { holder }), ...(why !== undefined && { why }) }
  job.history = [...job.history, entry].slice(-KEPT_HISTORY)
}
