/** A subscription's way out as server-sent events: one response that stays open. Holds nothing but what is on its way. */

import type { ServerResponse } from 'node:http'
import type { WireError } from '../../shared/errors.ts'
import type { Position } from '../../shared/positions.ts'
import type { Gap, Subscribed } from '../../shared/protocol.ts'
import { type Channel, type Outlet, OVERFULL_BYTES } from '../core/topics/outlet.ts'
import type { Packet } from '../core/topics/packet.ts'
import { httpEventText } from './eventText.ts'

/** Proxies and browsers close what is silent for longer. */
const HEARTBEAT_MS = 15_000
/** Browsers come back after this long, each a little differently. */
const RETRY_MS = 1_000

const HEADERS = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-store, no-transform',
  // Some proxies collect answers before they pass them on; this asks them not to.
  'X-Accel-Buffering': 'no',
}

export interface EventStreamOptions {
  /** Whether the id of a gap of events leads behind it: not where the stream ends with it, as a browser would come back behind it. */
  readonly passGaps: boolean
}

export class EventStream implements Outlet, Channel {
  readonly channel: Channel = this
  readonly #response: ServerResponse
  readonly #passGaps: boolean
  #heartbeat: NodeJS.Timeout | undefined
  #resume: (() => void) | undefined

  constructor(response: ServerResponse, { passGaps }: EventStreamOptions) {
    this.#response = response
    this.#passGaps = passGaps
    response.once('close', () => this.#closed())
    response.on('drain', () => this.#drained())
  }

  /** Its id is the place to come back to when no event follows. */
  subscribed(info: Omit<Subscribed, 'limits'>): void {
    if (this.#response.headersSent || this.#response.destroyed) return
    this.#response.writeHead(200, HEADERS)
    const retryMs = Math.round(RETRY_MS * (0.5 + Math.random()))
    this.#write(`retry: ${retryMs}\n${block('subscribed', info, info.position)}`)
    this.#heartbeat = setInterval(() => {
      if (this.#response.writableLength === 0) this.#write(':\n\n')
    }, HEARTBEAT_MS)
    this.#heartbeat.unref()
  }

  gap(gap: Gap): void {
    this.#write(block('gap', gap, this.#passGaps || gap.count === 0 ? gap.position : undefined))
  }

  page(packet: Packet): Promise<void> {
    this.push(packet)
    return this.drained()
  }

  drained(): Promise<void> {
    if (this.#response.destroyed || !this.#response.writableNeedDrain) return Promise.resolve()
    return new Promise((resolve) => {
      this.#resume = resolve
    })
  }

  push(packet: Packet): void {
    this.#write(bytesOf(packet))
  }

  broadcast(packet: Packet): void {
    this.push(packet)
  }

  live(offset: number): void {
    this.#write(block('live', { offset }))
  }

  leave(): void {}

  behind(offset: number): void {
    this.#write(block('behind', { offset }))
  }

  end(error: WireError): void {
    this.#write(block('end', error))
    this.finish()
  }

  /** The hub stops: the client comes back by itself and goes on where it was. */
  finish(): void {
    this.#closed()
    if (this.#response.headersSent) this.#response.end()
  }

  get overfull(): boolean {
    return this.#response.writableLength > OVERFULL_BYTES
  }

  #write(chunk: string | Buffer): void {
    if (!this.#response.destroyed && !this.#response.writableEnded) this.#response.write(chunk)
  }

  #drained(): void {
    const resume = this.#resume
    this.#resume = undefined
    resume?.()
  }

  #closed(): void {
    clearInterval(this.#heartbeat)
    this.#drained()
  }
}

/** JSON text has no line breaks, so it is one line. */
function block(name: string, data: unknown, position?: Position): string {
  const id = position === undefined ? '' : `id: ${position.epoch}:${position.offset}\n`
  return `event: ${name}\n${id}data: ${JSON.stringify(data)}\n\n`
}

/** Live streams of a topic get the same bytes. */
const encoded = new WeakMap<Packet, Buffer>()

function bytesOf(packet: Packet): Buffer {
  const known = encoded.get(packet)
  if (known !== undefined) return known
  let text = ''
  for (const event of packet.events) text += `id: ${packet.epoch}:${event.offset}\ndata: ${httpEventText(event)}\n\n`
  const bytes = Buffer.from(text)
  encoded.set(packet, bytes)
  return bytes
}
