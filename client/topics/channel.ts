/** A topic's namespace as its publisher and at most one subscription share it: says hello for both, hands packets on. */

import type { RepriseError } from '../../shared/errors.ts'
import { TOPIC_PREFIX } from '../../shared/names.ts'
import type { EventsPacket, Gap, Limits, Subscribed, SubscribeQuery, TopicAuth } from '../../shared/protocol.ts'
import { Link } from '../connection/namespace.ts'
import type { Connection } from '../connection/transport.ts'
import { unpacked } from '../outgoing/joining.ts'

export interface Subscriber {
  /** As the one of a link's owner. */
  prepare(token: string | undefined): Promise<void> | undefined
  /** Where the next handshake subscribes. */
  introduce(): SubscribeQuery
  joined(): void
  lost(reason: RepriseError): void
  refused(error: RepriseError): void
  subscribed(info: Subscribed): void
  gap(gap: Gap): void
  events(packet: EventsPacket, done?: () => void): void
  live(): void
  behind(): void
}

/** What else lives on the channel: the outbox and reads. */
export interface ChannelOwner {
  joined(): void
  refused(error: RepriseError): void
}

export class Channel {
  readonly #link: Link
  #subscriber: Subscriber | undefined

  constructor(connection: Connection, topic: string, clientNow: () => string | undefined, owner?: ChannelOwner) {
    this.#link = new Link(connection, TOPIC_PREFIX + topic, {
      prepare: (token) => this.#subscriber?.prepare(token),
      introduce: (): TopicAuth => {
        const client = clientNow()
        return {
          ...(client === undefined ? {} : { client }),
          paced: true,
          joined: true,
          ...(this.#subscriber?.introduce() ?? { from: 'none' }),
        }
      },
      joined: () => {
        this.#subscriber?.joined()
        owner?.joined()
      },
      lost: (reason) => this.#subscriber?.lost(reason),
      refused: (error) => {
        const subscriber = this.#subscriber
        this.#subscriber = undefined
        subscriber?.refused(error)
        owner?.refused(error)
      },
    })
    this.#link.on('subscribed', (info: Subscribed) => this.#subscriber?.subscribed(info))
    this.#link.on('gap', (gap: Gap) => this.#subscriber?.gap(gap))
    this.#link.on('events', (packet: EventsPacket, done?: () => void) => {
      if (this.#subscriber === undefined) done?.()
      else {
        unpacked(packet.events)
        this.#subscriber.events(packet, done)
      }
    })
    this.#link.on('live', () => this.#subscriber?.live())
    this.#link.on('behind', () => this.#subscriber?.behind())
  }

  get connected(): boolean {
    return this.#link.connected
  }

  get limits(): Limits | undefined {
    return this.#link.limits
  }

  get subscribed(): boolean {
    return this.#subscriber !== undefined
  }

  open(): void {
    this.#link.open()
  }

  joined(givenUp?: Promise<never>): Promise<void> {
    return this.#link.whenJoined(givenUp)
  }

  call<T>(name: string, ...args: unknown[]): Promise<T> {
    return this.#link.call(name, ...args)
  }

  /**
   * A subscription begins with a handshake, because only there the words of `from` leave a known cursor where it is.
   * A namespace that was joined to publish joins again.
   */
  attach(subscriber: Subscriber): void {
    this.#subscriber = subscriber
    this.#link.rejoin()
  }

  /** Ends the subscription; the namespace stays joined with `keep`. */
  detach(subscriber: Subscriber, keep: boolean): void {
    // A refused one has been taken off already, and another may have its place.
    if (this.#subscriber !== subscriber) return
    this.#subscriber = undefined
    if (!keep) this.#link.leave()
    else if (this.#link.connected) this.#link.call('unsubscribe').catch(() => {})
    // A handshake on its way may still subscribe.
    else if (this.#link.wanted) this.#link.rejoin()
  }

  close(): void {
    this.#subscriber = undefined
    this.#link.close()
  }
}
