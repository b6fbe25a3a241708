/** The schemas of what clients send: checked once, here at the edge. They satisfy the types in shared/protocol.ts. */

import { z } from 'zod'
import { HAPPENING_KINDS } from '../../shared/console/happenings.ts'
import { CLIENT_SORTS } from '../../shared/console/protocol.ts'
import { isName, isQueueName, NAME, nameRule } from '../../shared/names.ts'
import type { Position } from '../../shared/positions.ts'
import {
  type Draft,
  type From,
  type Headers,
  MAX_HEADERS,
  type OnGap,
  type ProducerSeq,
  type ReadQuery,
  type SubscribeQuery,
} from '../../shared/protocol.ts'
import {
  type ConsumeOptions,
  type JobDraft,
  type JobsQuery,
  LOOK_STATES,
  type RequestOptions,
} from '../../shared/queues.ts'
import { checkDraftCount, checkFamilies, parentSchema } from './children.ts'
import { jobOptionFields } from './jobOptions.ts'
import { leaseMs, MAX_CREDIT, MAX_ID_LENGTH, MAX_LEASE_LENGTH } from './leases.ts'
import { MAX_SHOWN_LENGTH, parseEach } from './parse.ts'

export { parseReports, parseSettlements, reportsSchema, settlementsSchema } from './leases.ts'
export { parse } from './parse.ts'

/** The longest `id` and `key` of a draft, in characters. */
const MAX_LABEL_LENGTH = 256
const MAX_EPOCH_LENGTH = 64
/** How long an answer may be waited for, in milliseconds. */
const MAX_REQUEST_MS = 3_600_000

const offset = z.int().min(0)
const LONE_SURROGATE = /\p{Surrogate}/u
/** UTF-8 has no half characters: two labels with one each would be the same in the store. */
function unicode(maxLength: number) {
  return z
    .string()
    .min(1)
    .max(maxLength)
    .refine((text) => !LONE_SURROGATE.test(text), { error: 'half of a character is in it: it is not Unicode text' })
}

const label = unicode(MAX_LABEL_LENGTH)

export const nameSchema = z
  .custom<string>(isName, { error: (issue) => nameRule('the name', issue.input) })
  .meta({ id: 'Name', type: 'string', pattern: NAME.source, examples: ['orders.eu'] })

export const positionSchema = z
  .strictObject({ epoch: z.string().min(1).max(MAX_EPOCH_LENGTH), offset })
  .meta({ id: 'Position', examples: [{ epoch: '3f2a', offset: 42 }] }) satisfies z.ZodType<Position>

/** Checked by hand: a record would look at all of them before they are counted, and leave out one called `__proto__`. */
const headersSchema = z
  .unknown()
  .superRefine((value, context) => {
    const fault = headersFault(value)
    if (fault !== undefined) context.addIssue({ code: 'custom', message: fault })
  })
  .transform((value) => value as Headers)
  .meta({ id: 'Headers', type: 'object', additionalProperties: { type: 'string' }, maxProperties: MAX_HEADERS })

function headersFault(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'headers map strings to strings'
  const names = firstKeys(value, MAX_HEADERS)
  if (names === undefined) return `at most ${MAX_HEADERS} headers`
  for (const name of names) {
    // Beside binary data it vanishes on its way through Socket.IO.
    if (name === '__proto__') return 'no header is called __proto__'
    if (name.length > MAX_LABEL_LENGTH) return `the name of a header has at most ${MAX_LABEL_LENGTH} characters`
    if (typeof (value as Record<string, unknown>)[name] !== 'string') {
      return `headers map strings to strings; ${JSON.stringify(name.slice(0, MAX_SHOWN_LENGTH))} is none`
    }
  }
  return undefined
}

/** The keys of an object, `undefined` where there are more. */
function firstKeys(value: object, most: number): string[] | undefined {
  const keys: string[] = []
  for (const key in value) if (keys.push(key) > most) return undefined
  return keys
}

export const draftSchema = z
  .strictObject({
    data: z
      .unknown()
      .refine((data) => data !== undefined, { error: 'data is missing; null is a value, nothing is not' }),
    id: label.exactOptional(),
    key: label.exactOptional(),
    headers: headersSchema.exactOptional(),
  })
  .meta({ id: 'Draft', examples: [{ data: { order: 7 }, key: 'ann' }] }) satisfies z.ZodType<Draft>

export const jobDraftSchema = draftSchema
  .extend({
    group: label
      .exactOptional()
      .meta({ description: 'Whose job it is, for `fair` and `groupRate`; its `key` by default' }),
    priority: z.int().min(0).max(9).exactOptional(),
    delayMs: z.number().min(0).exactOptional(),
    at: z.number().min(0).exactOptional(),
    ttlMs: z.number().min(1).exactOptional(),
    ...jobOptionFields,
  })
  .meta({ id: 'JobDraft', examples: [{ data: { to: 'ann' }, delayMs: 500 }] }) satisfies z.ZodType<JobDraft>

/** The drafts of a `send`, as `parseDrafts` does it. */
export function parseJobDrafts(value: unknown, what: string, most: number): readonly JobDraft[] {
  checkDraftCount(value, what, most)
  checkFamilies(value, what, most)
  return parseEach(value, isBareDraft, sentDraftSchema, what)
}

/** The drafts of a call. Most hold data and nothing else: those are known at a glance, which the schema costs 30 times. */
export function parseDrafts(value: unknown, what: string, most: number): readonly Draft[] {
  checkDraftCount(value, what, most)
  return parseEach(value, isBareDraft, draftSchema, what)
}

function isBareDraft(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  for (const name in value) if (name !== 'data') return false
  return Object.hasOwn(value, 'data') && (value as { readonly data?: unknown }).data !== undefined
}

