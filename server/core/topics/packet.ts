/**
 * Consecutive events of one epoch on their way to clients. Their JSON text is put together once, from the bytes that
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
  #utf8: Buffer | undefined

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

  /** The JSON text of `{ epoch, events }` with `end` behind it, made once. Only where `binary` is `false`. */
  utf8(end: string): Buffer {
    this.#utf8 ??= textOf(this, end)
    return this.#utf8
  }

  /** The same as an object, for encoders that do not know texts and for binary data. */
  toJSON(): EventsPacket {
    return { epoch: this.epoch, events: this.events.map((event) => eventObject(event)) }
  }
}

const COMMA = 44
const ZERO = 48
const OPEN = 91
const OFFSET = Buffer.from(',{"offset":')

/** From the bytes that are stored, where all of them are at hand. Makes nothing for each event: pages have a thousand. */
function textOf({ epoch, events }: Packet, end: string): Buffer {
  const begin = `{"epoch":${JSON.stringify(epoch)},"events":[`
  const close = `]}${end}`
  let size = Buffer.byteLength(begin) + Buffer.byteLength(close) - 1
  let time = timeOf(events[0]?.at ?? 0)
  for (const { offset, at, body } of events) {
    if (body.utf8 === undefined) return Buffer.from(begin + events.map(eventText).join() + close)
    if (at !== time.at) time = timeOf(at)
    size += OFFSET.length + digitsOf(offset) + time.text.length + body.utf8.length
  }
  const text = Buffer.allocUnsafe(size)
  // The first event's comma is the list's bracket.
  let place = text.write(begin) - 1
  for (const [i, { offset, at, body }] of events.entries()) {
    if (at !== time.at) time = timeOf(at)
    place = put(OFFSET, text, place)
    if (i === 0) text[place - OFFSET.length] = OPEN
    place = putNumber(offset, text, place)
    place = put(time.text, text, place)
    body.utf8?.copyTo(text, place)
    // In the place of its brace.
    text[place] = COMMA
    place += body.utf8?.length ?? 0
  }
  text.write(close, place)
  return text
}

/** The events of a commit have one time. */
function timeOf(at: number): { readonly at: number; readonly text: Buffer } {
  return { at, text: Buffer.from(`,"at":${at}`) }
}

function put(part: Buffer, target: Buffer, place: number): number {
  for (let i = 0; i < part.length; i++) target[place + i] = part[i] ?? 0
  return place + part.length
}

function digitsOf(number: number): number {
  let digits = 1
  for (let left = number; left >= 10; left = Math.floor(left / 10)) digits++
  return digits
}

/** A whole number, not negative. */
function putNumber(number: number, target: Buffer, place: number): number {
  const end = place + digitsOf(number)
  let left = number
  for (let at = end - 1; at >= place; at--) {
    const rest = Math.floor(left / 10)
    target[at] = ZERO + (left - rest * 10)
    left = rest
  }
  return end
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
