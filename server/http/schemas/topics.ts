/**
 * What requests may say and what answers hold, over HTTP: query parameters as text, bodies where they differ from the
 * wire's, answers for the OpenAPI document. The rest is in server/wire/calls.ts.
 */

import { z } from 'zod'
import { PLACE_RULE, readPlace, readPosition, TIME_RULE } from '../../../shared/places.ts'
import type { Draft, From, Gap, Published } from '../../../shared/protocol.ts'
import { draftSchema, onGapSchema, positionSchema } from '../../wire/calls.ts'

const LIST_LIMIT = 1_000
/** Of whoever waits for something to come. */
export const MAX_WAIT_MS = 20_000

/** A whole number as a query has it. */
export function whole(least: number, most = Number.MAX_SAFE_INTEGER) {
  const rule = `is a whole number${least === 0 ? '' : ` of ${least} or more`}`
  return z
    .string()
    .regex(/^\d{1,16}$/, { error: rule })
    .transform(Number)
    .refine((value) => value >= least && value <= Number.MAX_SAFE_INTEGER, { error: rule })
    .transform((value) => Math.min(value, most))
    .meta({ type: 'integer', minimum: least })
}

const place = z.string().transform((text, context) => {
  const position = readPosition(text)
  if (position !== undefined) return position
  context.addIssue({ code: 'custom', message: 'is a position such as 3f2a:42 (epoch:offset)' })
  return z.NEVER
})

const after = z.string().transform((text, context) => {
  const offset = whole(0).safeParse(text)
  if (offset.success) return offset.data
  const position = readPosition(text)
  if (position !== undefined) return position
  context.addIssue({
    code: 'custom',
    message: 'has to be an offset such as 42, or a position such as 3f2a:42 (epoch:offset)',
  })
  return z.NEVER
})

const from = z.string().transform((text, context): From => {
  const read = readPlace(text)
  if ('place' in read && read.place !== 'cursor') return read.place
  context.addIssue({ code: 'custom', message: 'fault' in read ? read.fault : `has to be ${PLACE_RULE}` })
  return z.NEVER
})

const at = z.string().transform((text, context): { readonly at: number } => {
  const read = readPlace(text)
  if ('place' in read && typeof read.place === 'object' && 'at' in read.place) return read.place
  context.addIssue({ code: 'custom', message: `has to be ${TIME_RULE}` })
  return z.NEVER
})

export const readQuery = {
  after: after.meta({ description: 'Events behind this offset, or behind this position as `epoch:offset`' }),
  before: whole(1).meta({ description: 'The last events before this offset' }),
  limit: whole(1).meta({ description: 'At most this many events, 1,000 at most', default: 100 }),
  at: at.meta({
    description: 'Events from this time on: milliseconds since 1970, a date, or `2h` for two hours ago',
  }),
  key: z.string().min(1).meta({ description: 'Only events with this key' }),
  header: z
    .string()
    .min(1)
    .meta({ description: 'Only events with this header: `name:value`, or `name` for any value' }),
  text: z
    .string()
    .min(1)
    .max(256)
    .meta({ description: "Only events whose data's JSON text has this part, in letters of either case" }),
  waitMs: whole(0, MAX_WAIT_MS).meta({ description: 'How long to wait when there is nothing yet, 20,000 at most' }),
}

export const streamQuery = {
  from: from.meta({
    description:
      'Where to start: `start`, `end` (default), `last:n`, `epoch:offset`, a time, or `2h` for two hours ago',
  }),
  lastEventId: place.meta({ description: 'Stands for the header Last-Event-ID where a page cannot send it' }),
  onGap: onGapSchema.meta({ description: 'When events are gone: go on, go on live, or end' }),
  ticket: z.string().min(1).meta({ description: 'From POST /v1/tickets, for pages that cannot send a token' }),
}

/** No name is longer, and no key of a store has room for much more. */
const MAX_AFTER = 256
/** A subject and a client. */
const MAX_CURSOR_AFTER = 512

export const listQuery = {
  after: z.string().min(1).max(MAX_AFTER).meta({ description: 'Names behind this one; `next` of the page before' }),
  limit: whole(1, LIST_LIMIT).meta({ description: 'At most this many, 1,000 at most', default: 100 }),
}

