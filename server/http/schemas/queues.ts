/** What requests about queues may say and what answers hold, over HTTP. Of single jobs: jobs.ts; the rest is in topics.ts and server/wire/calls.ts. */

import { z } from 'zod'
import type { JobDraft } from '../../../shared/queues.ts'
import type { ConsumerSeen } from '../../core/seeing/consumers.ts'
import {
  consumeSchema,
  jobDraftSchema,
  nameSchema,
  positionSchema,
  queueNameSchema,
  sentDraftSchema,
} from '../../wire/calls.ts'
import { parentSchema } from '../../wire/children.ts'
import { base64, bound, content, count, jsonSchema, MAX_WAIT_MS, whole } from './topics.ts'

const MAX_CLAIM = 1_000
const MAX_CONSUMERS = 200

/** As drafts are read when the bytes of children are in their places (../drafts.ts). */
export const jobDrafts = draftsOf(sentDraftSchema)

/** For the document alone: children with `base64`, too. */
const sent = draftsOf(
  parentSchema(jobDraftSchema, queueNameSchema, (child) => [
    binaryOf(child).meta({ id: 'BinaryChildDraft', examples: [{ base64: 'AAEC' }] }),
  ]).meta({ id: 'SentDraft', examples: [{ data: 'all', children: [{ data: 1 }, { base64: 'AAEC' }] }] }),
)

function draftsOf(json: typeof sentDraftSchema) {
  return {
    json,
    binary: binaryOf(json)
      .transform(({ base64, ...rest }) => ({ data: base64, ...rest }) as JobDraft)
      .meta({ id: 'BinaryJobDraft', examples: [{ base64: 'AAEC', priority: 9 }] }),
  }
}

function binaryOf({ shape }: z.ZodObject) {
  const { data: _data, ...labels } = shape
  return z.strictObject({ base64, ...labels })
}

export const sendBody = z
  .union([sent.json, sent.binary, z.array(z.union([sent.json, sent.binary])).min(1)])
  .meta({ id: 'Send', examples: [{ data: { to: 'ann' }, delayMs: 500 }, [{ data: 1 }, { data: 2 }]] })

export const claimBody = z
  .strictObject({
    client: nameSchema.exactOptional().meta({ description: 'Shown as the holder of the jobs' }),
    max: z.int().min(1).max(MAX_CLAIM).default(1),
    leaseMs: consumeSchema.shape.leaseMs,
    waitMs: z
      .number()
      .min(0)
      .default(0)
      .transform((ms) => Math.min(ms, MAX_WAIT_MS))
      .meta({ description: 'How long to wait where there is nothing, 20,000 at most' }),
  })
  .meta({ id: 'Claim', examples: [{ client: 'mailer-1', max: 10, waitMs: 20_000 }] })

const size = z.union([bound, z.string()])
const time = z.union([count, z.string()])
const binding = z.object({ topic: z.string(), from: z.enum(['start', 'end']).optional() }).meta({ id: 'Binding' })

/** For the document alone: server/options/queues.ts reads it, with the units that the configuration file has too. */
export const queueSettingsBody = z
  .strictObject({
    from: z.array(z.union([z.string(), binding])),
    leaseMs: time,
    maxLeaseMs: time,
    maxAttempts: count,
    backoffMs: time,
    maxBackoffMs: time,
    priority: z.int().min(0).max(9),
    ttlMs: time,
    deadMs: time,
    keepDone: z.union([
      z.literal(false),
      z.int().min(0).max(1_000_000),
      z.object({ count: z.int().min(0).max(1_000_000).optional(), ageMs: time.optional() }),
    ]),
    maxJobs: bound,
    maxBytes: size,
    reconnectGraceMs: time,
    rate: z.union([z.number().gt(0), z.literal('unlimited')]),
    fair: z.boolean(),
    events: z.boolean(),
    groupRate: z.union([z.number().gt(0), z.literal('unlimited')]),
    breaker: z.union([z.literal('off'), z.object({ share: z.number().gt(0).lt(1), min: count.optional() })]),
    maxHoldBytes: size,
    schema: jsonSchema,
  })
  .partial()
  .meta({ id: 'QueueSettings', examples: [{ maxAttempts: 5, leaseMs: '1m', from: ['orders.eu'] }] })

const settingsPreview = z
  .object({
    drops: count.meta({ description: 'Dead letters that are kept longer than `deadMs`' }),
    deadLetters: count.meta({ description: 'Waiting jobs that failed `maxAttempts` times already' }),
    more: z.boolean().meta({ description: 'Not all were looked at' }),
    refuses: z.boolean().meta({ description: 'It holds as much as it may, and would take no more for now' }),
    binds: z.array(z.string()),
    unbinds: z.array(z.string()),
  })
  .meta({ id: 'QueueSettingsPreview' })

export const queueSettingsAnswer = z
  .object({
    queue: z.string(),
    settings: queueSettingsBody,
    would: settingsPreview.optional().meta({ description: 'Of a dry run' }),
  })
  .meta({ id: 'QueueSettingsAnswer', examples: [{ queue: 'emails', settings: { maxAttempts: 5 } }] })

