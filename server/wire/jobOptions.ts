/** The schemas of what a job has by itself in place of its queue's settings, beside those of wire.ts. */

import { z } from 'zod'
import type { JobBackoff, JobOptions } from '../../shared/queues.ts'

const BACKOFF_RULE = "is { kind: 'fixed' | 'exponential', ms, maxMs? }"
const KEEP_RULE = 'is false or { ageMs? }'

const backoffSchema = z
  .strictObject(
    {
      kind: z.enum(['fixed', 'exponential'], { error: "is 'fixed' or 'exponential'" }),
      ms: z.number().min(0),
      maxMs: z.number().min(0).exactOptional(),
    },
    { error: ({ code }) => (code === 'invalid_type' ? BACKOFF_RULE : undefined) },
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
    description: 'In place of the `backoffMs` of the queue: `ms` after each failed attempt, or doubled each time',
  }),
  keepDone: keepSchema
    .exactOptional()
    .meta({ description: '`false`: nothing is kept of it when it has ended; `ageMs`: how long it is kept' }),
} satisfies { readonly [Name in keyof JobOptions]-?: z.ZodType }

/** The same as it is told of a job. */
export const ownFields = {
  maxAttempts: z.int().optional().meta({ description: 'Where its draft had `attempts`' }),
  backoff: backoffSchema.optional(),
  keepDone: keepSchema.optional(),
}
