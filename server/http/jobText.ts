/** Jobs as JSON over HTTP: as they are delivered, and as they are looked at. */

import { contentOf } from '../core/body.ts'
import type { Claimed } from '../core/queues/delivery/claim.ts'
import type { Queues } from '../core/queues/queues.ts'
import { isDead } from '../core/queues/settings.ts'
import { httpContent } from './content.ts'

type ReadableJob = Claimed['jobs'][number]
export type JobInfo = Awaited<ReturnType<Queues['job']>>

export function claimedText(
  queue: string,
  { id, lease, attempts, deliveries, sentAt, expiresAt, replyBy, body }: ReadableJob,
): string {
  return JSON.stringify({ queue, id, lease, attempts, deliveries, sentAt, expiresAt, replyBy, ...content(body) })
}

/** `queue` is where the job is; dead letters that wait are `dead`. */
export function lookedAt(queue: string, { body, state, ...rest }: JobInfo): object {
  const told = isDead(queue) && state === 'ready' ? 'dead' : state
  return { queue, state: told, ...rest, ...(body === undefined ? { damaged: true } : content(body)) }
}

function content({ json, binaries }: ReadableJob['body']): object {
  return httpContent(contentOf({ json }), binaries)
}
