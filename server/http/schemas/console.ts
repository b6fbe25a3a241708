/** The calls and packets of the console's namespace, by the schemas that the AsyncAPI document is made of. */

import { z } from 'zod'
import { HAPPENING_KINDS, type Happening } from '../../../shared/console/happenings.ts'
import {
  type ConsoleCalls,
  type ConsolePackets,
  type History,
  type ListPage,
  QUEUE_SERIES,
  QUEUE_SORTS,
  type QueueRow,
  type QueueSeen,
  SERIES,
  type Summary,
  TOPIC_SORTS,
  type TopicRow,
} from '../../../shared/console/protocol.ts'
import {
  activityQuerySchema,
  clientIdSchema,
  clientsQuerySchema,
  listQuerySchema,
  queueSeenQuerySchema,
} from '../../wire/calls.ts'
import { clientAnswer, clientRow } from './clients.ts'
import type { Called, Sent } from './components.ts'

type Own<Table> = Omit<Table, 'auth' | 'expiring' | 'error' | 'limits'>

const amount = z.number().min(0)

function rowOf<Name extends string>(names: readonly Name[]) {
  return Object.fromEntries(names.map((name) => [name, amount])) as Record<Name, typeof amount>
}

function pageShape<Row extends z.ZodType>(row: Row) {
  return { at: amount, total: amount, matched: amount, rows: z.array(row) }
}

function pageOf<Row extends z.ZodType>(id: string, row: Row) {
  return z.object(pageShape(row)).meta({ id })
}

export function consoleTables() {
  const numbers = ['first', 'last', 'events', 'bytes', 'cursors', 'lag', 'subscribers', 'perSecond'] as const
  const topic = z
    .object({ topic: z.string(), ...rowOf(numbers) })
    .meta({ id: 'TopicRow' }) satisfies z.ZodType<TopicRow>
  const counts = ['sent', 'ready', 'delayed', 'held', 'waiting', 'done', 'dead', 'bytes'] as const
  const rates = ['oldestReadyMs', 'consumers', 'sentPerSecond', 'donePerSecond'] as const
  const queue = z
    .object({ queue: z.string(), paused: z.boolean(), ...rowOf(counts), ...rowOf(rates) })
    .meta({ id: 'QueueRow' }) satisfies z.ZodType<QueueRow>

  const times = z.object(rowOf(['jobs', 'p50', 'p99'] as const)).meta({ id: 'QueueTimes' })
  const minute = z
    .object({ ...rowOf(['sent', 'done', 'failed'] as const), wait: times, run: times })
    .meta({ id: 'QueueMinute', description: 'Rates are of a second, times are milliseconds' })
  const seen = z
    .object({
      node: z.string(),
      since: amount,
      series: z.array(z.enum(QUEUE_SERIES)),
      points: z.array(z.array(amount)),
      minute,
    })
    .meta({ id: 'QueueSeen' }) satisfies z.ZodType<QueueSeen>

  const stretch = z
    .object({ everyMs: amount, at: amount, points: z.array(z.array(amount)) })
    .meta({ id: 'Stretch', description: 'Points of one length, each with a value of each series; the newest last' })
  const history = z
    .object({ series: z.array(z.enum(SERIES)), seconds: stretch, minutes: stretch })
    .meta({ id: 'History' }) satisfies z.ZodType<History>

  const happening = z
    .object({
      number: z.int().min(1),
      kind: z.enum(HAPPENING_KINDS),
      level: z.enum(['info', 'warn', 'error']),
      text: z.string(),
      at: amount,
      since: amount,
      times: z.int().min(1),
      details: z.record(z.string(), z.unknown()),
    })
    .meta({ id: 'Happening' }) satisfies z.ZodType<Happening>

  const total = ['published', 'live', 'replayed', 'caughtUp', 'gaps', 'refused', 'sent', 'settled', 'lapsed'] as const
  const jobs = ['ready', 'delayed', 'held', 'dead', 'oldestReadyMs'] as const
  const gauges = ['events', 'lag', 'topics', 'queues', 'connections', 'subscriptions'] as const
  const node = z.object({ id: z.string(), version: z.string(), at: amount }).meta({ id: 'NodeSeen' })
  const whole = z
    .object({
      totals: z.object(rowOf(total)),
      gauges: z.object({ ...rowOf(jobs), ...rowOf(gauges) }),
      lookedAt: amount.exactOptional(),
      point: z.array(amount),
      nodes: z.array(node),
    })
    .meta({ id: 'WholeSummary' })
  const store = z.object({ up: z.boolean(), reason: z.string().exactOptional(), durability: z.string() })
  const summary = z
    .object({
      at: amount,
      node: z.string(),
      version: z.string(),
      store,
      happened: amount,
      whole: whole.exactOptional(),
    })
    .meta({ id: 'Summary' }) satisfies z.ZodType<Summary>

  const calls: Readonly<Record<keyof Own<ConsoleCalls>, Called>> = {
    history: { summary: 'The numbers of the last 15 minutes and of the last day', args: [], value: history },
    topics: {
      summary: 'A part of the list of topics',
      args: [listQuerySchema(TOPIC_SORTS)],
      optional: 1,
      value: pageOf('TopicRows', topic) satisfies z.ZodType<ListPage<TopicRow>>,
    },
    queues: {
      summary: 'A part of the list of queues',
      args: [listQuerySchema(QUEUE_SORTS)],
      optional: 1,
      value: pageOf('QueueRows', queue) satisfies z.ZodType<ListPage<QueueRow>>,
    },
    queue: {
      summary: 'How one queue does on this node, counted since somebody looks at it',
      args: [queueSeenQuerySchema],
      value: seen,
    },
    clients: {
      summary: 'A part of the list of who is connected to this node',
      args: [clientsQuerySchema],
      optional: 1,
      value: z.object({ ...pageShape(clientRow), node: z.string() }).meta({ id: 'ClientRows' }),
    },
    client: { summary: 'One connection with what it has open', args: [clientIdSchema], value: clientAnswer },
    disconnectClient: {
      summary: 'Close a connection; its client comes back by itself',
      args: [clientIdSchema],
      value: z.null(),
    },
    activity: {
      summary: 'What happened of late, the newest first',
      args: [activityQuerySchema],
      optional: 1,
      value: z.array(happening),
    },
  }
  const packets: Readonly<Record<keyof Own<ConsolePackets>, Sent>> = {
    summary: { summary: 'Once a second: how the hub is', args: [summary] },
  }
  return { calls, packets }
}
