/**
 * The subscriptions that components share. Components that want the same of a topic have one subscription together: it begins
 * with the first of them, and ends with the last one.
 */

import type {
  Ending,
  Gap,
  Handler,
  Hub,
  Position,
  Received,
  Status,
  SubscribeOptions,
  Subscription,
  Topic,
} from '../index.ts'

/** What a program may say of a subscription. Acknowledging, and transactions of IndexedDB, are for `topic.subscribe`. */
export type TopicOptions = Omit<SubscribeOptions, 'ack'>

/** What all subscriptions of a hub are doing: what is worst counts. `idle`: no component subscribes. */
export type HubStatus = Status | { readonly state: 'idle' }

/** What is used of a hub, whatever types its program has given it. */
export type AnyHub = Pick<Hub, 'client'> & { topic(name: never): unknown; queue(name: never): unknown }

/** A component. */
export interface Member {
  handle(event: Received): unknown
  gap(gap: Gap): void
  /** The status is another one, or the subscription could not begin. */
  changed(): void
}

const CONNECTING: Status = { state: 'connecting' }
const IDLE: HubStatus = { state: 'idle' }
const FROM_BAD_TO_GOOD = ['ended', 'offline', 'connecting', 'behind', 'catching-up', 'live']

class Stream {
  /** Why `subscribe` has thrown. */
  failure: { readonly error: unknown } | undefined
  readonly topic: string
  readonly #options: TopicOptions
  #before: Stream | undefined
  #from: Position | undefined
  readonly #hub: HubStreams
  readonly #members = new Set<Member>()
  /** Members that have handled an event which others have not. */
  readonly #handled = new WeakMap<Received, Set<Member>>()
  /** Events that came when there was no member. */
  #held: { go(): void; drop(error: Error): void }[] = []
  #subscription: Subscription | undefined
  #watched = false
  #unwatch: (() => void) | undefined
  #looking = false

  /** `before`: behind what that one has handled, rather than where the options say. */
  constructor(topic: string, options: TopicOptions, before: Stream | undefined, hub: HubStreams) {
    this.topic = topic
    this.#options = options
    this.#before = before?.begun
    this.#hub = hub
  }

  /** The one that has a place. */
  get begun(): Stream | undefined {
    return this.#subscription === undefined ? this.#before : this
  }

  get position(): Position | undefined {
    return this.#subscription?.position ?? this.#from
  }

  get status(): Status {
    return this.#subscription?.status ?? CONNECTING
  }

