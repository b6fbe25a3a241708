/** The AsyncAPI document of the Socket.IO side: its calls and packets by the schemas that check them. */

import { z } from 'zod'
import { DEMO_NAMESPACE, type DemoCalls, type DemoPackets } from '../../../shared/console/demo.ts'
import { CONSOLE_NAMESPACE, type ConsoleCalls, type ConsolePackets } from '../../../shared/console/protocol.ts'
import type { WireError } from '../../../shared/errors.ts'
import { ERRORS } from '../../../shared/errorTable.ts'
import {
  type Limits,
  PROTOCOL_VERSION,
  type Subscribed,
  type TopicCalls,
  type TopicPackets,
} from '../../../shared/protocol.ts'
import {
  type Consuming,
  type Job,
  QUEUES_NAMESPACE,
  type QueueCalls,
  type QueuePackets,
} from '../../../shared/queues.ts'
import {
  consumeSchema,
  credentialsSchema,
  demoAuthSchema,
  draftSchema,
  jobDraftSchema,
  jobIdSchema,
  jobsQuerySchema,
  positionSchema,
  producerSchema,
  queueNameSchema,
  queuesAuthSchema,
  readSchema,
  reportsSchema,
  requestSchema,
  sentDraftSchema,
  settlementsSchema,
  subscribeSchema,
  topicAuthSchema,
} from '../../wire/calls.ts'
import { type Called, Components, type JsonSchema, type Sent } from './components.ts'
import { consoleTables } from './console.ts'
import { endingSchema, lookSchema } from './jobs.ts'
import { counts, leased, reportedAnswer, sentAnswer, settledAnswer } from './queues.ts'
import { scheduleCalls } from './schedules.ts'
import { count, gap, publishedAnswer } from './topics.ts'

