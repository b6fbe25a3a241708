/** What travels in the console's namespace: what a hub shows of itself to whoever runs it. */

import type { WireError } from '../errors.ts'
import type { Position } from '../positions.ts'
import type { Limits, Respond } from '../protocol.ts'
import type { ActivityQuery, Happening } from './happenings.ts'

export const CONSOLE_NAMESPACE = '/console'

/** What a point of the history has, in this order. Rates are of a second, times are milliseconds. */
export const SERIES = [
  'published',
  'live',
  'replayed',
  'delivery50',
  'delivery99',
  'publish50',
  'publish99',
  'commit99',
  'caughtUp',
  'gaps',
  'refused',
  'sent',
  'settled',
  'lapsed',
  'ready',
  'delayed',
  'held',
  'dead',
  'oldestReadyMs',
  'lag',
  'connections',
  'subscriptions',
] as const
export type Series = (typeof SERIES)[number]

/** Counted by this node since it began; the same numbers as in `/metrics`. */
export interface Totals {
  readonly published: number
  readonly live: number
  readonly replayed: number
  readonly caughtUp: number
  readonly gaps: number
  readonly refused: number
  readonly sent: number
  readonly settled: number
  readonly lapsed: number
}

/** As it is now, or for the store as of the last look. */
export interface Gauges {
  readonly events: number
  readonly lag: number
  readonly ready: number
  readonly delayed: number
  readonly held: number
  readonly dead: number
  readonly oldestReadyMs: number
  readonly topics: number
  readonly queues: number
  readonly connections: number
  readonly subscriptions: number
}

/** A node that the store knows of: it has sent an event through it a moment ago. */
export interface NodeSeen {
  readonly id: string
  readonly version: string
  readonly at: number
}

/** Once a second. What one may not see of all is left out: `whole` is for whoever may `read` every name. */
export interface Summary {
  /** The store's time. */
  readonly at: number
  readonly node: string
  readonly version: string
  readonly store: { readonly up: boolean; readonly reason?: string; readonly durability: string }
  /** The number of the newest happening. */
  readonly happened: number
  readonly whole?: {
    readonly totals: Totals
    readonly gauges: Gauges
    /** When the store was looked at; absent before the first look is over, when what the gauges say of it is 0. */
    readonly lookedAt?: number
    /** Of the last second, as in the history. */
    readonly point: readonly number[]
    readonly nodes: readonly NodeSeen[]
  }
}

/** Points of one length, the newest last. */
export interface Stretch {
  readonly everyMs: number
  /** Time of the newest point. */
  readonly at: number
  readonly points: readonly (readonly number[])[]
}

export interface History {
  readonly series: readonly Series[]
  /** A point a second, of the last 15 minutes. */
  readonly seconds: Stretch
  /** A point a minute, of the last day. */
  readonly minutes: Stretch
}

export interface TopicRow {
  readonly topic: string
  readonly first: number
  readonly last: number
  readonly events: number
  readonly bytes: number
  readonly cursors: number
  /** Of the cursor that is furthest behind. */
  readonly lag: number
  /** Subscriptions on this node. */
  readonly subscribers: number
  /** Events published a second, between the last two looks. */
  readonly perSecond: number
}

export interface QueueRow {
  readonly queue: string
  readonly sent: number
  readonly ready: number
  readonly delayed: number
  readonly held: number
  /** For their children. */
  readonly waiting: number
  readonly done: number
  readonly dead: number
  readonly bytes: number
  /** 0 where no job is ready. */
  readonly oldestReadyMs: number
  readonly consumers: number
  readonly paused: boolean
  readonly sentPerSecond: number
  readonly donePerSecond: number
}

export const TOPIC_SORTS = ['topic', 'last', 'events', 'bytes', 'cursors', 'lag', 'subscribers', 'perSecond'] as const
export const QUEUE_SORTS = [
  'queue',
  'ready',
  'delayed',
  'held',
  'waiting',
  'done',
  'dead',
  'bytes',
  'oldestReadyMs',
  'consumers',
  'sentPerSecond',
  'donePerSecond',
] as const

/** Of a subscription, the worst last. `idle` reads nothing, as of whoever only publishes. */
export const SUBSCRIPTION_STATES = ['idle', 'live', 'catching_up', 'behind'] as const
export type SubscriptionState = (typeof SUBSCRIPTION_STATES)[number]

/** Where a subscription is, as this node knows it. */
export interface Progress {
  readonly state: SubscriptionState
  /** Up to where it was sent everything; what its client has acknowledged is its cursor. */
  readonly position?: Position
  /** Events of the topic beyond it. */
  readonly lag: number
}

export interface ClientSubscription extends Progress {
  readonly topic: string
  readonly client?: string
}

