/** From the draft of a schedule to the jobs of its due times. */

import { hasCode, RepriseError } from '../../../../shared/errors.ts'
import type { Headers, Limits } from '../../../../shared/protocol.ts'
import type { JobDraft } from '../../../../shared/queues.ts'
import { DUE_HEADER, SCHEDULE_HEADER, type ScheduleDraft } from '../../../../shared/queues.ts'
import type { Body, StoredJobDraft, StoredSchedule } from '../../../store/contract/store.ts'
import { bodiesOf, contentOf } from '../../body.ts'
import { misfit } from '../../schema/schema.ts'
import { storedJobs } from '../draft.ts'
import type { QueueSettings } from '../settings.ts'
import type { KeptSpec } from './spec.ts'

interface Place {
  readonly queue: string
  readonly name: string
  readonly limits: Limits
  readonly settings: QueueSettings
}

function jobOf(draft: ScheduleDraft, name: string, dueAt: number): JobDraft {
  return { ...draft, headers: { ...draft.headers, [SCHEDULE_HEADER]: name, [DUE_HEADER]: String(dueAt) } }
}

/** What is kept of a draft. Throws what the queue would refuse its jobs with. */
export function keptDraft({ data, headers, ...options }: ScheduleDraft, place: Place, now: number) {
  const draft = { data, ...(headers === undefined ? {} : { headers }), ...options }
  storedJobs(place.queue, [jobOf(draft, place.name, now)], place.limits, () => place.settings, now)
  const { key } = options
  const content = { data, ...(key === undefined ? {} : { key }), ...(headers === undefined ? {} : { headers }) }
  const [body] = bodiesOf([content], place.limits)
  return { body: body as Body, options }
}

function rejected(job: StoredJobDraft, error: string): StoredJobDraft {
  return { ...job, dead: { reason: 'rejected', error } }
}

/** The draft that was kept; binary data as it was. */
function draftOf(body: Body, { options }: KeptSpec): ScheduleDraft {
  const { data, headers } = contentOf(body) as { readonly data: unknown; readonly headers?: Headers }
  return { data, ...(headers === undefined ? {} : { headers }), ...options }
}

/** A job for each of the times. What the queue would not take any more goes to the dead letters, so that it is seen. */
export function jobsOf(
  body: Body,
  spec: KeptSpec,
  { queue, name, limits, settings }: Place,
  times: readonly number[],
  now: number,
): StoredJobDraft[] {
  const draft = draftOf(body, spec)
  const { schema, ...rest } = settings
  const fault = times.length === 0 ? undefined : misfit(schema, body)
  const misfitting = fault === undefined ? undefined : `does not fit the schema: ${fault}`
  // One by one: together they may be more than a call may bring.
  return times.flatMap((at) => {
    try {
      const stored = storedJobs(queue, [jobOf(draft, name, at)], limits, () => rest, now)
      return misfitting === undefined ? stored : stored.map((job) => rejected(job, misfitting))
    } catch (error) {
      // Limits may have been others when the schedule was put.
      if (!hasCode(error, 'bad_request') && !hasCode(error, 'too_large')) throw error
      const { priority, ttlMs } = settings
      return [rejected({ body, priority, ttlMs }, error.message)]
    }
  })
}

/** Throws `conflict` where what is stored is damaged. */
export function wholeBody(queue: string, { name, body }: StoredSchedule): Body {
  if (body !== undefined) return body
  throw new RepriseError('conflict', `the draft of the schedule ${name} of ${queue} is damaged: put it anew`)
}
