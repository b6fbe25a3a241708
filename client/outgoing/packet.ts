/** A packet of drafts on its way to the hub: what is in it, and how much may be. */

import { RepriseError } from '../../shared/errors.ts'
import type { Draft, Limits } from '../../shared/protocol.ts'
import { packed } from './joining.ts'
import { type Size, tooLarge } from './measure.ts'

/** Together at most the 1,024 drafts of a producer whose offsets the hub keeps: each of them can be asked for again. */
const MAX_PACKET_DRAFTS = 250
/** What waits is spread over the packets that may be sent, but not thinner: the hub works on one while others travel. */
const MIN_PACKET_DRAFTS = 50
/** Bytes of a packet, well below what a hub takes, so that small drafts never meet its limits together. */
const MAX_PACKET_BYTES = 524_288
/** The hub knows a producer for 7 days. */
const MAX_UNCERTAIN_MS = 6 * 86_400_000
/** What a draft takes in a packet besides its values. */
const DRAFT_BYTES = 64

/** Of a draft that is kept beyond the page, in the order of publishing: when the page began, its name, a number. */
export type DraftKey = readonly [startedAt: number, page: string, n: number]

export interface Entry<R> extends Readonly<Size> {
  readonly draft: Draft
  /** When it was published, in milliseconds since 1970. */
  readonly at: number
  readonly outcome: Promise<R>
  readonly resolve: (receipt: R) => void
  readonly reject: (error: RepriseError) => void
  /** Not sent for the first time after this moment. */
  expiresAt?: number
  cancel?: () => void
  sent: boolean
  /** What the hub refused it with, for now, when it was sent last. */
  refusal?: RepriseError
  over: boolean
  /** Where it is kept beyond the page, and under which number. */
  key?: DraftKey
  keptAs?: string
}

export interface Packet<R> {
  seq: number
  readonly entries: readonly Entry<R>[]
  tries: number
  /** Of the first try, in milliseconds since 1970. */
  sentAt: number
  /** An earlier try may have been kept. */
  uncertain: boolean
  error: RepriseError | undefined
}

export function entryOf<R>(draft: Draft, { bytes, attachments }: Size, at = Date.now()): Entry<R> {
  let resolve: Entry<R>['resolve'] = () => {}
  let reject: Entry<R>['reject'] = () => {}
  const outcome = new Promise<R>((kept, refused) => {
    resolve = kept
    reject = refused
  })
  return { draft, bytes, attachments, at, outcome, resolve, reject, sent: false, over: false }
}

/** Takes the drafts of the next packet off the queue, about `share` of them. What the hub would not take is refused. */
export function takeFrom<R>(
  queue: Entry<R>[],
  limits: Limits,
  share: number,
  refuse: (entry: Entry<R>, refusal: RepriseError) => void,
): Entry<R>[] {
  const entries: Entry<R>[] = []
  const most = Math.min(limits.batch, MAX_PACKET_DRAFTS, Math.max(share, MIN_PACKET_DRAFTS))
  let room = roomIn(limits)
  let taken = 0
  for (const entry of queue) {
    if (entries.length === most) break
    const refusal = tooLarge(entry.bytes, limits)
    if (refusal !== undefined) refuse(entry, refusal)
    else if (!entry.over) {
      room -= sizeOf(entry)
      if (entries.length > 0 && room < 0) break
      entries.push(entry)
    }
    taken++
  }
  queue.splice(0, taken)
  return entries
}

/** Its drafts, as they travel. */
export function draftsOf<R>({ entries }: Packet<R>) {
  const attachments = entries.reduce((sum, entry) => sum + entry.attachments, 0)
  const drafts = entries.map(({ draft }) => draft)
  return packed(drafts, attachments)
}

/** Takes one off the queue whose time is up: without a connection nobody else would, for hours. */
export function takeOff<R>(queue: Entry<R>[], entry: Entry<R>): void {
  const place = queue.indexOf(entry)
  if (place >= 0) queue.splice(place, 1)
}

/** What may have been kept is not sent again when the hub may have forgotten its producer. */
export function isTooOld<R>(packet: Packet<R> | undefined): boolean {
  return packet?.uncertain === true && Date.now() - packet.sentAt > MAX_UNCERTAIN_MS
}

/** The hub has refused the first of these for now, and taken none. */
export function markRefused<R>(packets: readonly Packet<R>[], error: RepriseError): void {
  for (const entry of packets.flatMap(({ entries }) => entries)) {
    entry.sent = false
    entry.refusal = error
  }
}

/** What the sender of a draft is told when its time is up. */
export function lateReply<R>({ sent, refusal }: Entry<R>, timeoutMs: number): RepriseError {
  let outcome = sent ? 'was sent and the outcome is unknown' : 'was not sent and will not be'
  if (refusal && !sent) outcome += `: ${refusal.message}`
  return new RepriseError('timeout', `no answer within ${timeoutMs} ms: it ${outcome}`, sent ? {} : { cause: refusal })
}

/** What the sender of a draft is told when nobody knows whether the hub has it. */
export function unknownOutcome(error: RepriseError): RepriseError {
  const { code, message } = error
  return new RepriseError(code, `${message}; the hub may have kept it: the outcome is unknown`, { cause: error })
}

/** Bytes that drafts may take together. */
function roomIn({ packet }: Limits): number {
  return Math.min(packet / 2, MAX_PACKET_BYTES)
}

function sizeOf({ bytes }: { readonly bytes: number }): number {
  return bytes + DRAFT_BYTES
}

/** Packets of drafts whose numbers follow each other: an earlier page has sent them, or was about to. */
export function packetsOf<R>(entries: readonly Entry<R>[], firstSeq: number, sentAt: number): Packet<R>[] {
  const packets: (Packet<R> & { readonly entries: Entry<R>[] })[] = []
  let room = 0
  for (const [i, entry] of entries.entries()) {
    let packet = packets.at(-1)
    room -= sizeOf(entry)
    if (packet === undefined || room < 0 || packet.entries.length === MAX_PACKET_DRAFTS) {
      packet = { seq: firstSeq + i, entries: [], tries: 0, sentAt, uncertain: true, error: undefined }
      packets.push(packet)
      room = MAX_PACKET_BYTES - sizeOf(entry)
    }
    packet.entries.push(entry)
  }
  return packets
}

/** A packet of one draft always does, as far as this goes. */
export function fits<R>({ entries }: Packet<R>, limits: Limits): boolean {
  const bytes = entries.reduce((sum, entry) => sum + sizeOf(entry), 0)
  return entries.length === 1 || (entries.length <= limits.batch && bytes <= roomIn(limits))
}

/** The same drafts under the same numbers, so many a packet. */
export function partsOf<R>(packet: Packet<R>, size: number): Packet<R>[] {
  const parts: Packet<R>[] = []
  for (let i = 0; i < packet.entries.length; i += size) {
    parts.push({ ...packet, seq: packet.seq + i, entries: packet.entries.slice(i, i + size), error: undefined })
  }
  return parts
}