export const sentAnswer = z
  .object({
    ids: z.array(z.string()),
    duplicates: count,
    duplicatesAt: z.array(count).optional(),
    durability: z.string(),
  })
  .meta({ id: 'Sent', examples: [{ ids: ['12'], duplicates: 0, durability: 'fsync' }] })

/** Of a job that has a lease, beside its content. */
export const leased = {
  queue: z.string(),
  id: z.string(),
  lease: z.string(),
  attempts: count,
  deliveries: count,
  sentAt: count,
  expiresAt: count,
  replyBy: count.exactOptional(),
  runMs: count
    .exactOptional()
    .meta({ description: 'Where its draft had it: so long after this delivery the lease ends' }),
} as const

const claimedJob = z.object({ ...leased, ...content }).meta({ id: 'ClaimedJob' })

export const claimAnswer = z.object({ jobs: z.array(claimedJob) }).meta({ id: 'Claimed', examples: [{ jobs: [] }] })

export const settledAnswer = z
  .array(z.union([z.enum(['ok', 'lost']), z.object({ expiresAt: z.int() })]))
  .meta({ id: 'Settled', examples: [['ok', 'lost']] })

export const reportedAnswer = z.array(z.enum(['ok', 'lost'])).meta({ id: 'Reported', examples: [['ok', 'lost']] })

export const counts = z
  .object({
    sent: count,
    ready: count,
    delayed: count,
    held: count,
    waiting: count,
    done: count,
    dead: count,
    removed: count,
  })
  .meta({ id: 'JobCounts' })

const tripped = z.object({ at: count, dead: count, ended: count }).meta({
  id: 'Tripped',
  description: 'It has paused itself: of `ended` jobs within a minute, `dead` went to the dead letters',
})

const fullLife = z.object({ events: count, bytes: count }).meta({
  id: 'FullLife',
  description: 'So much of its life waits to be moved to its topic that it takes no jobs and hands none out',
})

const queueFields = z.object({
  queue: z.string(),
  counts,
  bytes: count,
  oldestReadyMs: count.nullable(),
  consumers: count.meta({ description: 'On all nodes' }),
  paused: z.boolean(),
  tripped: tripped.optional(),
  lifeFull: fullLife.optional(),
})
const EMAILS = {
  queue: 'emails',
  counts: { sent: 12, ready: 1, delayed: 0, held: 1, waiting: 0, done: 10, dead: 0, removed: 0 },
  bytes: 512,
  oldestReadyMs: 40,
  consumers: 2,
  paused: false,
}
const queueAnswer = queueFields.meta({ id: 'Queue', examples: [EMAILS] })

const boundTopic = z
  .object({
    topic: z.string(),
    position: positionSchema,
    behind: count.meta({ description: 'Events of the topic that are not copied yet' }),
  })
  .meta({ id: 'BoundTopic' })

export const queueDetailAnswer = queueFields
  .extend({ bindings: z.array(boundTopic), settings: queueSettingsBody })
  .meta({ id: 'QueueDetail', examples: [{ ...EMAILS, bindings: [], settings: { maxAttempts: 5 } }] })

/** What is stored may be a part of the settings, or nothing. */
export const storedQueueSettingsAnswer = z
  .object({
    queue: z.string(),
    stored: queueSettingsBody,
    settings: queueSettingsBody.optional(),
  })
  .meta({ id: 'StoredQueueSettings', examples: [{ queue: 'emails.*', stored: {} }] })

export const queuesAnswer = z
  .object({ queues: z.array(queueAnswer), next: z.string().optional() })
  .meta({ id: 'Queues', examples: [{ queues: [EMAILS] }] })

export const consumersQuery = {
  offset: whole(0).meta({ description: 'So many are left out before the first', default: 0 }),
  limit: whole(1, MAX_CONSUMERS).meta({ description: 'At most this many, 200 at most', default: 100 }),
}

const consumerSeen = z
  .object({
    subject: z.string(),
    client: z.string(),
    credit: count,
    held: count,
    longestMs: count.exactOptional(),
    leaseMs: z.number(),
    since: count,
    silent: z.boolean(),
  })
  .meta({ id: 'QueueConsumer' }) satisfies z.ZodType<ConsumerSeen>

export const consumersAnswer = z
  .object({ node: z.string(), total: count, consumers: z.array(consumerSeen) })
  .meta({ id: 'QueueConsumers', examples: [{ node: 'host-4f21c0', total: 0, consumers: [] }] })

export const pausedAnswer = z
  .object({ queue: z.string(), paused: z.boolean() })
  .meta({ id: 'Paused', examples: [{ queue: 'emails', paused: true }] })
export const purgedAnswer = z
  .object({ queue: z.string(), removed: count })
  .meta({ id: 'Purged', examples: [{ queue: 'emails', removed: 3 }] })
