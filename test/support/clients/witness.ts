/**
 * A subscriber that trusts nobody: comes back by itself with its last position (or its cursor), and writes down every
 * event that is not the next one, every gap, every contradiction.
 */

import { io, type Socket } from 'socket.io-client'
import type { WireError } from '../../../shared/errors.ts'
import type { Position } from '../../../shared/positions.ts'
import type { Event, EventsPacket, From, Gap, OnGap, Reply, Subscribed } from '../../../shared/protocol.ts'
import { atEnd } from '../ending.ts'
import { until } from '../until.ts'
import { QUICK } from './publisher.ts'

interface WitnessOptions {
  /** With it the cursor leads, and every packet is acknowledged. */
  readonly client?: string
  /** For the first time; default `'start'`. */
  readonly from?: From
  readonly paced?: boolean
  readonly onGap?: OnGap
  readonly transports?: readonly ('websocket' | 'polling')[]
  /** Milliseconds before a paced page is given back; default 0. */
  readonly holdMs?: number
  /** Keep the events' data; default true. */
  readonly keep?: boolean
}

export class Witness {
  readonly socket: Socket
  readonly name: string
  /** What was wrong, in sentences. A test expects none. */
  readonly faults: string[] = []
  readonly gaps: Gap[] = []
  readonly errors: WireError[] = []
  /** By offset. An offset that was told twice has to say the same twice. */
  readonly events = new Map<number, Event>()
  readonly epochs = new Set<string>()
  position: Position | undefined
  /** The cursor as the hub has confirmed it. */
  acknowledged = 0
  connections = 0
  behind = 0
  live = 0
  readonly #options: WitnessOptions
  #at = 0
  /** No packets are taken before the subscription's first one. */
  #open = false

  constructor(url: string, topic: string, name: string, options: WitnessOptions = {}) {
    this.name = name
    this.#options = options
    const { client, paced, onGap, from = 'start' } = options
    this.socket = io(`${url}/topics/${topic}`, {
      ...QUICK,
      transports: [...(options.transports ?? ['websocket'])],
      auth: (give) =>
        give({
          from: client === undefined ? (this.position ?? from) : from,
          ...(client === undefined ? {} : { client }),
          ...(paced === undefined ? {} : { paced }),
          ...(onGap === undefined ? {} : { onGap }),
        }),
    })
    this.socket
      .on('connect', () => {
        this.connections += 1
        this.#open = false
      })
      .on('subscribed', (info: Subscribed) => this.#subscribed(info))
      .on('events', (packet: EventsPacket, done?: () => void) => this.#take(packet, done))
      .on('gap', (gap: Gap) => {
        if (!this.#open) this.#fault('a gap before subscribed')
        this.gaps.push(gap)
        this.position = gap.position
        this.#forget(gap)
      })
      .on('live', ({ offset }: { offset: number }) => {
        this.live += 1
        if (offset !== this.position?.offset) this.#fault(`live at ${offset}, but ${this.#where()} was told`)
      })
      .on('behind', ({ offset }: { offset: number }) => {
        this.behind += 1
        if (offset !== this.position?.offset) this.#fault(`behind at ${offset}, but ${this.#where()} was told`)
      })
      .on('error', (error: WireError) => this.errors.push(error))
    atEnd(() => {
      this.socket.disconnect()
    })
  }

  /** Waits until the event at `offset` has come. */
  async reaches(offset: number, deadlineMs = 20_000): Promise<void> {
    await until(() => (this.position?.offset ?? 0) >= offset, {
      what: `${this.name} to reach ${offset}`,
      deadlineMs,
      seen: () => ({ at: this.position, live: this.live, behind: this.behind, gaps: this.gaps, faults: this.faults }),
    })
  }

  close(): void {
    this.socket.disconnect()
  }

  #subscribed({ position, epoch, first, last, behind }: Subscribed): void {
    this.#open = true
    this.epochs.add(epoch)
    if (this.#options.client !== undefined) {
      if (position.offset < this.acknowledged) {
        this.#fault(`the cursor went back to ${position.offset} after ${this.acknowledged} was acknowledged`)
      }
      // From the cursor on, events come again that were not acknowledged.
      this.position = position
    } else if (this.position !== undefined && position.offset !== this.position.offset) {
      this.#fault(`subscribed at ${position.offset}, asked for ${this.position.offset}`)
    }
    this.position ??= position
    if (first > last + 1 || behind < 0 || behind > last) this.#fault(`subscribed: ${first}…${last}, behind ${behind}`)
  }

  #take({ epoch, events }: EventsPacket, done?: () => void): void {
    if (!this.#open) this.#fault('events before subscribed')
    this.epochs.add(epoch)
    for (const event of events) {
      const { offset, at } = event
      if (offset !== (this.position?.offset ?? 0) + 1) this.#fault(`event ${offset} behind ${this.#where()}`)
      const earlier = this.events.get(offset)
      if (earlier !== undefined && JSON.stringify(earlier) !== JSON.stringify(event)) {
        this.#fault(`event ${offset} was ${JSON.stringify(earlier)} and is ${JSON.stringify(event)}`)
      }
      if (earlier === undefined && at < this.#at)
        this.#fault(`event ${offset} is of ${at}, an earlier one of ${this.#at}`)
      this.#at = Math.max(at, this.#at)
      this.events.set(offset, this.#options.keep === false ? { ...event, data: null } : event)
      this.position = { epoch, offset }
    }
    if (this.#options.client !== undefined && this.position !== undefined) this.#acknowledge(this.position)
    if (done === undefined) return
    if (this.#options.holdMs === undefined) done()
    else setTimeout(done, this.#options.holdMs)
  }

  /** What the hub says was lost may be another event by now; what was trimmed may not. */
  #forget({ reason, from, to }: Gap): void {
    if (reason !== 'reset') return
    this.#at = 0
    for (const offset of this.events.keys()) {
      if (offset >= (from ?? 0) && offset <= (to ?? Number.POSITIVE_INFINITY)) this.events.delete(offset)
    }
  }

  #acknowledge(position: Position): void {
    this.socket.emit('ack', position, (reply: Reply<Position>) => {
      if (!reply.ok) {
        if (!reply.error.retryable) this.#fault(`ack of ${position.offset}: ${reply.error.code} ${reply.error.message}`)
        return
      }
      if (reply.value.offset < this.acknowledged) this.#fault(`the cursor went back to ${reply.value.offset}`)
      this.acknowledged = Math.max(this.acknowledged, reply.value.offset)
    })
  }

  #where(): string {
    return this.position === undefined ? 'nothing' : `${this.position.epoch}:${this.position.offset}`
  }

  #fault(text: string): void {
    if (this.faults.length < 20) this.faults.push(`${this.name}: ${text}`)
  }
}