/** Made when somebody asks, as few do and a start would pay for it. */
function tables() {
  const limits = z
    .object({ payload: count, batch: count, packet: count })
    .meta({ id: 'Limits' }) satisfies z.ZodType<Limits>

  const error = z
    .object({
      code: z.enum(Object.keys(ERRORS) as [WireError['code']]),
      message: z.string(),
      retryable: z.boolean(),
      retryAfterMs: count.optional(),
    })
    .meta({ id: 'Error' })

  /** What a log and a queue hold; bytes are attachments of Socket.IO. */
  const content = {
    data: z.unknown().meta({ description: 'JSON, or bytes wherever JSON may stand' }),
    key: z.string().exactOptional(),
    headers: z.record(z.string(), z.string()).exactOptional(),
  }
  const event = z
    .object({ offset: z.int().min(1), at: z.int(), id: z.string().optional(), ...content })
    .meta({ id: 'SocketEvent' })
  const events = z.object({ epoch: z.string(), events: z.array(event) }).meta({ id: 'Events' })
  const page = z
    .object({ epoch: z.string(), first: count, last: count, events: z.array(event), gaps: z.array(gap).optional() })
    .meta({ id: 'ReadPage' })
  const place = z.object({ offset: count }).meta({ id: 'Place' })

  const subscribed = z
    .object({
      topic: z.string(),
      epoch: z.string(),
      first: count,
      last: count,
      position: positionSchema,
      behind: count,
      limits,
    })
    .meta({ id: 'Subscribed' }) satisfies z.ZodType<Subscribed>

  const job = z.object({ ...leased, ...content }).meta({ id: 'SocketJob' }) satisfies z.ZodType<Job>

  const keptLease = z.object({ id: z.string(), lease: z.string(), expiresAt: count }).meta({ id: 'KeptLease' })
  const consuming = z
    .object({ queue: z.string(), credit: count, leaseMs: count, limits, held: z.array(keptLease) })
    .meta({ id: 'Consuming' }) satisfies z.ZodType<Consuming>

  const nothing = z.null()
  const queue = queueNameSchema
  const auth: Called = { summary: 'Go on with another token', args: [credentialsSchema], value: nothing }

  const topicCalls: Readonly<Record<keyof TopicCalls, Called>> = {
    publish: {
      summary: 'Publish drafts: all of them or none',
      args: [z.array(draftSchema).min(1), producerSchema],
      optional: 1,
      value: publishedAnswer,
    },
    ack: { summary: "Move the client's cursor", args: [positionSchema], value: positionSchema },
    read: { summary: 'Read a page of events', args: [readSchema], optional: 1, value: page },
    subscribe: {
      summary: 'Start the subscription, or start it again elsewhere',
      args: [subscribeSchema],
      optional: 1,
      value: subscribed,
    },
    unsubscribe: { summary: 'End the subscription', args: [], value: nothing },
    auth,
  }

  const expiring: Sent = {
    summary: 'The token ends so soon: renew it with `auth`',
    args: [z.object({ inMs: z.number() }).meta({ id: 'Expiring' })],
  }
  const limitsTold: Sent = { summary: 'First, where the handshake has `limits: true`', args: [limits] }

  const topicPackets: Readonly<Record<keyof TopicPackets, Sent>> = {
    limits: limitsTold,
    subscribed: { summary: 'Where the subscription starts', args: [subscribed] },
    gap: { summary: 'These events are gone', args: [gap] },
    events: { summary: 'Events in their order', args: [events] },
    live: { summary: 'Caught up: events come as they are published', args: [place] },
    behind: { summary: 'Too slow: pages are read again', args: [place] },
    expiring,
    error: { summary: 'The subscription is over, and the namespace is left', args: [error] },
  }

  const queueCalls: Readonly<Record<keyof QueueCalls, Called>> = {
    send: {
      summary: 'Send jobs: all of them or none',
      args: [queue, z.array(sentDraftSchema).min(1), producerSchema],
      optional: 1,
      value: sentAnswer,
    },
    consume: { summary: 'Take jobs, or change the credit', args: [queue, consumeSchema], value: consuming },
    cancel: { summary: 'Take no more jobs', args: [queue], value: nothing },
    progress: { summary: 'Tell how far held jobs are', args: [queue, reportsSchema], value: reportedAnswer },
    settle: { summary: 'End or extend leases', args: [queue, settlementsSchema], value: settledAnswer },
    request: {
      summary: 'Send a job and wait for its reply',
      args: [queue, jobDraftSchema, requestSchema],
      optional: 1,
      value: z.unknown(),
    },
    remove: { summary: 'Remove a job that waits', args: [queue, jobIdSchema], value: z.boolean() },
    job: { summary: 'Look at a job', args: [queue, jobIdSchema], value: lookSchema },
    jobs: {
      summary: 'Look at the jobs of a queue in one state',
      args: [queue, jobsQuerySchema],
      optional: 1,
      value: z.object({ jobs: z.array(lookSchema), next: z.string().optional() }).meta({ id: 'JobsPage' }),
    },
    waitFor: {
      summary: 'Wait until a job has ended',
      args: [queue, jobIdSchema, requestSchema],
      optional: 1,
      value: endingSchema,
    },
    counts: { summary: 'How many jobs there are, by state', args: [queue], value: counts },
    pause: { summary: 'Deliver nothing any more', args: [queue], value: nothing },
    resume: { summary: 'Deliver again', args: [queue], value: nothing },
    ...scheduleCalls(queue),
    away: { summary: 'Leave as if the connection was lost: jobs stay held for the grace', args: [], value: nothing },
    auth,
  }

  const queuePackets: Readonly<Record<keyof QueuePackets, Sent>> = {
    limits: limitsTold,
    jobs: { summary: 'Jobs to work on', args: [queue, z.array(job)] },
    lost: { summary: 'Leases that are over', args: [queue, z.array(z.string())] },
    expiring,
    error: {
      summary: 'The consumer of this queue is over; without `queue`, all are',
      args: [error.extend({ queue: z.string().optional() }).meta({ id: 'ConsumerError' })],
    },
  }

  const { calls, packets } = consoleTables()
  const gone: Sent = { summary: 'It is over, and the namespace is left', args: [error] }
  const consoleCalls = { ...calls, auth } satisfies Record<keyof ConsoleCalls, Called>
  const consolePackets = { limits: limitsTold, ...packets, expiring, error: gone } satisfies Record<
    keyof ConsolePackets,
    Sent
  >

  const demoCalls: Readonly<Record<keyof DemoCalls, Called>> = { auth }
  const demoPackets: Readonly<Record<keyof DemoPackets, Sent>> = {
    limits: limitsTold,
    live: { summary: 'From here on events come as they are published', args: [place] },
    events: { summary: 'Live events; none of them comes again', args: [events] },
    expiring,
    error: gone,
  }
  return {
    topic: [topicCalls, topicPackets],
    queues: [queueCalls, queuePackets],
    console: [consoleCalls, consolePackets],
    demo: [demoCalls, demoPackets],
    error,
  } as const
}

const DESCRIPTION =
  'Topics and queues over Socket.IO (protocol 5, WebSocket or long polling); docs/protocol.md says more. A payload is the list of ' +
  "a packet's arguments, and a reply is what its callback gets. A handshake is the `auth` of the namespace."

