/** The end of a job: it leaves its queue, and what became of it is kept as the policy says. */

import { encodeBody, readBody, readKnownBody } from '../../codec.ts'
import type { Body, FinishedJob, FinishedQuery, FinishedState, Keeping, PayloadChange } from '../../contract/store.ts'
import { keepOf } from '../../jobs/jobPolicy.ts'
import { readProgress, repackProgress } from '../../jobs/progress.ts'
import type { Environment } from '../engine/environment.ts'
import { blockKey, digest, digestKey } from '../engine/keys.ts'
import { TABLES } from '../engine/tables.ts'
import type { Transaction } from '../engine/transaction.ts'
import { childEnded, type Failing, forgetChildren } from './children.ts'
import { type FinishedRecord, indexOf, storedFinished } from './storage/finished.ts'
import { setKey } from './storage/indexes.ts'
import type { JobSet } from './storage/jobSet.ts'
import { chunkOfJob, type Job, numberIn } from './storage/jobs.ts'
import { takeProgress } from './storage/payloads/progress.ts'
import type { Queue } from './storage/queue.ts'
import type { QueueRecord, Told } from './storage/records.ts'
import { type Pair, pairsDown } from './storage/sortedIndex.ts'

/** The job is taken from the queue for good. Answers its parent, where that fails with it. */
export function finish(
  transaction: Transaction,
  queue: Queue,
  jobSet: JobSet,
  job: Job,
  state: FinishedState,
  keep: Keeping | undefined,
  result?: Body,
): Failing | undefined {
  const progress = takeProgress(transaction, jobSet, job)
  const kept = keepOf(job, keep)
  const isKept = kept !== undefined && add(transaction, queue, jobSet, job, state, kept, { result, progress })
  // Its id goes on naming the same number.
  jobSet.take(transaction, job, isKept && !jobSet.isDead)
  forgetChildren(transaction, queue, job)
  return childEnded(transaction, queue, job, state, { result })
}

/** `false` for one that is too large to be kept. */
function add(
  transaction: Transaction,
  queue: Queue,
  jobSet: JobSet,
  job: Job,
  state: FinishedState,
  keep: Keeping,
  { result, progress }: { readonly result: Body | undefined; readonly progress: Buffer | undefined },
): boolean {
  const { now: endedAt } = transaction
  // Field by field: spread, it is made and read slowly.
  const record: FinishedRecord = {
    // Dead letters are numbered by themselves.
    n: jobSet.isDead ? ++queue.main.counters.lastJob : job.n,
    id: job.id,
    state,
    subject: job.subject,
    key: job.key,
    priority: job.priority,
    attempts: job.attempts,
    deliveries: job.deliveries,
    sentAt: job.sentAt,
    startedAt: job.startedAt,
    endedAt,
    until: endedAt + keep.ageMs,
    bytes: 0,
    told: undefined,
    text: undefined,
  }
  return queue.finished.add(transaction, record, toldAtEnd(job, state, result, progress), keep, !jobSet.isDead)
}

function toldAtEnd(
  { history, dead }: Job,
  state: FinishedState,
  result: Body | undefined,
  progress: Buffer | undefined,
): Told | undefined {
  const error = dead === undefined || state === 'done' ? undefined : dead.error || dead.reason
  if (result === undefined && error === undefined && history.length === 0 && progress === undefined) return undefined
  return {
    ...(result !== undefined && { result: encodeBody(result).toString('base64') }),
    ...(error !== undefined && { error }),
    ...(history.length > 0 && { history }),
    ...(progress !== undefined && { progress: progress.toString('base64') }),
  }
}

/** Somebody waits for the end of this job. */
export function awaitEnd(transaction: Transaction, name: string, id: string, until: number): boolean {
  const main = transaction.queue(name)?.main
  const job = main?.find(transaction, id)
  if (main === undefined || job === undefined) return false
  if (until > (job.awaitBy ?? 0)) {
    main.touch(job)
    job.awaitBy = until
  }
  return true
}

/** Called last by each call that ends jobs, or may find others to be over. */
export function trimFinished(transaction: Transaction, queue: Queue, keep: Keeping | undefined): void {
  if (keep !== undefined) queue.finished.trim(transaction, keep)
}

