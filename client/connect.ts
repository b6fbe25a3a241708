/** Builds a hub's handle: its connections, its topics and queues, and the order of closing. */

import { RepriseError } from '../shared/errors.ts'
import { isName, isQueueName, isTopicName, lifeTopic, MAX_NAME_LENGTH, nameRule } from '../shared/names.ts'
import type { LifeEvent } from '../shared/queues.ts'
import type {
  ConnectOptions,
  Hub,
  HubTypes,
  JobData,
  PendingPublish,
  QueueName,
  SharedStatus,
  Topic,
  TopicsOf,
} from './api.ts'
import { Persistence } from './browser/persistence.ts'
import { Sharing } from './browser/sharing.ts'
import type { StorageScope } from './browser/stored.ts'
import type { CloseOptions } from './connection/deadline.ts'
import type { Undo } from './connection/emitter.ts'
import { HubManager, managerOptions } from './connection/socketIo.ts'
import { Connection } from './connection/transport.ts'
import { Warnings } from './connection/warnings.ts'
import { addressOf, check, checkNames, countOf, drainMsOf, durationOf } from './optionChecks.ts'
import type { KeptDraft } from './outgoing/keeping.ts'
import { randomName } from './outgoing/randomName.ts'
import type { Queue } from './queues/api.ts'
import { type QueueHandle, queueHandle } from './queues/handle.ts'
import { QueuesLink } from './queues/namespace.ts'
import { TopicHandle } from './topics/handle.ts'

const OPTIONS = [
  'token',
  'client',
  'path',
  'transports',
  'reconnect',
  'maxOutbox',
  'maxOutboxBytes',
  'drainMs',
  'readTimeoutMs',
  'socketOptions',
  'quiet',
  'persist',
  'share',
] as const satisfies readonly (keyof ConnectOptions)[]

/** What may stand behind the name of a client in a tab. */
const NUMBER_LENGTH = ':999'.length

/**
 * A handle of the hub at `url` (in a browser by default the page's origin). Nothing is sent until a topic or a queue is used, and
 * it comes back by itself after every loss. Throws `bad_request` for what is no address, for an option that is not known, and
 * for a `client` that is no name.
 */
export function connect<S extends HubTypes = HubTypes>(url?: string | URL, options: ConnectOptions = {}): Hub<S> {
  const address = addressOf(url)
  checkNames('connect', options, OPTIONS)
  const { token, path, transports, socketOptions, quiet } = options
  check('token', token, typeof token === 'string' || typeof token === 'function', 'a string or a function')
  check('path', path, typeof path === 'string' && path.startsWith('/'), 'a path such as /socket.io')
  const known = Array.isArray(transports) && transports.every((one) => one === 'websocket' || one === 'polling')
  check('transports', transports, known && transports.length > 0, "a list of 'websocket' and 'polling'")
  check('socketOptions', socketOptions, typeof socketOptions === 'object' && socketOptions !== null, 'an object')
  const { persist, share } = options
  check(
    'persist',
    persist,
    typeof persist === 'boolean' || (typeof persist === 'string' && persist !== ''),
    'true or a name',
  )
  check('share', share, typeof share === 'boolean', 'true or false')
  check('quiet', quiet, typeof quiet === 'boolean', 'true or false')
  for (const name of ['drainMs', 'readTimeoutMs'] as const) durationOf(name, options[name], 0)
  for (const name of ['maxOutbox', 'maxOutboxBytes'] as const) countOf(name, options[name], 1)
  const { client } = options
  if (client !== undefined && !isName(client)) throw new RepriseError('bad_request', nameRule('client', client))
  const longest = share ? MAX_NAME_LENGTH - NUMBER_LENGTH : MAX_NAME_LENGTH
  check('client', client, (client?.length ?? 0) <= longest, `at most ${longest} characters long with share`)
  return new HubHandle<S>(address, options)
}

class HubHandle<S extends HubTypes> implements Hub<S> {
  readonly #url: string | undefined
  readonly #options: ConnectOptions
  readonly #warnings: Warnings
  readonly #connections = new Set<Connection>()
  readonly #shared: Connection
  readonly #scope: StorageScope
  readonly #persistence: Persistence | undefined
  readonly #sharing: Sharing | undefined
  readonly #topics = new Map<string, TopicHandle<unknown>>()
  readonly #queues = new Map<string, QueueHandle<unknown>>()
  #queuesLink: QueuesLink | undefined
  /** What the hub knows this handle as. */
  #client: string | undefined
  #suspended = false
  #closing: Promise<void> | undefined

