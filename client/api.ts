/** What a program sees of the SDK: its options, handles and reports. No behaviour lives here. */

import type { ErrorCode, RepriseError } from '../shared/errors.ts'
import type { Position } from '../shared/positions.ts'
import type { Draft, Durability, Event, From, Gap, Headers, OnGap, ReadPage, ReadQuery } from '../shared/protocol.ts'
import type { CloseOptions } from './connection/deadline.ts'
import type { Undo } from './connection/emitter.ts'
import type { Queue } from './queues/api.ts'

/** What a program may say about a hub's names: `connect<{ topics: { orders: Order }, queues: { emails: Email } }>(url)`. */
export interface HubTypes {
  readonly topics?: object
  readonly queues?: object
}

/** The topics a program has described; any name, with data of unknown shape, when it has described none. */
export type TopicsOf<S extends HubTypes> = S extends { readonly topics: infer T extends object }
  ? T
  : Record<string, unknown>

/** The queues a program has described; any name, with data of unknown shape, when it has described none. */
export type QueuesOf<S extends HubTypes> = S extends { readonly queues: infer Q extends object }
  ? Q
  : Record<string, unknown>

/** A queue, or the dead letters of one. */
export type QueueName<S extends HubTypes> = (keyof QueuesOf<S> & string) | `${keyof QueuesOf<S> & string}/dead`

export type JobData<S extends HubTypes, N extends string> = N extends keyof QueuesOf<S>
  ? QueuesOf<S>[N]
  : N extends `${infer Q}/dead`
    ? Q extends keyof QueuesOf<S>
      ? QueuesOf<S>[Q]
      : never
    : never

/** How long waits between tries are: a random part (full jitter) of `baseMs * 2^n`, at most `maxMs`. */
export interface Jitter {
  readonly baseMs?: number
  readonly maxMs?: number
}

export interface ConnectOptions {
  /**
   * Sent with every handshake. A function is asked again for each connection, before the token ends, and once more when it
   * was refused. A text that has ended ends what uses it, with `unauthorized`.
   */
  readonly token?: string | (() => string | Promise<string>)
  /** Names the cursors and the holder of jobs that the hub keeps. Without it the hub keeps nothing for this program. */
  readonly client?: string
  /** Where the hub's Socket.IO listens. Default `/socket.io`; the path of the address does not count. */
  readonly path?: string
  /** In the order of trying. Default `['websocket', 'polling']`. */
  readonly transports?: readonly ('websocket' | 'polling')[]
  /** Waits between reconnections. Default 250 ms, doubling, at most 5,000 ms, each a random part of it. */
  readonly reconnect?: Jitter
  /** Drafts of one topic or queue that may wait for their reply. Default 10,000. Above it they reject with `too_many`. */
  readonly maxOutbox?: number
  /** Bytes of JSON that the same drafts may have together. Default 16 MiB. */
  readonly maxOutboxBytes?: number
  /** How long `close()` of any handle waits for handlers, acknowledgements and the outbox. Default 5,000 ms. */
  readonly drainMs?: number
  /** How long `head`, `read`, `remove` and the calls about schedules wait for an answer, reconnections included. Default 10,000 ms. */
  readonly readTimeoutMs?: number
  /** More options of Socket.IO's Manager, such as `extraHeaders` or `ca`; reconnection is the SDK's own. */
  readonly socketOptions?: Readonly<Record<string, unknown>>
  /**
   * Nothing goes to `console.warn`. Otherwise what nobody listens to is told there once: a handler that fails, a hub that
   * cannot be reached for 5 s, a subscription or a worker that the hub has ended.
   */
  readonly quiet?: boolean
  /**
   * Positions of subscriptions, and drafts until the hub has answered, outlive the page: in IndexedDB, named by hub, subject
   * and client, and by this name where one is given. In memory where there is none, which `hub.storage` says.
   */
  readonly persist?: boolean | string
  /**
   * The tabs of one origin use one connection, as long as they are of the same hub, subject and options. Subscriptions, workers
   * and acknowledgements of each tab stay its own, also where all have one `client`: from the second tab on it has a number
   * behind it. Where tabs cannot share, each connects for itself: see `hub.status`.
   */
  readonly share?: boolean
}

/** Over whose connection a handle reaches the hub. */
export interface SharedStatus {
  /** Its own, which other tabs use too; that of another tab; its own alone. `undefined` until it is known. */
  readonly shared: 'leader' | 'follower' | 'alone' | undefined
  /** Why it is `alone` although `share` asks for more. */
  readonly reason?: RepriseError
}