/** What was kept under this id is forgotten: another job gets it. */
export function forgetFinished(transaction: Transaction, queue: Queue, id: string): void {
  const record = queue.finished.find(transaction, id)
  if (record !== undefined) queue.finished.remove(transaction, record)
}

/** As they are stored; for reading alone. */
export function readFinished(
  environment: Environment,
  { main: { number } }: QueueRecord,
  query: FinishedQuery,
  now: number,
): FinishedJob[] {
  const chunks = new Map<number, FinishedRecord[]>()
  const at = (n: number): FinishedRecord | undefined => {
    const chunk = chunkOfJob(n)
    const known = chunks.get(chunk) ?? storedFinished(environment, number, chunk)
    chunks.set(chunk, known)
    const record = known.find((one) => one.n === n)
    return record !== undefined && record.until > now ? record : undefined
  }
  const find = (id: string): FinishedRecord | undefined => {
    const named = numberIn(id, '-')
    const byNumber = named > 0 ? at(named) : undefined
    if (byNumber?.id === id) return byNumber
    const n = environment.get(TABLES.jobIds, digestKey(number, digest(id)))
    const record = n === undefined ? undefined : at(n)
    return record?.id === id ? record : undefined
  }
  const tell = (record: FinishedRecord): FinishedJob => told(environment, number, record)
  if ('ids' in query) return query.ids.flatMap((id) => find(id) ?? []).map(tell)
  const { state, after, limit } = query
  const last = after === undefined ? undefined : find(after)
  if (after !== undefined && last?.state !== state) return []
  const from: Pair | undefined = last && { a: last.until, b: last.n }
  const found: FinishedJob[] = []
  for (const { a, b } of pairsDown(environment, setKey(number, indexOf(state)), from)) {
    if (found.length >= limit || a <= now) break
    const record = at(b)
    if (record !== undefined) found.push(tell(record))
  }
  return found
}

function told(environment: Environment, number: number, record: FinishedRecord): FinishedJob {
  const { n, id, state, subject, key, priority, attempts, deliveries, sentAt, startedAt, endedAt } = record
  const told = record.told === 'apart' ? environment.get(TABLES.finishedParts, blockKey(number, n)) : record.told
  const result = told?.result === undefined ? undefined : readBody(Buffer.from(told.result, 'base64'))
  const { error, history = [], progress } = told ?? {}
  return {
    ...{ id, state, subject, priority, attempts, deliveries, sentAt, endedAt, history },
    ...(key !== undefined && { key }),
    ...(startedAt > 0 && { startedAt }),
    ...(result !== undefined && { result }),
    ...(error !== undefined && { error }),
    ...(progress !== undefined && readProgress(Buffer.from(progress, 'base64'))),
  }
}

/** Results and texts of a chunk in other bytes; how many jobs were looked at and changed, and their bytes. */
export function rewriteFinished(transaction: Transaction, queue: Queue, chunk: number, change: PayloadChange) {
  let [changed, bytes] = [0, 0]
  const records = queue.finished.recordsIn(chunk)
  for (const record of records) {
    bytes += record.bytes
    const told = queue.finished.toldOf(transaction, record)
    const other = told && retold(told, change)
    if (other === undefined) continue
    queue.finished.retell(transaction, record, other)
    changed++
  }
  return { seen: records.length, changed, bytes }
}

function retold(told: Told, change: PayloadChange): Told | undefined {
  const body = told.result === undefined ? undefined : readKnownBody(Buffer.from(told.result, 'base64'))
  const result = body && change.body(body, 'reply')
  const error = told.error === undefined ? undefined : change.text(told.error)
  const whys = (told.history ?? []).map(({ why }) => (why === undefined ? undefined : change.text(why)))
  const progress =
    told.progress === undefined ? undefined : repackProgress(Buffer.from(told.progress, 'base64'), change)
  if ([result, error, progress, ...whys].every((other) => other === undefined)) return undefined
  const history = told.history?.map((entry, i) => (whys[i] === undefined ? entry : { ...entry, why: whys[i] }))
  return {
    ...told,
    ...(result !== undefined && { result: encodeBody(result).toString('base64') }),
    ...(error !== undefined && { error }),
    ...(history !== undefined && { history }),
    ...(progress !== undefined && { progress: progress.toString('base64') }),
  }
}