export const cursorsQuery = {
  ...listQuery,
  after: z.string().min(1).max(MAX_CURSOR_AFTER).meta({ description: '`next` of the page before' }),
  behind: whole(1).meta({ description: 'Only cursors that have not seen this offset' }),
}

export const ownerQuery = {
  subject: z.string().min(1).max(256).meta({ description: "Whose client it is; the caller's own by default" }),
}

/** The bytes as they are read by a strict decoder. */
export const base64 = z
  .string()
  .transform((text, context) => {
    const bytes = Buffer.from(text, 'base64')
    if (bytes.toString('base64') === text) return bytes
    context.addIssue({ code: 'custom', message: 'is not base64 (A-Z a-z 0-9 + / with = at the end)' })
    return z.NEVER
  })
  .meta({ contentEncoding: 'base64' })

const { data: _data, ...labels } = draftSchema.shape

export const jsonDraft = draftSchema
export const binaryDraft = z
  .strictObject({ base64, ...labels })
  .transform(({ base64, ...rest }): Draft => ({ data: base64, ...rest }))
  .meta({ id: 'BinaryDraft', examples: [{ base64: 'AAEC' }] })

export const publishBody = z
  .union([jsonDraft, binaryDraft, z.array(z.union([jsonDraft, binaryDraft])).min(1)])
  .meta({ id: 'Publish', examples: [{ data: { order: 7 } }, [{ data: 1 }, { base64: 'AAEC' }]] })

const seekFrom = z.union(
  [
    z.enum(['start', 'end']),
    positionSchema,
    z.strictObject({ at: z.number().min(0) }),
    z.strictObject({ last: z.int().min(0) }),
  ],
  { error: "is 'start', 'end', { at: time }, { last: n } or { epoch, offset }" },
)

export const seekBody = z
  .union([z.strictObject({ position: positionSchema }), z.strictObject({ from: seekFrom })], {
    error: 'is { position: { epoch, offset } } or { from }',
  })
  .meta({ id: 'Seek', examples: [{ from: 'start' }, { position: { epoch: '3f2a', offset: 42 } }] })

export const count = z.int().min(0)
export const bound = z.union([z.int().min(1), z.literal('unlimited')])
const size = z.union([bound, z.string()])

/** For the document alone, as below. */
export const jsonSchema = z
  .union([z.boolean(), z.record(z.string(), z.unknown())])
  .meta({ id: 'DataSchema', description: 'JSON Schema 2020-12 of the data of drafts' })

/** For the document alone: server/options/hub.ts reads it, with the units that the configuration file has too. */
export const settingsBody = z
  .strictObject({
    retain: z
      .strictObject({
        events: bound.exactOptional(),
        bytes: size.exactOptional(),
        age: size.exactOptional(),
        ageMs: size.exactOptional(),
      })
      .exactOptional(),
    schema: jsonSchema.exactOptional(),
  })
  .meta({ id: 'TopicSettings', examples: [{ retain: { events: 5_000, age: '1d' } }] })

const retention = z
  .object({ events: bound, bytes: bound, ageMs: bound, holdBytes: bound })
  .partial()
  .meta({ id: 'Retention', examples: [{ events: 5_000 }] })

const settingsInForce = z
  .object({ retain: retention, schema: jsonSchema.optional() })
  .meta({ id: 'TopicSettingsInForce', examples: [{ retain: { events: 5_000, ageMs: 86_400_000 } }] })

/** In a query. */
export const flag = z.enum(['true', 'false']).transform((text) => text === 'true')

/** Of a change of settings. */
export const changeQuery = {
  dryRun: flag.meta({ description: 'Changes nothing, and says what the change would do', type: 'boolean' }),
}

export const settingsAnswer = z
  .object({
    topic: z.string(),
    settings: settingsInForce,
    trims: count.optional().meta({ description: 'Of a dry run: about so many events would go' }),
  })
  .meta({ id: 'TopicSettingsAnswer', examples: [{ topic: 'orders', settings: { retain: { events: 5_000 } } }] })

