/** Jobs as JSON over HTTP: as they are delivered, and as they are looked at. */

import { contentOf } from '../core/body.ts'
import type { Claimed } from '../core/queues/delivery/claim.ts'
import { type Found, outlineOf } from '../core/queues/looks.ts'
import type { Queues } from '../core/queues/queues.ts'
import type { Ended } from '../core/queues/requests.ts'
import { httpContent } from './content.ts'

type ReadableJob = Claimed['jobs'][number]
export type FinishedJob = Awaited<ReturnType<Queues['finished']>>[number]

export function claimedText(
  queue: string,
  { id, lease, attempts, deliveries, sentAt, expiresAt, replyBy, runMs, children, body }: ReadableJob,
): string {
  const counts = { attempts, deliveries, sentAt, expiresAt, replyBy, runMs }
  const family = children?.map(({ result, ...rest }) => ({ queue, ...rest, ...(result && resultOf(result)) }))
  return JSON.stringify({ queue, id, lease, ...counts, ...(family && { children: family }), ...content(body) })
}

export function lookedAt({ queue, job }: Found): object {
  return { ...outlineOf(queue, job), ...progressOf(job.progress), ...(job.body && content(job.body)) }
}

/** What is kept of one that has ended. */
export function finishedText(queue: string, { result, progress, ...rest }: FinishedJob): string {
  return JSON.stringify({ queue, ...rest, ...progressOf(progress), ...(result === undefined ? {} : resultOf(result)) })
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

type StoredBody = ReadableJob['body']

function resultOf(body: StoredBody): object {
  const { value, binary } = valueIn(body)
  return { result: value, ...(binary !== undefined && { binary }) }
}

function progressOf(body: StoredBody | undefined): object {
  if (body === undefined) return {}
  const { value, binary } = valueIn(body)
  return { progress: value, ...(binary !== undefined && { progressBinary: binary }) }
}

/** A value as JSON, and the ways to the bytes in it, which are base64. */
function valueIn({ json, binaries }: StoredBody): { value: unknown; binary?: unknown } {
  const { data, base64, binary } = httpContent(contentOf({ json }), binaries) as Record<string, unknown>
  return { value: base64 ?? data, ...(base64 !== undefined ? { binary: [[]] } : binary !== undefined && { binary }) }
}

function content({ json, binaries }: StoredBody): object {
  return httpContent(contentOf({ json }), binaries)
}