  join(member: Member): () => void {
    this.#members.add(member)
    for (const { go } of this.#held.splice(0)) go()
    this.look()
    return () => {
      this.#members.delete(member)
      this.look()
    }
  }

  /** Tells the members of each change of the status. Only then: who listens is not warned on the console. */
  watch(): void {
    this.#watched = true
    this.#unwatch ??= this.#subscription?.onStatus(() => this.#changed())
  }

  /** Begins or ends, when all effects have run: StrictMode, and a change of pages, leave and join in one go. */
  look(): void {
    if (this.#looking) return
    this.#looking = true
    queueMicrotask(() => {
      this.#looking = false
      if (this.#members.size === 0) this.#close()
      else if (this.#subscription === undefined && this.failure === undefined) this.#open()
    })
  }

  #open(): void {
    // Beside one that is about to end it would need another connection, or take over.
    const closing = this.#hub.closing.get(this.topic)
    if (closing !== undefined) {
      void closing.then(() => this.look())
      return
    }
    try {
      const topic = this.#hub.hub.topic(this.topic as never) as Topic
      const handler: Handler<unknown> = (event) => this.#handle(event)
      this.#from = this.#before?.position
      this.#before = undefined
      const from = this.#from
      const subscription = topic.subscribe(handler, from === undefined ? this.#options : { ...this.#options, from })
      this.#subscription = subscription
      subscription.onGap((gap) => {
        for (const member of this.#members) member.gap(gap)
      })
      void subscription.ended.then((ending) => this.#ended(ending))
      if (this.#watched) this.watch()
    } catch (error) {
      this.failure = { error }
      this.#hub.forget(this)
      this.#changed()
    }
  }

  #close(): void {
    this.#hub.forget(this)
    const subscription = this.#subscription
    if (subscription === undefined) return
    this.#unwatch?.()
    this.#hub.closes(this.topic, subscription.ended)
    void subscription.close()
    // Not handled: they come again to the same client.
    for (const { drop } of this.#held.splice(0)) drop(new Error('no component subscribes any more'))
  }

  #ended({ code }: Ending): void {
    // Who comes from here on tries again.
    this.#hub.forget(this)
    if (code !== 'closed' || this.#members.size > 0) this.#changed()
  }

  #changed(): void {
    for (const member of this.#members) member.changed()
    this.#hub.changed()
  }

  #handle(event: Received): unknown {
    if (this.#members.size === 0) {
      return new Promise<void>((go, drop) => this.#held.push({ go, drop })).then(() => this.#handle(event))
    }
    const handled = this.#handled.get(event) ?? new Set()
    const waits: Promise<unknown>[] = []
    for (const member of [...this.#members]) {
      if (handled.has(member) || !this.#members.has(member)) continue
      try {
        const result = member.handle(event) as PromiseLike<unknown> | undefined
        if (typeof result?.then === 'function') {
          waits.push(Promise.resolve(result).then(() => handled.add(member)))
        } else handled.add(member)
      } catch (error) {
        waits.push(Promise.reject(error))
      }
    }
    // Awaiting what is no promise would cost a turn for every event.
    if (waits.length === 0) return undefined
    this.#handled.set(event, handled)
    return Promise.allSettled(waits).then((results) => {
      for (const result of results) if (result.status === 'rejected') throw result.reason
    })
  }
}

export type { Stream }

export class HubStreams {
  readonly hub: AnyHub
  /** By topic: ends that are under way. */
  readonly closing = new Map<string, Promise<unknown>>()
  readonly #shared = new Map<string, Stream>()
  readonly #joined = new Map<Stream, number>()
  readonly #listeners = new Set<() => void>()
  #now: HubStatus = IDLE

  constructor(hub: AnyHub) {
    this.hub = hub
  }

  /**
   * Who reads from a place of its own has a subscription of its own. With a `client` all share one: the hub's cursor is the
   * place, and a second subscription would end the first. `before` is what this member had joined last.
   */
  join(
    topic: string,
    options: TopicOptions,
    member: Member,
    before?: Stream,
  ): { readonly stream: Stream; leave(): void } {
    const { client } = this.hub
    const { from = 'end' } = options
    const key = client === undefined ? (from === 'end' ? `${topic} ${JSON.stringify(options)}` : undefined) : topic
    let stream = key === undefined ? undefined : this.#shared.get(key)
    if (stream === undefined) {
      stream = new Stream(topic, options, key === undefined ? before : undefined, this)
      if (key !== undefined) this.#shared.set(key, stream)
    }
    const joined = stream
    if (this.#listeners.size > 0) joined.watch()
    this.#joined.set(joined, (this.#joined.get(joined) ?? 0) + 1)
    const quit = joined.join(member)
    this.changed()
    return {
      stream: joined,
      leave: () => {
        quit()
        const left = (this.#joined.get(joined) ?? 1) - 1
        if (left > 0) this.#joined.set(joined, left)
        else this.#joined.delete(joined)
        this.changed()
      },
    }
  }

  forget(stream: Stream): void {
    for (const [key, one] of this.#shared) if (one === stream) this.#shared.delete(key)
  }

  closes(topic: string, ended: Promise<unknown>): void {
    const closing = Promise.all([this.closing.get(topic), ended]).then(() => {
      if (this.closing.get(topic) === closing) this.closing.delete(topic)
    })
    this.closing.set(topic, closing)
  }

  changed(): void {
    for (const listener of this.#listeners) listener()
  }

  readonly listen = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    for (const stream of this.#joined.keys()) stream.watch()
    return () => this.#listeners.delete(listener)
  }

  /** The same object while nothing changes. */
  readonly status = (): HubStatus => {
    const all = [...this.#joined.keys()].map(({ status }) => status)
    let worst: HubStatus = IDLE
    for (const state of FROM_BAD_TO_GOOD) {
      const these = all.filter((one) => one.state === state)
      const [first] = these
      if (first === undefined) continue
      worst = first
      if (first.state === 'catching-up') {
        const sum = { done: 0, total: 0 }
        for (const one of these as (typeof first)[]) {
          sum.done += one.done
          sum.total += one.total
        }
        worst = { state: 'catching-up', ...sum }
      }
      break
    }
    if (!isSame(worst, this.#now)) this.#now = worst
    return this.#now
  }

  /** Where nothing runs: on a server, and in a page that takes over what a server has made. */
  readonly nothing = (): HubStatus => IDLE
}

function isSame(one: object, other: object): boolean {
  const [a, b] = [one, other] as readonly Readonly<Record<string, unknown>>[]
  return ['state', 'reason', 'slow', 'done', 'total'].every((name) => a?.[name] === b?.[name])
}

const streams = new WeakMap<AnyHub, HubStreams>()

/** Those of a hub: the same under each provider that has it. */
export function streamsOf(hub: AnyHub): HubStreams {
  const known = streams.get(hub)
  if (known !== undefined) return known
  const made = new HubStreams(hub)
  streams.set(hub, made)
  return made
}