export interface Hub<S extends HubTypes = HubTypes> {
  /** The handle of a topic; the same one for the same name until it is closed. Throws `bad_request` for no name. */
  topic<N extends keyof TopicsOf<S> & string>(name: N): Topic<TopicsOf<S>[N]>
  /** The handle of a queue, or with `<queue>/dead` of its dead letters; the same one for the same name until it is closed. */
  queue<N extends QueueName<S>>(name: N): Queue<JobData<S, N>>
  /** The name that `connect` was given. */
  readonly client: string | undefined
  /** Publishes that the hub has not answered yet, in their order; with `persist` also those of earlier pages. */
  readonly outbox: readonly PendingPublish[]
  /** Resolves when those are in `outbox`. Never rejects; resolves at once without `persist`. */
  readonly restored: Promise<void>
  /** Where positions and drafts are kept. */
  readonly storage: 'indexeddb' | 'memory'
  /** Why that is `memory` although `persist` asks for more. */
  readonly storageError: RepriseError | undefined
  /** Whether tabs share its connection. */
  readonly status: SharedStatus
  /** The listener is called at each change. Every `on…` returns its undo. */
  onStatus(listener: (status: SharedStatus) => void): Undo
  /** Asks the token function again and renews the token of the open connection in place. */
  renew(): Promise<void>
  /** Cuts the transport and stays away until `resume`. Drafts wait in the outbox, subscriptions go on from their place. */
  suspend(): void
  /** Comes back after `suspend`, at once. */
  resume(): void
  /**
   * Ends subscriptions and workers after the running handlers, acknowledges, empties the outbox, disconnects; within
   * `drainMs`. As any `close`, it does not wait for a handler that calls it before its first `await`: it resolves at once, and
   * the end follows after that handler. A second call with a `drainMs` may end it sooner.
   */
  close(options?: CloseOptions): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export interface PublishOptions {
  /** Not stored again when seen within 5 minutes, whoever sends it. 1 to 256 characters. */
  readonly id?: string
  /** For consumers that partition. 1 to 256 characters. */
  readonly key?: string
  readonly headers?: Headers
  /**
   * Rejects with `timeout` after so many milliseconds. A draft that was not sent by then never is; of one that was
   * sent the outcome is unknown. Default: waits as long as it takes.
   */
  readonly timeoutMs?: number
}

/** A publish that is not answered yet. */
export interface PendingPublish<T = unknown> extends Draft<T> {
  readonly topic: string
  /** When it was published, in milliseconds since 1970. */
  readonly at: number
  /** What `publish` has returned, also to a page that is gone. */
  readonly outcome: Promise<Receipt>
}

/** Where a published event stands, and how far it is kept. */
export interface Receipt extends Position {
  readonly durability: Durability
  /** The `id` was published before, within 5 minutes: this is where that event stands, and nothing was stored. */
  readonly duplicate?: true
}

/** An event as a handler gets it: its offset and epoch are its position. */
export interface Received<T = unknown> extends Event<T> {
  readonly epoch: string
}

export interface Topic<T = unknown> {
  readonly name: string
  /**
   * Resolves once the hub keeps the event. Order is kept, drafts of one tick travel together, connections may come and
   * go meanwhile. `data` must not be changed until then. Rejects with `bad_request` (what JSON and binary cannot
   * carry), `too_large`, `too_many` (outbox full), `forbidden`, `unauthorized`, `timeout`, or with `conflict` when the
   * hub no longer knows whether it has the event.
   */
  publish(data: T, options?: PublishOptions): Promise<Receipt>
  /**
   * Calls the handler for every event from a place on, one at a time and in order unless `concurrency` says otherwise.
   * One topic of one hub has one subscription on the shared connection; further ones at the same time get a connection
   * of their own. With a `client` the newest subscription of a topic wins, and the older one ends with `taken_over`.
   * With `transaction` each call is in a transaction of IndexedDB: what the handler writes and how far it has come commit
   * together or not at all. Throws `bad_request` for a database without the store that `prepareDatabase` makes.
   */
  subscribe<X>(handler: TransactionHandler<T, X>, options: TransactionOptions<X>): Subscription<T>
  subscribe(handler: Handler<T>, options?: SubscribeOptions): Subscription<T>
  /** The position of the last event. A subscription `from` here gets all that comes later. */
  head(): Promise<Position>
  /** A page of kept events, forward from `after` or backward from `before`. Rejects with `timeout` after `readTimeoutMs`. */
  read(query?: ReadQuery): Promise<ReadPage<T>>
  /** Closes the subscriptions, empties the outbox within `drainMs`, and leaves the topic. */
  close(options?: CloseOptions): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** May be asynchronous. Throwing or rejecting means that the event was not handled. */
export type Handler<T> = (event: Received<T>) => unknown

/**
 * Writes through `tx`, and awaits nothing but its requests: a transaction ends by itself when it has nothing to do. When the
 * handler throws or rejects, all that it has written is undone.
 */
export type TransactionHandler<T = unknown, X = unknown> = (event: Received<T>, tx: X) => unknown

/** A database of IndexedDB, as browsers have it, or as the package `idb` does; `X` is what its transactions are. */
export interface TransactionalDatabase<X = unknown> {
  readonly objectStoreNames: ArrayLike<string> & { contains(name: string): boolean }
  transaction(stores: string[], mode: 'readonly' | 'readwrite'): X
}

export interface TransactionOptions<X = unknown> extends SubscribeOptions {
  /** The database, or some of its stores. Each transaction is `readwrite` over these, by default over all. */
  readonly transaction:
    | TransactionalDatabase<X>
    | { readonly db: TransactionalDatabase<X>; readonly stores: readonly string[] }
}

export interface SubscribeOptions {
  /**
   * Where to begin. Default `cursor` with a `client`, else `end`. With a `client` that has a cursor the hub goes on
   * there whatever word stands here; see `seek` to go back.
   */
  readonly from?: Exclude<From, 'none'>
  /** What happens after a gap was told. Default `continue`. */
  readonly onGap?: OnGap
  /** `auto` (default): handled events are acknowledged, together when many come. `manual`: only what `ack` is called for. */
  readonly ack?: 'auto' | 'manual'
  /** Handler calls at a time. Default 1. The position moves only over events all handled. */
  readonly concurrency?: number
  /** After the last failed attempt: end the subscription before the event (`stop`, default) or go on without it. */
  readonly onFailure?: 'stop' | 'skip'
  /** Handler calls for an event that keeps failing. Default 5. */
  readonly maxAttempts?: number
  /** Waits between attempts. Default 100 ms, doubling, at most 10,000 ms, each a random part of it. */
  readonly retry?: Jitter
  /** Events that may wait for the handler while live. Above it the SDK stops taking and reads on later. Default 1,000. */
  readonly maxQueue?: number
  /** Bytes, about, that they may have together. Default 1 MiB. */
  readonly maxQueueBytes?: number
}

/** Why a subscription is over. */
export type Ending =
  | { readonly code: 'closed' }
  /** The handler failed too often. `position` is the event it failed for; the one before it is the last handled. */
  | { readonly code: 'handler_failed'; readonly error: unknown; readonly position: Position }
  /** The hub refused: `taken_over`, `gap`, `forbidden`, `unauthorized`, `bad_request`, … */
  | { readonly code: ErrorCode; readonly error: RepriseError }

export type Status =
  | { readonly state: 'connecting' }
  /** Reading what was missed: `done` of `total` events are handled. */
  | { readonly state: 'catching-up'; readonly done: number; readonly total: number }
  /** All is handled; events come as they are published. */
  | { readonly state: 'live' }
  /** Too slow to be live, nothing is lost: `connection` says the hub, `handler` says the SDK's own queue. */
  | { readonly state: 'behind'; readonly slow: 'connection' | 'handler' }
  /** Comes back by itself. */
  | { readonly state: 'offline'; readonly reason: RepriseError }
  | { readonly state: 'ended'; readonly reason: Ending }

export interface Progress {
  readonly done: number
  readonly total: number
}

/** A handler call that failed, and what follows. */
export interface Failure<T = unknown> {
  readonly error: unknown
  readonly event: Received<T>
  /** Failed calls for this event so far. */
  readonly attempts: number
  readonly then: 'retry' | 'skip' | 'stop'
}

export interface Subscription<T = unknown> {
  readonly topic: string
  readonly status: Status
  /** The last position up to which everything was handled; `undefined` before the hub named the first one. */
  readonly position: Position | undefined
  /** Resolves with the reason when the subscription is over; never rejects. */
  readonly ended: Promise<Ending>
  /** The listener is called at each change. Every `on…` returns its undo. */
  onStatus(listener: (status: Status) => void): Undo
  /** Told in its place: after the events before the gap were handled and before any later one. */
  onGap(listener: (gap: Gap) => void): Undo
  /** About a hundred times during a catch-up, and at its end. */
  onProgress(listener: (progress: Progress) => void): Undo
  /** Each failed handler call. */
  onError(listener: (failure: Failure<T>) => void): Undo
  /**
   * Moves the hub's cursor to this position; cumulative. Resolves with the cursor as it is then. Rejects with
   * `bad_request` without a `client`, with `taken_over`, or `unavailable` when the subscription ends before the reply.
   */
  ack(position: Position): Promise<Position>
  /**
   * Starts again from another place, back or forth; what waits for the handler is dropped. When it rejects, with `unavailable`
   * when the connection was lost or with what the hub says, the subscription goes on where it was.
   */
  seek(from: Exclude<From, 'none'>): Promise<void>
  /**
   * Waits for the running handler calls, acknowledges, leaves; within `drainMs`. What was not handled comes again to the
   * same `client`. Called in its own handler, it resolves at once and ends behind it: see `ended`.
   */
  close(options?: CloseOptions): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}