let document: object | undefined

/** The same for every hub of the process: a schema's name is taken once. */
export function asyncApi(): object {
  document ??= makeDocument()
  return document
}

function makeDocument(): object {
  const { topic, queues, console, demo, error } = tables()
  const components = new Components()
  components.schemaOf(positionSchema)
  const messages: Record<string, object> = {}
  const operations: Record<string, object> = {}
  const channels = {
    topic: channelOf('topic', '/topics/{topic}', topicAuthSchema, ...topic),
    queues: channelOf('queues', QUEUES_NAMESPACE, queuesAuthSchema, ...queues),
    console: channelOf('console', CONSOLE_NAMESPACE, queuesAuthSchema, ...console),
    demo: channelOf('demo', DEMO_NAMESPACE, demoAuthSchema, ...demo),
  }
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Reprise',
      version: String(PROTOCOL_VERSION),
      description: DESCRIPTION,
      license: { name: 'MIT' },
    },
    defaultContentType: 'application/json',
    servers: {
      hub: {
        host: '{host}',
        pathname: '/socket.io/',
        protocol: 'ws',
        description:
          'Socket.IO: engine 4, also over TLS (`wss`) and by long polling; `path` of the hub may name another place',
        variables: { host: { default: '127.0.0.1:3000' } },
        security: [{ $ref: '#/components/securitySchemes/token' }],
      },
    },
    channels,
    operations,
    components: {
      schemas: components.all(),
      messages,
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'A JWT or an API key, as `token` of the handshake' },
      },
    },
  }

  function channelOf(
    name: string,
    address: string,
    handshake: z.ZodType,
    calls: Readonly<Record<string, Called>>,
    packets: Readonly<Record<string, Sent>>,
  ): object {
    const own: Record<string, object> = {}
    const add = (id: string, message: object) => {
      messages[`${name}.${id}`] = message
      own[id] = { $ref: `#/components/messages/${name}.${id}` }
      return { $ref: `#/channels/${name}/messages/${id}` }
    }
    const channel = { $ref: `#/channels/${name}` }
    const operate = (
      id: string,
      action: 'send' | 'receive',
      { summary }: { summary: string },
      message: object,
      reply?: object,
    ) => {
      operations[`${name}.${id}`] = {
        action,
        channel,
        summary,
        messages: [message],
        ...(reply === undefined ? {} : { reply: { channel, messages: [reply] } }),
      }
    }
    const enter = { summary: 'Enter the namespace; its `auth`' }
    const knock = add('connect', { name: 'connect', ...enter, payload: components.schemaOf(handshake) })
    operate('connect', 'receive', enter, knock)
    for (const [call, { summary, args, optional = 0, value }] of Object.entries(calls)) {
      const message = add(call, { name: call, summary, payload: listOf(args, optional) })
      const reply = add(`${call}.reply`, { name: 'reply', summary: `Answers ${call}`, payload: replyOf(value) })
      operate(call, 'receive', { summary }, message, reply)
    }
    for (const [packet, { summary, args }] of Object.entries(packets)) {
      const message = add(`on.${packet}`, { name: packet, summary, payload: listOf(args, 0) })
      operate(`on.${packet}`, 'send', { summary }, message)
    }
    const parameters = address.includes('{') ? { parameters: { topic: { description: 'Name of a topic' } } } : {}
    const description = 'A connection may have further places in it: the same name and #2 to #999.'
    return { address, ...(name === 'console' ? {} : { description }), ...parameters, messages: own }
  }

  /** A list of that many, as AsyncAPI's JSON Schema (draft 7) has it. */
  function listOf(args: readonly z.ZodType[], optional: number): JsonSchema {
    if (args.length === 0) return { type: 'array', maxItems: 0 }
    const items = args.map((schema, i) => {
      const plain = components.schemaOf(schema)
      return i < args.length - optional ? plain : { anyOf: [plain, { type: 'null' }] }
    })
    return { type: 'array', items, minItems: args.length - optional, additionalItems: false }
  }

  function replyOf(value: z.ZodType): JsonSchema {
    const well = {
      type: 'object',
      properties: { ok: { const: true }, value: components.schemaOf(value), joined: { type: 'object' } },
      required: ['ok', 'value'],
      additionalProperties: false,
    }
    const refused = {
      type: 'object',
      properties: { ok: { const: false }, error: components.schemaOf(error) },
      required: ['ok', 'error'],
      additionalProperties: false,
    }
    return { oneOf: [well, refused] }
  }
}
