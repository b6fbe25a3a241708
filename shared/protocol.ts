/** The wire's types, as docs/protocol.md describes them. Both ends use these and nothing else. */

import type { WireError } from './errors.ts'
import type { Joined } from './joined.ts'
import type { Position } from './positions.ts'

/** The version of the wire that this code speaks; `auth.protocol` of a handshake. */
export const PROTOCOL_VERSION = 1

export type Headers = Readonly<Record<string, string>>

/** What a producer publishes. `data` is JSON, or binary wherever JSON may stand. */
export interface Draft<T = unknown> {
  readonly data: T
  /** Of the producer's choice; the same one within 5 minutes is not stored again. 1 to 256 characters. */
  readonly id?: string
  /** Of the producer's choice, for consumers that partition. 1 to 256 characters. */
  readonly key?: string
  readonly headers?: Headers
}

/** What a topic keeps: the draft with its place and time. `at`: milliseconds since 1970 by the store's clock. */
export interface Event<T = unknown> extends Draft<T> {
  readonly offset: number
  readonly at: number
}

/**
 * How far an acknowledged publish is kept: on disk (`fsync`), on disk within a second (`everysec`), in the memory of
 * the store alone (`memory`), or by n replicas besides (`replicated:n`).
 */
export type Durability = 'fsync' | 'everysec' | 'memory' | `replicated:${number}`

/** Adjustable limits in bytes and drafts, told in `subscribed`. */
export interface Limits {
  /** Bytes of one draft as JSON text (binary counts its bytes). Default 262,144. */
  readonly payload: number
  /** Drafts in one call. Default 1,000; together at most 1 MiB, or one payload where that is more. */
  readonly batch: number
  /** Bytes of one packet; above it the transport closes. Default 2,097,152. */
  readonly packet: number
}

/** Of one draft. */
export const MAX_HEADERS = 64

/** Bytes that the drafts of one call may have together, where no single payload may have more. */
export const MAX_BATCH_BYTES = 1_048_576

/** The largest `payload` that a hub can be given: WebSocket clients in Node take packets of 100 MiB. */
export const MAX_PAYLOAD_BYTES = 64 * 1_048_576

export const DEFAULT_LIMITS: Limits = { payload: 262_144, batch: 1_000, packet: 2_097_152 }

/** Where a subscription starts. */
export type From = 'cursor' | 'start' | 'end' | 'none' | Position | { readonly at: number } | { readonly last: number }

/** What happens when events are gone: go on with the earliest kept, go on live, or end. Default `continue`. */
export type OnGap = 'continue' | 'end' | 'fail'

/** The handshake's `auth` of a topic namespace. */
export interface TopicAuth {
  readonly token?: string
  readonly client?: string
  readonly protocol?: number
  readonly from?: From
  readonly positions?: Readonly<Record<string, Position>>
  readonly paced?: boolean
  /** The hub's first packet is to be `limits`. */
  readonly limits?: boolean
  /** The client reads joined replies: a page of `read` comes whole. */
  readonly joined?: boolean
  readonly onGap?: OnGap
}

export interface ProducerSeq {
  readonly producer: string
  /** The number of the first draft in this producer's row. A new producer starts at 1 (0 is taken as well). */
  readonly seq: number
}

export interface Published {
  readonly epoch: string
  readonly offsets: readonly number[]
  /** How many of the drafts were there already. */
  readonly duplicates: number
  /** Which ones, by their place in the call, from 0; only where there are any. */
  readonly duplicatesAt?: readonly number[]
  readonly durability: Durability
}

export interface ReadQuery {
  readonly after?: number | Position
  readonly before?: number
  /** Default 100, at most 1,000. */
  readonly limit?: number
}

/** `first` and `last` are the kept range; `last` is the head even when nothing is kept (`first` = `last` + 1). */
export interface ReadPage<T = unknown> {
  readonly epoch: string
  readonly first: number
  readonly last: number
  readonly events: readonly Event<T>[]
  /** What the page does not show and its reader would expect in it: trimmed, lost, damaged. Absent when nothing. */
  readonly gaps?: readonly Gap[]
}

export interface SubscribeQuery {
  readonly from?: From
  readonly onGap?: OnGap
}

export interface Subscribed {
  readonly topic: string
  readonly epoch: string
  readonly first: number
  readonly last: number
  readonly position: Position
  /** Events to catch up with. */
  readonly behind: number
  readonly limits: Limits
}

/** `trimmed`: retention. `reset`: continuity lost. `damaged`: a record whose checksum does not fit. */
export type GapReason = 'trimmed' | 'reset' | 'damaged'

/** Events `from…to` are gone; the three are `null` where a `reset` leaves it unknown. */
export interface Gap {
  readonly epoch: string
  readonly from: number | null
  readonly to: number | null
  readonly count: number | null
  readonly reason: GapReason
  /** Where the subscription goes on: acknowledging it means that the gap is not told again. */
  readonly position: Position
}

export interface EventsPacket<T = unknown> {
  readonly epoch: string
  readonly events: readonly Event<T>[]
}

export type Reply<T> =
  | { readonly ok: true; readonly value: T; readonly joined?: Joined }
  | { readonly ok: false; readonly error: WireError }

export type Respond<T> = (reply: Reply<T>) => void

/** Calls of a client in a topic's namespace. */
export interface TopicCalls {
  publish(drafts: readonly Draft[], options: ProducerSeq | null, respond: Respond<Published>): void
  ack(position: Position, respond: Respond<Position>): void
  read(query: ReadQuery, respond: Respond<ReadPage>): void
  subscribe(query: SubscribeQuery, respond: Respond<Subscribed>): void
  unsubscribe(respond: Respond<null>): void
  auth(credentials: { readonly token: string }, respond: Respond<null>): void
}

/** Packets of the hub in a topic's namespace. */
export interface TopicPackets {
  /** The first packet where the handshake asks for it. */
  limits(limits: Limits): void
  subscribed(info: Subscribed): void
  gap(gap: Gap): void
  events(packet: EventsPacket, done?: () => void): void
  live(at: { readonly offset: number }): void
  behind(at: { readonly offset: number }): void
  /** The token ends by itself so soon. */
  expiring(left: { readonly inMs: number }): void
  error(error: WireError): void
}