  constructor(url: string | undefined, options: ConnectOptions) {
    this.#url = url
    this.#options = options
    this.#warnings = new Warnings(options.quiet ?? false)
    const { persist = false, client, path } = options
    this.#scope = { url, path, client, name: typeof persist === 'string' ? persist : undefined }
    this.#client = client
    const sharing = options.share === true ? this.#share() : undefined
    this.#sharing = sharing
    if (persist !== false) {
      this.#persistence = new Persistence(
        this.#scope,
        this.#warnings,
        (drafts) => this.#restore(drafts),
        sharing && ((token) => sharing.clientOf(token)),
      )
    }
    this.#shared = this.#connect()
    // Also where the hub cannot be reached.
    this.#persistence?.begin(this.#shared)
  }

  get client(): string | undefined {
    return this.#options.client
  }

  get storage(): 'indexeddb' | 'memory' {
    return this.#persistence?.storage ?? 'memory'
  }

  get storageError(): RepriseError | undefined {
    return this.#persistence?.error
  }

  get status(): SharedStatus {
    return this.#sharing?.status ?? { shared: 'alone' }
  }

  onStatus(listener: (status: SharedStatus) => void): Undo {
    return this.#sharing?.onStatus(listener) ?? (() => {})
  }

  get restored(): Promise<void> {
    return this.#persistence?.restored ?? Promise.resolve()
  }

  get outbox(): readonly PendingPublish[] {
    return [...this.#topics.values()].flatMap((topic) => topic.pending)
  }

  topic<N extends keyof TopicsOf<S> & string>(name: N): Topic<TopicsOf<S>[N]> {
    if (!isTopicName(name)) throw new RepriseError('bad_request', nameRule('topic', name))
    if (this.#closing !== undefined) throw new RepriseError('unavailable', 'this handle was closed')
    // The one place where a name becomes the type that the program has given it.
    return this.#topic(name) as unknown as Topic<TopicsOf<S>[N]>
  }

  #topic(name: string): TopicHandle<unknown> {
    let topic = this.#topics.get(name)
    if (topic === undefined) {
      topic = new TopicHandle(name, {
        connection: this.#shared,
        options: this.#options,
        warnings: this.#warnings,
        persistence: this.#persistence,
        scope: this.#scope,
        clientNow: () => this.#client,
        connect: () => this.#connect(),
        closed: () => this.#topics.delete(name),
      })
      this.#topics.set(name, topic)
    }
    return topic
  }

  queue<N extends QueueName<S>>(name: N): Queue<JobData<S, N>> {
    if (!isQueueName(name)) throw new RepriseError('bad_request', nameRule('queue', name))
    if (this.#closing !== undefined) throw new RepriseError('unavailable', 'this handle was closed')
    if (this.#queuesLink === undefined) {
      const holder = randomName()
      this.#queuesLink = new QueuesLink(this.#shared, () => this.#client ?? holder)
    }
    let queue = this.#queues.get(name)
    if (queue === undefined) {
      queue = queueHandle(name, {
        link: this.#queuesLink,
        options: this.#options,
        warnings: this.#warnings,
        life: () => this.#lifeOf(name),
        connect: () => {
          const connection = this.#connect()
          const holder = randomName()
          const link = new QueuesLink(connection, () => holder)
          const close = () => {
            link.close()
            connection.close()
          }
          return { link, close }
        },
        closed: () => this.#queues.delete(name),
      })
      this.#queues.set(name, queue)
    }
    return queue as unknown as Queue<JobData<S, N>>
  }

  /** The topic with what happens to the jobs of a queue. */
  #lifeOf(queue: string): Topic<LifeEvent> {
    // Under no name, and over a connection of its own: a subscription that the program has there itself is another one.
    const { client: _, ...options } = this.#options
    const connection = this.#connect()
    const context = {
      connection,
      options,
      warnings: this.#warnings,
      persistence: undefined,
      scope: { ...this.#scope, client: undefined },
      clientNow: () => undefined,
      connect: () => this.#connect(),
    }
    return new TopicHandle<LifeEvent>(lifeTopic(queue), { ...context, closed: () => connection.close() })
  }

  async renew(): Promise<void> {
    await Promise.all([...this.#connections].map((connection) => connection.renew()))
  }

  suspend(): void {
    this.#suspended = true
    for (const connection of this.#connections) connection.suspend()
  }

  resume(): void {
    this.#suspended = false
    for (const connection of this.#connections) connection.resume()
  }

  async close(options: CloseOptions = {}): Promise<void> {
    const drainMs = drainMsOf(options, this.#closing ? Infinity : (this.#options.drainMs ?? 5_000))
    const handles = [...this.#topics.values(), ...this.#queues.values()]
    const closed = handles.map((handle) => handle.closed(drainMs))
    this.#closing ??= this.#close(closed)
    if (!handles.some(({ calling }) => calling)) await this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(closed: readonly Promise<void>[]): Promise<void> {
    await Promise.all(closed)
    this.#queuesLink?.close()
    for (const connection of this.#connections) connection.close()
    this.#sharing?.close()
    await this.#persistence?.close()
  }

  /** Goes on with what earlier pages have published. */
  #restore(drafts: readonly KeptDraft[]): void {
    for (const name of new Set(drafts.map(({ topic }) => topic))) {
      this.#topic(name).restore(drafts.filter(({ topic }) => topic === name))
    }
  }

  #share(): Sharing {
    const { transports, socketOptions } = this.#options
    return new Sharing({
      scope: this.#scope,
      options: { transports, socketOptions },
      uplink: (parser) => new HubManager(this.#url, { ...managerOptions(this.#options), parser }),
      warnings: this.#warnings,
      again: () => {
        for (const connection of this.#connections) connection.again()
      },
    })
  }

  /** Before a handshake. */
  async #prepare(token: string | undefined): Promise<void> {
    if (this.#sharing !== undefined) this.#client = await this.#sharing.clientOf(token)
    await this.#persistence?.prepare(token)
  }

  #connect(): Connection {
    const isPrepared = this.#persistence !== undefined || this.#sharing !== undefined
    const connection: Connection = new Connection(
      this.#url,
      this.#options,
      this.#warnings,
      () => this.#connections.delete(connection),
      isPrepared ? (token) => this.#prepare(token) : undefined,
      this.#sharing,
    )
    if (this.#suspended) connection.suspend()
    this.#connections.add(connection)
    return connection
  }
}
