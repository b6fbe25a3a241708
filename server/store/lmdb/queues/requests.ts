/** What becomes of requests: kept under the job's id until nobody waits any more. */

import { encodeBody, readBody } from '../../codec.ts'
import type { Answer, Body } from '../../contract/store.ts'
import type { Environment } from '../engine/environment.ts'
import { DUE, fallDue } from '../engine/expiry.ts'
import { digest, digestKey } from '../engine/keys.ts'
import { TABLES } from '../engine/tables.ts'
import type { Plan } from '../engine/transaction.ts'
import type { Queue } from './storage/cache.ts'
import type { Job } from './storage/jobs.ts'
import type { AnswerRecord } from './storage/records.ts'

const ANSWER = Buffer.of(1)
const ASKED = Buffer.of(2)

function put(plan: Plan, key: Buffer, record: AnswerRecord): void {
  const known = plan.get(TABLES.answers, key)
  plan.put(TABLES.answers, key, record)
  if (known?.replyBy !== record.replyBy) fallDue(plan, record.replyBy, DUE.answer, key)
}

type Kept = { readonly state: 'done'; readonly reply?: Body } | Extract<Answer, { state: 'failed' }>

/** Keeps the answer to a request, and tells the watches. Nothing for what is no request, or one that is over. */
export function keepAnswer(plan: Plan, queue: Queue, job: Job, answer: Kept): void {
  const { replyBy } = job
  if (replyBy === undefined || replyBy <= plan.now) return
  const key = digestKey(queue.record.main.number, ANSWER, digest(job.id))
  if (answer.state === 'failed') put(plan, key, { ...answer, replyBy })
  else {
    const reply = answer.reply && encodeBody(answer.reply).toString('base64')
    put(plan, key, { state: 'done', replyBy, ...(reply !== undefined && { reply }) })
  }
  plan.notifyQueue(queue.name, { kind: 'answered', id: job.id })
}

/** Remembers which id a subject's request got. */
export function rememberRequest(plan: Plan, queueNumber: number, job: Job, id: string): void {
  if (job.replyBy === undefined) return
  const key = digestKey(queueNumber, ASKED, digest(job.subject, id))
  put(plan, key, { state: 'asked', replyBy: job.replyBy, id: job.id })
}

/** The id that this subject's request with this id got, while it may be answered. */
export function requestOf(plan: Plan, queueNumber: number, subject: string, id: string): string | undefined {
  const record = plan.get(TABLES.answers, digestKey(queueNumber, ASKED, digest(subject, id)))
  return record?.state === 'asked' && record.replyBy > plan.now ? record.id : undefined
}

/** The job of this subject's request is removed: the next request with this id is another one. */
export function forgetRequest(plan: Plan, queueNumber: number, subject: string, given: string, id: string): void {
  const key = digestKey(queueNumber, ASKED, digest(subject, given))
  const record = plan.get(TABLES.answers, key)
  if (record?.state === 'asked' && record.id === id) plan.remove(TABLES.answers, key)
}

/** Whether an answer is kept under this id. */
export function isAnswered(plan: Plan, queueNumber: number, id: string): boolean {
  const record = plan.get(TABLES.answers, digestKey(queueNumber, ANSWER, digest(id)))
  return record !== undefined && record.replyBy > plan.now
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
