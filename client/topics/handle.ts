/** A topic's handle: publishes through its outbox, subscribes, reads; owns the channels it does this on. */

import { RepriseError } from '../../shared/errors.ts'
import type { Position } from '../../shared/positions.ts'
import type { Published, ReadPage, ReadQuery } from '../../shared/protocol.ts'
import type {
  ConnectOptions,
  Handler,
  PendingPublish,
  PublishOptions,
  Receipt,
  SubscribeOptions,
  Subscription,
  Topic,
  TransactionHandler,
  TransactionOptions,
} from '../api.ts'
import type { Persistence } from '../browser/persistence.ts'
import type { StorageScope } from '../browser/stored.ts'
import { Transactions } from '../browser/transactions.ts'
import { type CloseOptions, Deadline } from '../connection/deadline.ts'
import { Asking } from '../connection/retryingCall.ts'
import type { Connection } from '../connection/transport.ts'
import type { Warnings } from '../connection/warnings.ts'
import { checkNames, drainMsOf, durationOf } from '../optionChecks.ts'
import { carrying } from '../outgoing/carrying.ts'
import { unpacked } from '../outgoing/joining.ts'
import { Keeping, type KeptDraft, restored } from '../outgoing/keeping.ts'
import { draftOf, measureDraft } from '../outgoing/measure.ts'
import { Outbox } from '../outgoing/outbox.ts'
import { marked } from '../outgoing/receipts.ts'
import { Channel } from './channel.ts'
import { checkSubscribe, isPosition, positionOf } from './options.ts'
import { TopicSubscription } from './subscription.ts'

export interface TopicContext {
  readonly connection: Connection
  readonly options: ConnectOptions
  readonly warnings: Warnings
  /** What outlives the page. */
  readonly persistence: Persistence | undefined
  readonly scope: StorageScope
  /** What the hub is told of who this is; asked at each handshake. */
  clientNow(): string | undefined
  /** A connection for a second subscription; a namespace carries one at a time. */
  connect(): Connection
  /** The handle has left the topic. */
  closed(): void
}

export class TopicHandle<T> implements Topic<T> {
  readonly name: string
  readonly #context: TopicContext
  readonly #channel: Channel
  readonly #outbox: Outbox<Receipt>
  readonly #reads: Asking
  /** Each with its number: the first, and so on, of those that there are. */
  readonly #subscriptions = new Map<TopicSubscription<T>, number>()
  readonly #drainMs: number
  #closing: Promise<void> | undefined
  readonly #deadline = new Deadline()

