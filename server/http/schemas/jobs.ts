/** What requests about single jobs may say and what answers hold, over HTTP. */

import { z } from 'zod'
import { LOOK_STATES, REDRIVE_REASON_RULE, REDRIVE_REASONS } from '../../../shared/queues.ts'
import { ownFields } from '../../wire/jobOptions.ts'
import { content, count, MAX_WAIT_MS, ways, whole } from './topics.ts'

const MAX_JOBS = 500
const MAX_FILTER_IDS = 1_000

const DEAD_REASONS = [...REDRIVE_REASONS, 'gap'] as const

export const jobQuery = {
  waitMs: whole(0, MAX_WAIT_MS).meta({ description: 'Wait so long until the job has ended, 20,000 at most' }),
}

export const jobsQuery = {
  state: z.enum(LOOK_STATES, { error: `is one of ${LOOK_STATES.join(', ')}` }).meta({ default: 'ready' }),
  id: z.string().min(1).meta({ description: 'Only the job with this id, in whatever state; stands alone' }),
  key: z.string().min(1).meta({ description: 'Only jobs with this key' }),
  reason: z
    .enum(DEAD_REASONS, { error: `is one of ${DEAD_REASONS.join(', ')}` })
    .meta({ description: 'Only dead letters with this reason' }),
  error: z.string().min(1).meta({ description: 'Only dead letters with this in the text of their error' }),
  after: z.string().min(1).meta({ description: '`next` of the page before' }),
  limit: whole(1, MAX_JOBS).meta({ description: 'At most this many, 500 at most', default: 100 }),
}

function areIds(value: unknown): boolean {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_FILTER_IDS) return false
  return value.every((id) => typeof id === 'string')
}

export const redriveBody = z
  .strictObject({
    filter: z
      .strictObject({
        // Counted before they are looked at.
        ids: z
          .custom<readonly string[]>(areIds, { error: `ids is a list of 1 to ${MAX_FILTER_IDS} ids` })
          .exactOptional()
          .meta({ type: 'array', items: { type: 'string' }, minItems: 1, maxItems: MAX_FILTER_IDS }),
        reason: z.enum(REDRIVE_REASONS, { error: `reason is ${REDRIVE_REASON_RULE}` }).exactOptional(),
        key: z.string().exactOptional(),
        error: z.string().exactOptional().meta({ description: "A part of the error's text" }),
        since: z.number().min(0).exactOptional().meta({ description: 'Dead-lettered at this time or later' }),
        before: z.number().min(0).exactOptional().meta({ description: 'Dead-lettered before this time' }),
      })
      .exactOptional(),
    dryRun: z.boolean().exactOptional().meta({ description: 'Only count' }),
    rate: z.number().gt(0).exactOptional().meta({ description: 'Jobs a second' }),
    limit: z.int().min(1).exactOptional().meta({ description: 'Dead letters to look at in this call' }),
    after: z.string().min(1).exactOptional().meta({ description: '`next` of the call before' }),
  })
  .meta({ id: 'Redrive', examples: [{ filter: { reason: 'max_attempts' }, rate: 10 }] })

const owner = z.object({ subject: z.string(), client: z.string() }).meta({ id: 'Holder' })

const deadLetter = z.object({ reason: z.string(), error: z.string().optional(), at: count }).meta({ id: 'DeadLetter' })
const happening = z
  .object({ at: count, what: z.string(), holder: owner.optional(), why: z.string().optional() })
  .meta({ id: 'Happening' })

const childCounts = z
  .object({ count, open: count })
  .meta({ id: 'ChildCounts', description: 'How many children it has, and how many of them have not ended' })

const logLine = z.object({ at: count, text: z.string() }).meta({ id: 'LogLine' })

const told = {
  progress: z
    .unknown()
    .optional()
    .meta({ description: 'What its consumers told last of how far it is; bytes are base64' }),
  progressBinary: ways('The ways to the bytes in `progress`'),
  log: z.array(logLine).optional().meta({ description: 'The last lines of its log' }),
}