export const producerSchema = z
  .strictObject({
    producer: nameSchema,
    seq: z.int().min(0),
  })
  .meta({ id: 'ProducerSeq', examples: [{ producer: 'till-1', seq: 1 }] }) satisfies z.ZodType<ProducerSeq>

const timeSchema = z.strictObject({ at: z.number().min(0) })
const lastSchema = z.strictObject({ last: z.int().min(0) })

const fromSchema = z
  .union([z.enum(['cursor', 'start', 'end', 'none']), positionSchema, timeSchema, lastSchema], {
    error: ({ input }) =>
      typeof input === 'number'
        ? `from: ${input} by itself is no place: an offset comes with its epoch, { epoch, offset: ${input} }, a time as { at: time }`
        : "from is 'cursor', 'start', 'end', 'none', { epoch, offset }, { at: time } or { last: n }",
  })
  .meta({ id: 'From', examples: ['start', { last: 10 }] }) satisfies z.ZodType<From>

export const onGapSchema = z.enum(['continue', 'end', 'fail'], {
  error: "onGap is 'continue', 'end' or 'fail'",
}) satisfies z.ZodType<OnGap>

export const readSchema = z.strictObject({
  after: z.union([offset, positionSchema], { error: 'after is an offset or { epoch, offset }' }).exactOptional(),
  before: z.int().min(1).exactOptional(),
  limit: z.int().min(1).exactOptional(),
}) satisfies z.ZodType<ReadQuery>

export const subscribeSchema = z.strictObject({
  from: fromSchema.exactOptional(),
  onGap: onGapSchema.exactOptional(),
}) satisfies z.ZodType<SubscribeQuery>

export const queueNameSchema = z
  .custom<string>(isQueueName, { error: (issue) => nameRule('the queue', issue.input) })
  .meta({ id: 'QueueName', type: 'string' })

/** What `send` takes. */
export const sentDraftSchema = parentSchema(jobDraftSchema, queueNameSchema).meta({
  id: 'SentDraft',
  examples: [{ data: 'all', children: [{ data: 1 }] }],
}) satisfies z.ZodType<JobDraft>

export const consumeSchema = z.strictObject({
  credit: z.int().min(1).max(MAX_CREDIT),
  leaseMs: leaseMs.exactOptional(),
  holding: z
    .custom<readonly string[]>(isHolding, { error: `holding is a list of at most ${MAX_CREDIT} leases` })
    .meta({ type: 'array', items: { type: 'string' }, maxItems: MAX_CREDIT })
    .exactOptional(),
}) satisfies z.ZodType<ConsumeOptions>

function isHolding(value: unknown): boolean {
  const most = MAX_LEASE_LENGTH
  return (
    Array.isArray(value) &&
    value.length <= MAX_CREDIT &&
    value.every((lease) => typeof lease === 'string' && lease.length <= most)
  )
}

export const requestSchema = z.strictObject({
  timeoutMs: z.number().min(1).max(MAX_REQUEST_MS).exactOptional(),
}) satisfies z.ZodType<RequestOptions>

export const jobsQuerySchema = z.strictObject({
  state: z.enum(LOOK_STATES, { error: `state is one of ${LOOK_STATES.join(', ')}` }).exactOptional(),
  after: z.string().min(1).max(MAX_ID_LENGTH).exactOptional(),
  limit: z.int().min(1).max(500).exactOptional(),
}) satisfies z.ZodType<JobsQuery>

export const jobIdSchema = unicode(MAX_ID_LENGTH)

export const queuesAuthSchema = z.looseObject({
  token: z.string().nullish(),
  client: nameSchema.nullish(),
  protocol: z.unknown().optional(),
})

/** Of the demo. */
export const demoAuthSchema = z.looseObject({
  token: z.string().nullish(),
  protocol: z.unknown().optional(),
  topic: nameSchema.nullish(),
})

/** Of the console: which part of a list. */
export function listQuerySchema<const Sorts extends readonly [string, ...string[]]>(sorts: Sorts) {
  return z.strictObject({
    search: z.string().max(128).exactOptional(),
    sort: z.enum(sorts).exactOptional(),
    descending: z.boolean().exactOptional(),
    offset: z.int().min(0).exactOptional(),
    limit: z.int().min(1).exactOptional(),
  })
}

export const clientsQuerySchema = listQuerySchema(CLIENT_SORTS).extend({
  topic: nameSchema.exactOptional(),
  queue: queueNameSchema.exactOptional(),
})

export const queueSeenQuerySchema = z.strictObject({
  queue: queueNameSchema,
  after: z.number().min(0).exactOptional(),
})

export const clientIdSchema = z.strictObject({ id: z.string().min(1).max(MAX_LABEL_LENGTH) })

export const activityQuerySchema = z.strictObject({
  after: z.int().min(0).exactOptional(),
  limit: z.int().min(1).exactOptional(),
  kinds: z.array(z.enum(HAPPENING_KINDS)).min(1).max(HAPPENING_KINDS.length).exactOptional(),
})

/** What a handshake may say besides; other keys belong to other namespaces or libraries. */
export const topicAuthSchema = queuesAuthSchema.extend({
  from: fromSchema.nullish(),
  /** Of all topics of the connection: only the one that is asked for is looked at. */
  positions: z
    .custom<Readonly<Record<string, unknown>>>((value) => typeof value === 'object' && !Array.isArray(value), {
      error: 'positions maps topics to positions',
    })
    .meta({ type: 'object', additionalProperties: { $ref: '#/$defs/Position' } })
    .nullish(),
  paced: z.boolean().nullish(),
  joined: z.boolean().nullish(),
  onGap: onGapSchema.nullish(),
})

export const credentialsSchema = z.strictObject({ token: z.string() })
