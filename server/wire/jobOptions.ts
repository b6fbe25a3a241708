/** The schemas of what a job has by itself in place of its queue's settings, beside those of calls.ts. */

import { z } from 'zod'
import { type JobBackoff, type JobOptions, MAX_BACKOFFS } from '../../shared/queues.ts'

const BACKOFF_RULE = "is { kind: 'fixed' | 'exponential', ms, maxMs? } or { kind: 'list', ms: […] }"
const KIND_RULE = "kind is 'fixed', 'exponential' or 'list'"
const LIST_RULE = `of a list: is a list of 1 to ${MAX_BACKOFFS} times in milliseconds, each 0 or more`
const KEEP_RULE = 'is false or { ageMs? }'

const listSchema = z
  .custom<readonly number[]>(isListOfTimes, { error: LIST_RULE })
  .meta({ type: 'array', items: { type: 'number', minimum: 0 }, minItems: 1, maxItems: MAX_BACKOFFS })

/** Counted before its times are looked at. */
function isListOfTimes(list: unknown): boolean {
  const fits = Array.isArray(list) && list.length >= 1 && list.length <= MAX_BACKOFFS
  return fits && list.every((ms) => typeof ms === 'number' && Number.isFinite(ms) && ms >= 0)
}

const backoffSchema = z
  .discriminatedUnion(
    'kind',
    [
      z.strictObject({
        kind: z.enum(['fixed', 'exponential']),
        ms: z.number().min(0),
        maxMs: z.number().min(0).exactOptional(),
      }),
      z.strictObject({ kind: z.literal('list'), ms: listSchema }),
    ],
    { error: ({ code, input }) => (code === 'invalid_union' && typeof input === 'object' ? KIND_RULE : BACKOFF_RULE) },
  )
  .meta({ id: 'JobBackoff' }) satisfies z.ZodType<JobBackoff>

const keepSchema = z
  .union([z.literal(false), z.strictObject({ ageMs: z.number().min(0).exactOptional() })], { error: KEEP_RULE })
  .meta({ id: 'JobKeepDone' })

export const jobOptionFields = {
  attempts: z
    .int()
    .min(1)
    .exactOptional()
    .meta({ description: 'The most attempts of this job, in place of the `maxAttempts` of the queue' }),
  backoff: backoffSchema.exactOptional().meta({
    description:
      'In place of the `backoffMs` of the queue: `ms` after each failed attempt, doubled each time, or one time of a list after the other',
  }),
  runMs: z
    .number()
    .min(1)
    .exactOptional()
    .meta({ description: 'A run that takes longer is a failed attempt; its lease cannot be extended beyond' }),
  keepDone: keepSchema
    .exactOptional()
    .meta({ description: '`false`: nothing is kept of it when it has ended; `ageMs`: how long it is kept' }),
} satisfies { readonly [Name in keyof JobOptions]-?: z.ZodType }

/** The same as it is told of a job. */
export const ownFields = {
  maxAttempts: z.int().optional().meta({ description: 'Where its draft had `attempts`' }),
  backoff: backoffSchema.optional(),
  runMs: z.number().optional(),
  keepDone: keepSchema.optional(),
}
