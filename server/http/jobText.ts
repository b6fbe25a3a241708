/** Jobs as JSON over HTTP: as they are delivered, and as they are looked at. */

import { plainData } from '../core/body.ts'
import type { Claimed } from '../core/queues/delivery/claim.ts'
import { type Found, outlineOf } from '../core/queues/looks.ts'
import type { Queues } from '../core/queues/queues.ts'
import type { Ended } from '../core/queues/requests.ts'
import { httpContent, type StoredBody, waysIn } from './content.ts'

type ReadableJob = Claimed['jobs'][number]
export type FinishedJob = Awaited<ReturnType<Queues['finished']>>[number]

export function claimedText(
  queue: string,
  { id, lease, attempts, deliveries, sentAt, expiresAt, replyBy, runMs, children, body }: ReadableJob,
): string {
  const counts = { attempts, deliveries, sentAt, expiresAt, replyBy, runMs }
  const family = children?.map(({ result, ...rest }) => ({ queue, ...rest, ...(result && resultOf(result)) }))
  return JSON.stringify({ queue, id, lease, ...counts, ...(family && { children: family }), ...httpContent(body) })
}

export function lookedAt({ queue, job }: Found): object {
  const { body, progress } = job
  return { ...outlineOf(queue, job), ...(progress && progressOf(progress)), ...(body && httpContent(body)) }
}

/** What is kept of one that has ended. */
export function finishedText(queue: string, { result, progress, ...rest }: FinishedJob): string {
  return JSON.stringify({ queue, ...rest, ...(progress && progressOf(progress)), ...(result && resultOf(result)) })
}

/** How a job has ended of which nothing is kept. The answer has its result as it came. */
export function endingText(
  queue: string,
  id: string,
  { state, result, error }: Ended,
  answer: Awaited<ReturnType<Queues['answer']>>,
): string {
  const reply = answer?.state === 'done' ? answer.reply : undefined
  const told = reply !== undefined ? resultOf(reply) : result === undefined ? {} : { result }
  return JSON.stringify({ queue, id, state, ...told, error })
}

function resultOf(body: StoredBody): object {
  return { result: plainData(body), binary: waysIn(body) }
}

function progressOf(body: StoredBody): object {
  return { progress: plainData(body), progressBinary: waysIn(body) }
}
