/**
 * Consecutive events of one epoch on their way to clients. Their JSON text is put together once, from the texts that
 * are stored, and serves every recipient; nothing is parsed on the way.
 */

import { MAX_ATTACHMENTS } from '../../../shared/joined.ts'
import type { Event, EventsPacket, Gap } from '../../../shared/protocol.ts'
import type { Body, StoredEvent } from '../../store/contract/store.ts'
import { bodyBytes } from '../body.ts'
import { attachmentsOf, carried } from '../joining.ts'

export type Kept = Extract<StoredEvent, { readonly body: Body }>

/** The most that one packet carries. */
export const PACKET_EVENTS = 1_000
export const PACKET_BYTES = 262_144

export class Packet {
  readonly epoch: string
  readonly events: readonly Kept[]
  readonly bytes: number
  /** Packets with binary data have no text; they are sent as objects. */
  readonly binary: boolean
  #text: string | undefined

  constructor(epoch: string, events: readonly Kept[], bytes: number, binary: boolean) {
    this.epoch = epoch
    this.events = events
    this.bytes = bytes
    this.binary = binary
  }

  /** Offset of the last event. */
  get last(): number {
    return this.events.at(-1)?.offset ?? 0
  }

  /** The JSON text of `{ epoch, events }`. Only where `binary` is `false`. */
  get text(): string {
    if (this.#text === undefined) {
      let text = ''
      for (const event of this.events) text += text === '' ? eventText(event) : `,${eventText(event)}`
      this.#text = `{"epoch":${JSON.stringify(this.epoch)},"events":[${text}]}`
    }
    return this.#text
  }

  /** The same as an object, for encoders that do not know texts and for binary data. */
  toJSON(): EventsPacket {
    return { epoch: this.epoch, events: this.events.map((event) => eventObject(event)) }
  }
}

/** An event's JSON text. Binary data reads as `null`. */
export function eventText(event: Kept): string {
  return `{"offset":${event.offset},"at":${event.at},${event.body.json.slice(1)}`
}

/** `beside`: in a packet with binary. */
export function eventObject(event: Kept, beside?: boolean): Event {
  return { offset: event.offset, at: event.at, ...carried(event.body, beside) }
}

/** Cuts stored events into packets, and damaged ones into gaps, in order. */
export function packetsOf(epoch: string, events: readonly StoredEvent[]): (Packet | Gap)[] {
  const out: (Packet | Gap)[] = []
  let run: Kept[] = []
  let bytes = 0
  let attachments = 0
  let binary = false
  const flush = () => {
    if (run.length > 0) out.push(new Packet(epoch, run, bytes, binary))
    run = []
    bytes = attachments = 0
  }
  for (const event of events) {
    if ('damaged' in event) {
      flush()
      addDamaged(out, epoch, event.offset)
      continue
    }
    const hasBinary = event.body.binaries !== undefined
    const size = bodyBytes(event.body)
    const more = attachmentsOf(event.body)
    const full = run.length >= PACKET_EVENTS || bytes + size > PACKET_BYTES || attachments + more > MAX_ATTACHMENTS
    if (run.length > 0 && (full || hasBinary !== binary)) flush()
    binary = hasBinary
    bytes += size
    attachments += more
    run.push(event)
  }
  flush()
  return out
}

function addDamaged(out: (Packet | Gap)[], epoch: string, offset: number): void {
  const last = out.at(-1)
  const from = last !== undefined && !(last instanceof Packet) && last.from !== null ? last.from : offset
  if (from !== offset) out.pop()
  out.push({ epoch, from, to: offset, count: offset - from + 1, reason: 'damaged', position: { epoch, offset } })
}
