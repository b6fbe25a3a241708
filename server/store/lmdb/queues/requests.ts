/** What becomes of requests: kept under the job's id until nobody waits any more. */

import { encodeBody, readBody, readKnownBody } from '../../codec.ts'
import type { Answer, Body, PayloadChange } from '../../contract/store.ts'
import type { Environment } from '../engine/environment.ts'
import { DUE, fallDue } from '../engine/expiry.ts'
import { digest, digestKey, under } from '../engine/keys.ts'
import { TABLES } from '../engine/tables.ts'
import type { Transaction } from '../engine/transaction.ts'
import type { Job } from './storage/jobs.ts'
import type { Queue } from './storage/queue.ts'
import type { AnswerRecord } from './storage/records.ts'

const ANSWER = Buffer.of(1)
const ASKED = Buffer.of(2)

function put(transaction: Transaction, key: Buffer, record: AnswerRecord): void {
  const known = transaction.get(TABLES.answers, key)
  transaction.put(TABLES.answers, key, record)
  if (known?.replyBy !== record.replyBy) fallDue(transaction, record.replyBy, DUE.answer, key)
}

type Kept = { readonly state: 'done'; readonly reply?: Body } | Extract<Answer, { state: 'failed' }>

/** How long what became of a job is kept for those who wait for its end: they look for it every few seconds. */
const AWAITED_MS = 60_000

/** Until when the answer is kept. */
function answerBy({ replyBy = 0, awaitBy = 0 }: Job, now: number): number {
  return Math.max(replyBy, Math.min(awaitBy, awaitBy > now ? now + AWAITED_MS : 0))
}

/** Keeps the answer to a request, or for who waits, and tells the listeners. Nothing for another job. */
export function keepAnswer(transaction: Transaction, queue: Queue, job: Job, answer: Kept): void {
  const replyBy = answerBy(job, transaction.now)
  if (replyBy <= transaction.now) return
  const key = digestKey(queue.record.main.number, ANSWER, digest(job.id))
  if (answer.state === 'failed') put(transaction, key, { ...answer, replyBy })
  else {
    const reply = answer.reply && encodeBody(answer.reply).toString('base64')
    put(transaction, key, { state: 'done', replyBy, ...(reply !== undefined && { reply }) })
  }
  transaction.notifyQueue(queue.name, { kind: 'answered', id: job.id })
}

/** Remembers which id a subject's request got. */
export function rememberRequest(transaction: Transaction, queueNumber: number, job: Job, id: string): void {
  if (job.replyBy === undefined) return
  const key = digestKey(queueNumber, ASKED, digest(job.subject, id))
  put(transaction, key, { state: 'asked', replyBy: job.replyBy, id: job.id })
}

/** The id that this subject's request with this id got, while it may be answered. */
export function requestOf(
  transaction: Transaction,
  queueNumber: number,
  subject: string,
  id: string,
): string | undefined {
  const record = transaction.get(TABLES.answers, digestKey(queueNumber, ASKED, digest(subject, id)))
  return record?.state === 'asked' && record.replyBy > transaction.now ? record.id : undefined
}

/** The job of this subject's request is removed: the next request with this id is another one. */
export function forgetRequest(
  transaction: Transaction,
  queueNumber: number,
  subject: string,
  given: string,
  id: string,
): void {
  const key = digestKey(queueNumber, ASKED, digest(subject, given))
  const record = transaction.get(TABLES.answers, key)
  if (record?.state === 'asked' && record.id === id) transaction.remove(TABLES.answers, key)
}

/** Whether an answer is kept under this id. */
export function isAnswered(transaction: Transaction, queueNumber: number, id: string): boolean {
  const record = transaction.get(TABLES.answers, digestKey(queueNumber, ANSWER, digest(id)))
  return record !== undefined && record.replyBy > transaction.now
}

export function storedAnswer(environment: Environment, number: number, id: string, now: number): Answer | undefined {
  const record = environment.get(TABLES.answers, digestKey(number, ANSWER, digest(id)))
  if (record === undefined || record.replyBy <= now || record.state === 'asked') return undefined
  if (record.state === 'failed') {
    const { reason, error } = record
    return { state: 'failed', reason, ...(error !== undefined && { error }) }
  }
  const reply = record.reply === undefined ? undefined : readBody(Buffer.from(record.reply, 'base64'))
  return { state: 'done', ...(reply !== undefined && { reply }) }
}

/** Answers from a key on; `next`: where those begin that are left. */
export function rewriteAnswers(
  transaction: Transaction,
  queueNumber: number,
  from: Buffer | undefined,
  limit: number,
  change: PayloadChange,
): { readonly next?: Buffer; readonly seen: number; readonly changed: number } {
  const prefix = digestKey(queueNumber, ANSWER)
  const range = { ...under(prefix, from), limit: limit + 1 }
  const keys = transaction.environment.keys(TABLES.answers, range)
  let changed = 0
  for (const key of keys.slice(0, limit)) {
    const record = transaction.get(TABLES.answers, key)
    const other = record && rewrittenAnswer(record, change)
    if (other === undefined) continue
    transaction.put(TABLES.answers, key, other)
    changed++
  }
  const next = keys[limit]
  return { ...(next && { next }), seen: Math.min(keys.length, limit), changed }
}

function rewrittenAnswer(record: AnswerRecord, change: PayloadChange): AnswerRecord | undefined {
  if (record.state === 'failed') {
    const error = record.error === undefined ? undefined : change.text(record.error)
    return error === undefined ? undefined : { ...record, error }
  }
  if (record.state !== 'done' || record.reply === undefined) return undefined
  const body = readKnownBody(Buffer.from(record.reply, 'base64'))
  const other = body && change.body(body, 'reply')
  return other && { ...record, reply: encodeBody(other).toString('base64') }
}