  constructor(name: string, context: TopicContext) {
    this.name = name
    this.#context = context
    const { connection, options, persistence } = context
    const channel = new Channel(connection, name, context.clientNow, {
      joined: () => this.#outbox.joined(),
      refused: (error) => this.#refused(error),
    })
    this.#channel = channel
    this.#drainMs = durationOf('drainMs', options.drainMs, 5_000)
    this.#reads = new Asking((givenUp) => channel.joined(givenUp))
    this.#outbox = new Outbox(
      {
        get connected() {
          return channel.connected
        },
        get limits() {
          return channel.limits
        },
        open: () => channel.open(),
        send: async (drafts, row, again) => {
          const { epoch, offsets, durability, duplicatesAt } = await channel.call<Published>('publish', drafts, row)
          this.#outbox.durability = durability
          return marked(
            offsets.map((offset) => ({ epoch, offset, durability })),
            again ? [] : duplicatesAt,
          )
        },
      },
      {
        maxDrafts: options.maxOutbox ?? 10_000,
        maxBytes: options.maxOutboxBytes ?? 16_777_216,
        keeping: persistence === undefined ? undefined : new Keeping(persistence, name),
      },
    )
  }

  publish(data: T, options?: PublishOptions): Promise<Receipt> {
    try {
      this.#checkOpen()
      const draft = carrying(draftOf(data, options))
      return this.#outbox.add(draft, measureDraft(draft), options?.timeoutMs)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Publishes that are not answered yet. */
  get pending(): readonly PendingPublish<T>[] {
    return this.#outbox.waiting.map(({ draft, at, outcome }) => {
      return { ...draft, data: draft.data as T, topic: this.name, at, outcome }
    })
  }

  /** Goes on with what earlier pages have published. */
  restore(drafts: readonly KeptDraft[]): void {
    const { rows, waiting } = restored<Receipt>(drafts)
    this.#outbox.restore(rows, waiting)
    for (const { outcome } of this.pending) {
      outcome.catch((error: unknown) => {
        this.#context.warnings.tell('restored', `a publish to ${this.name} by an earlier page has failed`, error)
      })
    }
  }

  subscribe<X>(handler: TransactionHandler<T, X>, options: TransactionOptions<X>): Subscription<T>
  subscribe(handler: Handler<T>, options?: SubscribeOptions): Subscription<T>
  subscribe(handler: Handler<T> | TransactionHandler<T, never>, options: SubscribeOptions = {}): Subscription<T> {
    this.#checkOpen()
    checkSubscribe(handler, options)
    const { persistence, scope } = this.#context
    const { client } = scope
    const { transaction } = options as Partial<TransactionOptions<unknown>>
    let number = 1
    while ([...this.#subscriptions.values()].includes(number)) number++
    const name = `${this.name} ${number}`
    const transactions = transaction && new Transactions(transaction, scope, name)
    const handling = transactions?.around<T>(handler) ?? (handler as Handler<T>)
    const shared = !this.#channel.subscribed
    const own = shared ? undefined : this.#context.connect()
    const channel = own === undefined ? this.#channel : new Channel(own, this.name, this.#context.clientNow)
    const subscription: TopicSubscription<T> = new TopicSubscription(handling, options, {
      topic: this.name,
      client,
      channel,
      drainMs: this.#drainMs,
      warnings: this.#context.warnings,
      place: transactions ?? persistence?.place(name),
      detach: () => {
        this.#subscriptions.delete(subscription)
        if (own === undefined) channel.detach(subscription, this.#outbox.size + this.#reads.size > 0)
        else {
          channel.close()
          own.close()
        }
      },
    })
    this.#subscriptions.set(subscription, number)
    channel.attach(subscription)
    return subscription
  }

  async head(): Promise<Position> {
    const { epoch, last } = await this.read({ limit: 1 })
    return { epoch, offset: last }
  }

  async read(query: ReadQuery = {}): Promise<ReadPage<T>> {
    this.#checkOpen()
    checkNames('read', query, ['after', 'before', 'limit'])
    const { readTimeoutMs = 10_000 } = this.#context.options
    const { after } = query
    // An event is a position, and has more.
    const asked = isPosition(after) ? { ...query, after: positionOf(after) } : query
    const page = await this.#reads.ask(readTimeoutMs, () => this.#channel.call<ReadPage<T>>('read', asked))
    unpacked(page.events)
    return page
  }

  async close(options: CloseOptions = {}): Promise<void> {
    const closed = this.closed(drainMsOf(options, this.#closing ? Infinity : this.#drainMs))
    if (!this.calling) await closed
  }

  /** Closes, and resolves when that is done, wherever it is asked. Asked again, it may have less time. */
  closed(drainMs: number): Promise<void> {
    this.#deadline.within(drainMs)
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Whether this is asked in a handler of one of its subscriptions. */
  get calling(): boolean {
    for (const subscription of this.#subscriptions.keys()) if (subscription.calling) return true
    return false
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    const closings = [...this.#subscriptions.keys()].map((subscription) => {
      void subscription.close({ drainMs: Infinity })
      return subscription.ended
    })
    await this.#deadline.first([Promise.all([...closings, this.#outbox.drained()])])
    this.#deadline.end()
    const error = new RepriseError('unavailable', 'the handle was closed before the hub answered')
    this.#outbox.fail(error)
    this.#reads.fail(error)
    for (const subscription of this.#subscriptions.keys()) subscription.abandon()
    this.#channel.close()
    this.#context.closed()
  }

  #refused(error: RepriseError): void {
    // These end a subscription only; publishing may go on.
    if (error.code !== 'taken_over' && error.code !== 'gap') this.#outbox.fail(error)
    else if (this.#outbox.size > 0) this.#channel.open()
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new RepriseError('unavailable', 'this handle was closed')
  }
}
