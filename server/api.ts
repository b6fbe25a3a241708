/** What a program sees of the hub that it embeds. No behaviour lives here. */

import type { Server as HttpServer } from 'node:http'
import type {
  ConsumeOptions,
  Handler,
  HubTypes,
  JobData,
  QueueName,
  QueueSchedules,
  Receipt,
  RequestOptions,
  SendReceipt,
  SubscribeOptions,
  Subscription,
  TopicsOf,
  Work,
  Worker,
} from '../client/index.ts'
import type { Position } from '../shared/positions.ts'
import type { Draft, Published, ReadPage, ReadQuery } from '../shared/protocol.ts'
import type { JobDraft, Sent } from '../shared/queues.ts'
import type { HubHandler } from './http/app.ts'
import type { ProgramServer } from './socket/transport/target.ts'

/** Who the hub knows a subscription or a worker of this program by. */
export interface LocalName {
  /**
   * Names the cursor of a subscription, or the holder of a worker's jobs, as `client` of `connect` does. Default: none,
   * so that nothing is kept for it.
   */
  readonly client?: string
}

/** A topic, for the program that embeds the hub. */
export interface HubTopic<T = unknown> {
  /** Resolves when the event is durable. Rejects with a `RepriseError`; nothing is tried again. */
  publish(data: T, options?: Omit<Draft, 'data'>): Promise<Receipt>
  /** The same for several drafts: all of them are stored, or none. */
  publishAll(drafts: readonly Draft<T>[]): Promise<Published>
  /**
   * As `subscribe` of the SDK, within this process: order, attempts, acknowledgements and gaps are the same. Throws
   * `bad_request` for a wrong name, handler or option. Ends with the hub.
   */
  subscribe(handler: Handler<T>, options?: SubscribeOptions & LocalName): Subscription<T>
  /** A page of kept events: forward from `after` (default: the first one), or backward from `before`. */
  read(query?: ReadQuery): Promise<ReadPage<T>>
  /** The position of the last event. A subscription `from` here gets all that comes later. */
  head(): Promise<Position>
}

/** A queue, for the program that embeds the hub. */
export interface HubQueue<T = unknown> extends QueueSchedules<T> {
  /** Resolves with the job's id when the job is durable. Rejects with a `RepriseError`; nothing is tried again. */
  send(data: T, options?: Omit<JobDraft, 'data'>): Promise<SendReceipt>
  /** The same for several drafts: all of them are stored, or none. */
  sendAll(drafts: readonly JobDraft<T>[]): Promise<Sent>
  /**
   * As `consume` of the SDK, within this process: leases are renewed, what a handler returns is the reply. Throws
   * `bad_request` for a wrong name, handler or option. Ends with the hub.
   */
  consume(handler: Work<T>, options?: ConsumeOptions & LocalName): Worker<T>
  /**
   * Sends a job and waits for its reply. Rejects with `timeout` (default: after 30 s), or with `failed` when the job was
   * dead-lettered.
   */
  request<R = unknown>(data: T, options?: RequestOptions): Promise<R>
  /** `true` when the job was still waiting and is gone. */
  remove(id: string): Promise<boolean>
}

export interface Hub<S extends HubTypes = HubTypes> extends AsyncDisposable {
  /** Resolves when the store is open and an event went through. Rejects when the hub cannot start. */
  readonly ready: Promise<void>
  /**
   * Serves the hub's Socket.IO namespaces on an HTTP server, or in a Socket.IO server that exists already. A program
   * that has its own Socket.IO server passes that one: a second one on its HTTP server is refused. Throws `bad_request`
   * for what is no server, and `conflict` where a hub or a Socket.IO server is already.
   */
  attach(target: HttpServer | ProgramServer, options?: { readonly path?: string }): void
  /**
   * The HTTP interface (`/v1`, health, console, demo) as a handler to mount in Express or to give to `createServer`. Other paths
   * go on to the program's own routes.
   */
  readonly handler: HubHandler
  /** A topic by its name. A wrong name is told by the call that uses it. */
  topic<N extends keyof TopicsOf<S> & string>(name: N): HubTopic<TopicsOf<S>[N]>
  /** A queue by its name, or with `<queue>/dead` its dead letters. */
  queue<N extends QueueName<S>>(name: N): HubQueue<JobData<S, N>>
  /**
   * Lets the handlers of this program's own subscriptions and workers finish, for at most 5 s. Then closes the
   * connections of clients, finishes what was accepted, and closes the store. May be called twice.
   */
  close(): Promise<void>
}
