/** A topic's handle: publishes through its outbox, subscribes, reads; owns the channels it does this on. */

import { RepriseError } from '../shared/errors.ts'
import type { Position } from '../shared/positions.ts'
import type { Published, ReadPage, ReadQuery } from '../shared/protocol.ts'
import { Asking } from './asking.ts'
import { Channel } from './channel.ts'
import type { Connection } from './connection.ts'
import { atMost } from './deadline.ts'
import type { ConnectOptions, Handler, PublishOptions, Receipt, SubscribeOptions, Subscription, Topic } from './face.ts'
import { unpacked } from './joining.ts'
import { draftOf, measureDraft } from './measure.ts'
import { Outbox } from './outbox.ts'
import { TopicSubscription } from './subscription.ts'

export interface TopicContext {
  readonly connection: Connection
  readonly options: ConnectOptions
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
  readonly #subscriptions = new Set<TopicSubscription<T>>()
  #closing: Promise<void> | undefined

  constructor(name: string, context: TopicContext) {
    this.name = name
    this.#context = context
    const { connection, options } = context
    const channel = new Channel(connection, name, options.client, {
      joined: () => this.#outbox.joined(),
      refused: (error) => this.#refused(error),
      subscribed: ({ limits }) => {
        this.#outbox.limits = limits
      },
    })
    this.#channel = channel
    this.#reads = new Asking(() => channel.joined())
    this.#outbox = new Outbox(
      {
        get connected() {
          return channel.connected
        },
        open: () => channel.open(),
        send: async (drafts, row) => {
          const { epoch, offsets, durability } = await channel.call<Published>('publish', drafts, row)
          this.#outbox.durability = durability
          return offsets.map((offset) => ({ epoch, offset, durability }))
        },
      },
      { maxDrafts: options.maxOutbox ?? 10_000, maxBytes: options.maxOutboxBytes ?? 16_777_216 },
    )
  }

  publish(data: T, options?: PublishOptions): Promise<Receipt> {
    try {
      this.#checkOpen()
      const draft = draftOf(data, options)
      return this.#outbox.add(draft, measureDraft(draft), options?.timeoutMs)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  subscribe(handler: Handler<T>, options: SubscribeOptions = {}): Subscription<T> {
    this.#checkOpen()
    const { from } = options as { readonly from?: unknown }
    if (typeof handler !== 'function' || from === 'none') {
      throw new RepriseError('bad_request', "subscribe takes a function, and a `from` that is not 'none'")
    }
    const { client } = this.#context.options
    const shared = !this.#channel.subscribed
    const own = shared ? undefined : this.#context.connect()
    const channel = own === undefined ? this.#channel : new Channel(own, this.name, client)
    const subscription: TopicSubscription<T> = new TopicSubscription(handler, options, {
      topic: this.name,
      client,
      channel,
      detach: () => {
        this.#subscriptions.delete(subscription)
        if (own === undefined) channel.detach(subscription, this.#outbox.size + this.#reads.size > 0)
        else {
          channel.close()
          own.close()
        }
      },
    })
    this.#subscriptions.add(subscription)
    channel.attach(subscription)
    return subscription
  }

  async head(): Promise<Position> {
    const { epoch, last } = await this.read({ limit: 1 })
    return { epoch, offset: last }
  }

  async read(query: ReadQuery = {}): Promise<ReadPage<T>> {
    this.#checkOpen()
    const { readTimeoutMs = 10_000 } = this.#context.options
    const page = await this.#reads.ask(readTimeoutMs, () => this.#channel.call<ReadPage<T>>('read', query))
    unpacked(page.events)
    return page
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    const closings = [...this.#subscriptions].map((subscription) => subscription.close())
    await atMost(this.#context.options.drainMs ?? 5_000, [Promise.all([...closings, this.#outbox.drained()])])
    const error = new RepriseError('unavailable', 'the handle was closed before the hub answered')
    this.#outbox.fail(error)
    for (const subscription of this.#subscriptions) subscription.abandon()
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
