/** What travels in the console's namespace: what a hub shows of itself to whoever runs it. */

import type { WireError } from '../errors.ts'
import type { Limits, Respond } from '../protocol.ts'

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
  'done',
  'dead',
  'bytes',
  'oldestReadyMs',
  'consumers',
  'sentPerSecond',
  'donePerSecond',
] as const

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

/** Something that a person who runs the hub may act on. Alike ones within a minute are one. */
export interface Happening {
  /** Dense, from 1. */
  readonly number: number
  readonly kind: string
  readonly level: 'info' | 'warn' | 'error'
  /** As the log has it. */
  readonly text: string
  /** The last time, this node's clock. */
  readonly at: number
  readonly since: number
  readonly times: number
  /** What the log says of it, such as `topic`, `queue`, `client`, `reason`. */
  readonly details: Readonly<Record<string, unknown>>
}

export interface ActivityQuery {
  /** Only later ones. */
  readonly after?: number
  /** 200 by default, and at most. */
  readonly limit?: number
}

/** The handshake's `auth` of the namespace. */
export interface ConsoleAuth {
  readonly token?: string
  readonly protocol?: number
}

/** Calls of a client in the namespace. */
export interface ConsoleCalls {
  history(respond: Respond<History>): void
  topics(query: ListQuery | null, respond: Respond<ListPage<TopicRow>>): void
  queues(query: ListQuery | null, respond: Respond<ListPage<QueueRow>>): void
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