const jobFields = z.object({
  queue: z.string(),
  id: z.string(),
  state: z.enum(['ready', 'delayed', 'held', 'waiting', 'dead']),
  subject: z.string(),
  group: z.string().optional().meta({ description: 'Where its sender gave one' }),
  priority: count,
  attempts: count,
  ...ownFields,
  deliveries: count,
  sentAt: count,
  startedAt: count.optional().meta({ description: 'When its consumer began; of a dead letter, with its last run' }),
  endedAt: count.optional().meta({ description: 'Of a dead letter, as is `error`' }),
  error: z.string().optional(),
  dueAt: count,
  ttlAt: count.optional(),
  replyBy: count.optional(),
  holder: owner.optional(),
  expiresAt: count.optional(),
  suspect: z.boolean(),
  behind: z.string().optional(),
  children: childCounts.optional(),
  parent: z.string().optional().meta({ description: 'The job that has it as a child' }),
  parentQueue: z.string().optional().meta({ description: 'Where that is of another queue' }),
  dead: deadLetter.optional(),
  history: z.array(happening),
  ...told,
  damaged: z.literal(true).optional().meta({ description: 'Its record does not fit its checksum: no data is told' }),
  ...content,
})
const jobAnswer = jobFields.meta({ id: 'Job' })

/** Of the namespace of the queues: as over HTTP, with bytes as they are. */
export const lookSchema = jobFields
  .partial()
  .extend({
    id: z.string(),
    state: z.enum(LOOK_STATES),
    result: z.unknown().optional(),
  })
  .omit({ base64: true, binary: true, progressBinary: true })
  .meta({ id: 'JobLook' })

export const endingSchema = z
  .object({ state: z.enum(['done', 'dead', 'removed']), result: z.unknown().optional(), error: z.string().optional() })
  .meta({ id: 'JobEnding' })

const FINISHED = {
  ...{ queue: 'emails', id: '12', state: 'done', subject: 'ann', priority: 4, attempts: 0, deliveries: 1 },
  ...{ sentAt: 1_760_000_000_000, startedAt: 1_760_000_000_100, endedAt: 1_760_000_000_400 },
  ...{ result: { messageId: 'm-1' }, history: [] },
}

const finishedJob = z
  .object({
    queue: z.string(),
    id: z.string(),
    state: z.enum(['done', 'removed']),
    subject: z.string(),
    key: z.string().optional(),
    priority: count,
    attempts: count,
    deliveries: count,
    sentAt: count,
    startedAt: count.optional().meta({ description: 'When the run began that ended it' }),
    endedAt: count,
    result: z.unknown().optional().meta({ description: 'What its consumer answered; bytes are base64' }),
    binary: ways('The ways to the bytes in `result`'),
    error: z.string().optional().meta({ description: 'Of a dead letter that was removed' }),
    history: z.array(happening),
    ...told,
  })
  .meta({
    id: 'FinishedJob',
    examples: [FINISHED],
  })

export const jobsAnswer = z
  .object({
    jobs: z.array(z.union([jobAnswer, finishedJob])),
    next: z.string().optional().meta({ description: 'There may be more: behind this one' }),
  })
  .meta({ id: 'Jobs', examples: [{ jobs: [] }] })

const obstacle = z
  .object({ reason: z.string(), text: z.string(), until: count.optional(), job: z.string().optional() })
  .meta({ id: 'Obstacle' })

const WAITING = {
  queue: 'emails',
  id: '12',
  state: 'ready',
  subject: 'ann',
  priority: 4,
  attempts: 0,
  deliveries: 0,
  sentAt: 1_760_000_000_000,
  dueAt: 1_760_000_000_000,
  suspect: false,
  history: [{ at: 1_760_000_000_000, what: 'sent' }],
  data: { to: 'ann' },
  why: [{ reason: 'no_consumer', text: 'nobody takes jobs from emails' }],
}

const waitingAnswer = jobFields.extend({ why: z.array(obstacle) }).meta({
  id: 'JobDetail',
  examples: [WAITING],
})

const endedJob = z
  .object({
    queue: z.string(),
    id: z.string(),
    state: z.enum(['done', 'dead', 'removed']),
    result: finishedJob.shape.result,
    binary: finishedJob.shape.binary,
    error: z.string().optional(),
  })
  .meta({ id: 'JobEnded', description: 'For who waited, where nothing is kept of the job' })

export const explainAnswer = z
  .union([waitingAnswer, finishedJob, endedJob])
  .meta({ id: 'JobExplained', examples: [WAITING, FINISHED] })

export const ranAnswer = z
  .object({
    queue: z.string(),
    id: z.string(),
    changed: z.boolean().meta({ description: '`false` where it was ready before' }),
    why: z.array(obstacle).meta({ description: 'What keeps it from being delivered all the same' }),
  })
  .meta({ id: 'Ran', examples: [{ queue: 'emails', id: '12', changed: true, why: [] }] })

export const redrivenAnswer = z
  .object({
    matched: count,
    moved: count,
    more: z.boolean(),
    next: z.string().optional(),
    asOf: count,
  })
  .meta({ id: 'Redriven', examples: [{ matched: 3, moved: 3, more: false, asOf: 1_760_000_000_000 }] })
