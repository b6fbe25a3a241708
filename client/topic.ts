/** A topic's handle: publishes through its outbox, subscribes, reads; owns the channels it does this on. */

import { RepriseError } from '../shared/errors.ts'
import type { Position } from '../shared/positions.ts'
import type { ReadPage, ReadQuery } from '../shared/protocol.ts'
import { fullJitter } from './backoff.ts'
import { Channel } from './channel.ts'
import type { Connection } from './connection.ts'
import type { ConnectOptions, Handler, PublishOptions, Receipt, SubscribeOptions, Subscription, Topic } from './face.ts'
import { draftOf, measureDraft } from './measure.ts'
import { Outbox } from './outbox.ts'
import { TopicSubscription } from './subscription.ts'

const REREAD = { baseMs: 100, maxMs: 2_000 }

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
  readonly #outbox: Outbox
  readonly #subscriptions = new Set<TopicSubscription<T>>()
  #reads = 0
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
    this.#outbox = new Outbox(
      {
        get connected() {
          return channel.connected
        },
        open: () => channel.open(),
        publish: (drafts, producer) => channel.call('publish', drafts, producer),
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
        if (own === undefined) channel.detach(subscription, this.#outbox.size + this.#reads > 0)
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
    let timer: ReturnType<typeof setTimeout> | undefined
    const expiry = new Promise<never>((_, reject) => {
      const text = `no answer within ${readTimeoutMs} ms`
      timer = setTimeout(() => reject(new RepriseError('timeout', text)), readTimeoutMs)
    })
    this.#reads++
    try {
      for (let tries = 0; ; tries++) {
        await Promise.race([this.#channel.joined(), expiry])
        try {
          return await Promise.race([this.#channel.call<ReadPage<T>>('read', query), expiry])
        } catch (error) {
          if (!(error instanceof RepriseError) || !error.retryable || error.code === 'timeout') throw error
          const delayMs = fullJitter(tries, REREAD, error.retryAfterMs)
          await Promise.race([new Promise((resolve) => setTimeout(resolve, delayMs)), expiry])
        }
      }
    } finally {
      clearTimeout(timer)
      this.#reads--
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined
    const deadline = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#context.options.drainMs ?? 5_000)
    })
    const closings = [...this.#subscriptions].map((subscription) => subscription.close())
    await Promise.race([Promise.all([...closings, this.#outbox.drained()]), deadline])
    clearTimeout(timer)
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