export interface ClientConsumer {
  readonly queue: string
  readonly client?: string
  /** 0 where it takes no more. */
  readonly credit: number
  /** Jobs that it has and has not settled. */
  readonly held: number
}

/** A connection to this node, or a stream. */
export interface ClientRow {
  /** Of this connection alone: whoever comes back has another one. */
  readonly id: string
  /** The first of them, as are `clients`: each namespace may have its own. */
  readonly subjects: readonly string[]
  readonly clients: readonly string[]
  /** Absent where both ends are of the hub's process, and where one may not see it. */
  readonly address?: string
  /** `stream` for server-sent events, else Socket.IO's name of it. */
  readonly transport: string
  /** This node's clock. */
  readonly since: number
  /** It has this namespace open. */
  readonly console: boolean
  /** Those that are not idle. */
  readonly subscriptions: number
  readonly consumers: number
  readonly held: number
  /** Of the subscription that is furthest behind. */
  readonly lag: number
  /** The worst of its subscriptions. */
  readonly state: SubscriptionState
}

export const CLIENT_SORTS = [
  'client',
  'subject',
  'address',
  'transport',
  'since',
  'subscriptions',
  'consumers',
  'held',
  'lag',
  'state',
] as const
export type ClientSort = (typeof CLIENT_SORTS)[number]

/** Which part of a list; 50 from the first one by default, 200 at most. */
export interface ListQuery<Sort extends string = string> {
  /** A part of the name. */
  readonly search?: string
  readonly sort?: Sort
  readonly descending?: boolean
  readonly offset?: number
  readonly limit?: number
}

export interface ListPage<Row> {
  /** When the store was looked at; 0 before the first look. */
  readonly at: number
  /** How many there are that one may see, and how many of them fit. */
  readonly total: number
  readonly matched: number
  readonly rows: readonly Row[]
}

/** `search`: a part of a client's name, a subject or an address. */
export interface ClientsQuery extends ListQuery<ClientSort> {
  /** Only who is in this topic, and what they do there. */
  readonly topic?: string
  /** The same of a queue. */
  readonly queue?: string
}

export interface ClientsPage extends ListPage<ClientRow> {
  /** Whose connections these are. */
  readonly node: string
}

/** One connection with what it has open: 200 of each at most, those that are worst off first. */
export interface ClientSeen {
  readonly node: string
  readonly client: ClientRow
  readonly subscriptions: readonly ClientSubscription[]
  readonly consumers: readonly ClientConsumer[]
}

/** What a point of a queue has, in this order. Rates are of a second, times are milliseconds. */
export const QUEUE_SERIES = ['at', 'sent', 'done', 'failed', 'wait50', 'wait99', 'run50', 'run99'] as const
export type QueueSeries = (typeof QUEUE_SERIES)[number]

/** How long so many jobs took: half of them `p50` milliseconds at most, 99 of 100 `p99`. 0 where there were none. */
export interface QueueTimes {
  readonly jobs: number
  readonly p50: number
  readonly p99: number
}

/** Of the last minute; the first three of a second. */
export interface QueueMinute {
  readonly sent: number
  readonly done: number
  readonly failed: number
  /** From when a job was due to its first delivery. */
  readonly wait: QueueTimes
  /** From a delivery to the end of its lease. */
  readonly run: QueueTimes
}

export interface QueueSeenQuery {
  readonly queue: string
  /** Only points after this time. */
  readonly after?: number
}

/** How one queue does on this node, counted since somebody looks at it. */
export interface QueueSeen {
  readonly node: string
  readonly since: number
  readonly series: readonly QueueSeries[]
  /** One a second, the newest last. */
  readonly points: readonly (readonly number[])[]
  readonly minute: QueueMinute
}

/** Calls of a client in the namespace. */
export interface ConsoleCalls {
  history(respond: Respond<History>): void
  topics(query: ListQuery | null, respond: Respond<ListPage<TopicRow>>): void
  queues(query: ListQuery | null, respond: Respond<ListPage<QueueRow>>): void
  queue(query: QueueSeenQuery, respond: Respond<QueueSeen>): void
  clients(query: ClientsQuery | null, respond: Respond<ClientsPage>): void
  client(asked: { readonly id: string }, respond: Respond<ClientSeen>): void
  /** Closes the connection, whose client comes back by itself. */
  disconnectClient(asked: { readonly id: string }, respond: Respond<null>): void
  activity(query: ActivityQuery | null, respond: Respond<readonly Happening[]>): void
  auth(credentials: { readonly token: string }, respond: Respond<null>): void
}

/** Packets of the hub in the namespace. */
export interface ConsolePackets {
  /** The first packet where the handshake asks for it. */
  limits(limits: Limits): void
  summary(summary: Summary): void
  /** The token ends by itself so soon. */
  expiring(left: { readonly inMs: number }): void
  /** It is over, and the namespace is left. */
  error(error: WireError): void
}
