/**
 * The same events over plain Socket.IO: what is sent while it is connected, and nothing else. `live` says from which offset
 * on it is there, so that the page can count what went by.
 */

import { io, type Socket } from 'socket.io-client'
import type { Status } from '../../../client/index.ts'
import { DEMO_NAMESPACE, type DemoPackets } from '../../../shared/console/demo.ts'
import { RepriseError, type WireError } from '../../../shared/errors.ts'
import type { EventsPacket } from '../../../shared/protocol.ts'
import type { Ledger, Track } from '../counting/ledger.ts'
import { Feed } from '../parts/feed.ts'
import { lineOf } from '../parts/orders.ts'
import type { Visit } from '../visit.ts'

const RETRY_MS = 1_000
const SETTLE_MS = 1_000

type Refusal = Error & { readonly data?: WireError }

export class PlainLane {
  readonly name = `namespace ${DEMO_NAMESPACE}`
  readonly track: Track
  readonly feed = new Feed()
  readonly #ledger: Ledger
  readonly #changed: () => void
  readonly #socket: Socket<DemoPackets>
  readonly #timer: ReturnType<typeof setInterval>
  #retry: ReturnType<typeof setTimeout> | undefined
  #status: Status = { state: 'connecting' }
  #epoch: string | undefined
  #cut = false
  #away = false

  constructor({ path, token }: Visit, topic: string, ledger: Ledger, changed: () => void) {
    this.#ledger = ledger
    this.track = ledger.track()
    this.#changed = changed
    this.#socket = io(DEMO_NAMESPACE, {
      path,
      auth: { topic, ...(token === undefined ? {} : { token }) },
      transports: ['websocket', 'polling'],
      tryAllTransports: true,
      reconnectionDelay: 250,
      reconnectionDelayMax: 2_000,
      forceNew: true,
    })
    this.#socket.on('live', ({ offset }) => this.#live(offset))
    this.#socket.on('events', (packet) => this.#arrived(packet))
    this.#socket.on('error', (error) => this.#ended(error))
    this.#socket.on('disconnect', (reason) => this.#left(new RepriseError('unavailable', reason)))
    this.#socket.on('connect_error', (error: Refusal) => this.#refused(error))
    this.#timer = setInterval(() => {
      if (this.#status.state !== 'live') return
      this.track.settle()
      changed()
    }, SETTLE_MS)
  }

  get status(): Status {
    return this.#status
  }

  get isCut(): boolean {
    return this.#cut
  }

  /** Why there is none, in a sentence. */
  get missing(): string | undefined {
    if (this.#status.state !== 'ended') return undefined
    const { reason } = this.#status
    return 'error' in reason && reason.error instanceof Error ? `There is no such lane: ${reason.error.message}.` : ''
  }

  cut(cut: boolean): void {
    if (cut === this.#cut) return
    this.#cut = cut
    clearTimeout(this.#retry)
    if (cut) {
      this.#socket.io.engine?.close()
      this.#socket.disconnect()
      this.#left(new RepriseError('unavailable', 'the connection was cut'))
    } else this.#socket.connect()
    this.#changed()
  }

  close(): void {
    clearInterval(this.#timer)
    clearTimeout(this.#retry)
    this.#socket.off()
    this.#socket.disconnect()
  }

  #live(offset: number): void {
    this.#status = { state: 'live' }
    const wentBy = Math.max(0, offset - this.track.last)
    if (!this.track.started) this.track.startAfter(offset)
    else if (offset < this.track.last) this.track.restart(offset)
    else if (this.#away) this.track.returned(wentBy)
    if (this.#away)
      this.feed.add({ kind: 'back', text: wentBy === 0 ? 'back: nothing was missed' : wentByText(wentBy) })
    this.#away = false
    this.track.nothingComesUpTo(offset)
    this.#changed()
  }

  #arrived({ epoch, events }: EventsPacket): void {
    const [first] = events
    if (first === undefined) return
    // The topic was dropped and begins anew: the numbers of its events, too.
    if (epoch !== this.#epoch && first.offset <= this.track.last) {
      this.#ledger.begin(epoch)
      this.track.restart(first.offset - 1)
    }
    this.#epoch = epoch
    for (const { offset, at, data } of events) {
      const again = this.track.has(offset)
      const mark = this.track.arrived(offset)
      this.feed.add({ kind: 'event', offset, at, text: lineOf(data), mark, again })
    }
    this.#changed()
  }

  #left(reason: RepriseError): void {
    if (this.#status.state === 'ended') return
    this.#status = { state: 'offline', reason }
    if (!this.#away && this.track.started) {
      this.#away = true
      this.track.left()
      this.feed.add({ kind: 'cut', text: this.#cut ? 'the connection was cut' : 'the connection was lost' })
    }
    this.#changed()
  }

  /** Socket.IO comes back by itself from a lost connection, and not from a refusal. */
  #refused(error: Refusal): void {
    const { data } = error
    if (!this.#socket.active && data?.retryable !== true) {
      // A program's own Socket.IO server says no more than that.
      this.#ended(data ?? new RepriseError('not_found', `the Socket.IO server here says "${error.message}"`).toWire())
      return
    }
    this.#left(new RepriseError('unavailable', error.message))
    if (!this.#socket.active) this.#retry = setTimeout(() => this.#socket.connect(), data?.retryAfterMs ?? RETRY_MS)
  }

  #ended(wire: WireError): void {
    const error = RepriseError.fromWire(wire)
    this.#status = { state: 'ended', reason: { code: error.code, error } }
    this.#changed()
  }
}

function wentByText(count: number): string {
  return count === 1 ? 'back: 1 event went by' : `back: ${count} events went by`
}
