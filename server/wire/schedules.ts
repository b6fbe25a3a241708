/** The schemas of schedules that clients send, beside those of calls.ts. */

import { z } from 'zod'
import { RepriseError } from '../../shared/errors.ts'
import type { ScheduleListQuery, ScheduleRunOptions, ScheduleSpec } from '../../shared/queues.ts'
import { jobDraftSchema, nameSchema, parse } from './calls.ts'

const MAX_CRON_LENGTH = 256
const MAX_ZONE_LENGTH = 64
const YEAR_MS = 365 * 86_400_000
/** The end of the year 9999: a Date goes further, times behind it do not. */
const LAST_TIME = 253_402_300_799_999
const MAX_PAGE = 100
const MIN_EVERY_MS = 100

const { id, at: _at, ...draftFields } = jobDraftSchema.shape

const scheduleDraftSchema = z
  .strictObject(draftFields)
  .meta({ id: 'ScheduleDraft', examples: [{ data: { report: 'daily' } }] })

const time = z.int().min(0).max(LAST_TIME)

export const scheduleSchema = z
  .strictObject({
    cron: z.string().min(1).max(MAX_CRON_LENGTH).exactOptional(),
    everyMs: z.int().min(MIN_EVERY_MS).max(YEAR_MS).exactOptional(),
    timeZone: z.string().min(1).max(MAX_ZONE_LENGTH).exactOptional(),
    draft: scheduleDraftSchema,
    startAt: time.exactOptional(),
    endAt: time.exactOptional(),
    limit: z.int().min(1).exactOptional(),
    missed: z.enum(['one', 'all', 'none'], { error: "missed is 'one', 'all' or 'none'" }).exactOptional(),
  })
  .meta({
    id: 'ScheduleSpec',
    examples: [{ cron: '0 9 * * MON-FRI', timeZone: 'Europe/Berlin', draft: { data: { report: 'daily' } } }],
  }) satisfies z.ZodType<ScheduleSpec>

export const scheduleListSchema = z.strictObject({
  after: nameSchema.exactOptional(),
  limit: z.int().min(1).max(MAX_PAGE).exactOptional(),
}) satisfies z.ZodType<ScheduleListQuery>

export const scheduleRunSchema = z.strictObject({ id }) satisfies z.ZodType<ScheduleRunOptions>

export function parseSchedule(value: unknown): ScheduleSpec {
  const { draft } = (typeof value === 'object' && value !== null ? value : {}) as { readonly draft?: unknown }
  for (const name of ['id', 'at']) {
    if (typeof draft !== 'object' || draft === null || !Object.hasOwn(draft, name)) continue
    const why =
      name === 'id' ? 'each of its jobs has an id of its own' : 'its jobs are due when it is; delayMs may be added'
    throw new RepriseError('bad_request', `schedule: draft.${name}: ${why}`)
  }
  return parse(scheduleSchema, value, 'schedule')
}