/** What is stored may be a part of the settings, or nothing. */
export const storedSettingsAnswer = z
  .object({
    topic: z.string(),
    stored: settingsInForce.partial().meta({ id: 'TopicSettingsStored' }),
    settings: settingsInForce.optional(),
  })
  .meta({ id: 'StoredTopicSettings', examples: [{ topic: 'orders.*', stored: {} }] })

export const gap = z
  .object({
    epoch: z.string(),
    from: count.nullable(),
    to: count.nullable(),
    count: count.nullable(),
    reason: z.enum(['trimmed', 'reset', 'damaged']),
    position: positionSchema,
  })
  .meta({ id: 'Gap' }) satisfies z.ZodType<Gap>

/** To the places where base64 text stands for bytes. */
export function ways(description: string) {
  return z
    .array(z.array(z.union([z.string(), z.int()])))
    .optional()
    .meta({ description })
}

/** What an event or a job holds. */
export const content = {
  data: z.unknown().optional(),
  base64: z.string().optional().meta({ contentEncoding: 'base64' }),
  binary: ways('Ways into `data` where base64 text stands for bytes'),
  key: z.string().optional(),
  headers: z.record(z.string(), z.string()).optional(),
}

const event = z
  .object({ offset: z.int().min(1), at: z.int(), id: z.string().optional(), ...content })
  .meta({ id: 'Event', examples: [{ offset: 43, at: 1_760_000_000_000, data: { order: 7 } }] })

export const publishedAnswer = z
  .object({
    epoch: z.string(),
    offsets: z.array(z.int().min(1)),
    duplicates: count,
    duplicatesAt: z.array(count).optional(),
    durability: z.templateLiteral([z.string()]),
  })
  .meta({
    id: 'Published',
    examples: [{ epoch: '3f2a', offsets: [43], duplicates: 0, durability: 'fsync' }],
  }) as unknown as z.ZodType<Published>

export const pageAnswer = z
  .object({
    epoch: z.string(),
    first: count,
    last: count,
    events: z.array(event),
    gaps: z.array(gap).optional(),
    next: count.optional().meta({ description: 'Of a search: where to go on, as `after` or `before`' }),
  })
  .meta({
    id: 'Page',
    examples: [{ epoch: '3f2a', first: 1, last: 43, events: [{ offset: 43, at: 1_760_000_000_000, data: 7 }] }],
  })

const topicFields = z.object({
  topic: z.string(),
  epoch: z.string(),
  first: count,
  last: count,
  events: count,
  bytes: count,
  subscribers: count.meta({ description: 'Open subscriptions on this node' }),
  cursors: count,
})
const ORDERS = {
  topic: 'orders',
  epoch: '3f2a',
  first: 1,
  last: 43,
  events: 43,
  bytes: 2_048,
  subscribers: 2,
  cursors: 1,
}
const topicAnswer = topicFields.meta({ id: 'Topic', examples: [ORDERS] })

export const detailAnswer = topicFields
  .extend({ settings: settingsInForce })
  .meta({ id: 'TopicDetail', examples: [{ ...ORDERS, settings: { retain: { events: 5_000 } } }] })

export const topicsAnswer = z
  .object({ topics: z.array(topicAnswer), next: z.string().optional() })
  .meta({ id: 'Topics', examples: [{ topics: [ORDERS] }] })

const cursor = z.object({ subject: z.string(), client: z.string(), position: positionSchema })
const CURSOR = { subject: 'ann', client: 'phone', position: { epoch: '3f2a', offset: 42 } }

export const cursorAnswer = cursor.meta({ id: 'Cursor', examples: [CURSOR] })

export const cursorsAnswer = z
  .object({
    cursors: z.array(cursor.extend({ session: count, usedAt: z.int(), lag: count }).meta({ id: 'CursorDetail' })),
    next: z.string().optional(),
  })
  .meta({ id: 'Cursors', examples: [{ cursors: [{ ...CURSOR, session: 3, usedAt: 1_760_000_000_000, lag: 1 }] }] })

export const problemAnswer = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.string(),
    detail: z.string(),
    message: z.string().meta({ description: 'The same as `detail`, named as on the Socket.IO wire' }),
    retryable: z.boolean(),
    retryAfterMs: count.optional(),
  })
  .meta({ id: 'Problem' })
