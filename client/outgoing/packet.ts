/** A packet of drafts on its way to the hub: what is in it, and how much may be. */

import type { RepriseError } from '../../shared/errors.ts'
import type { Draft, Limits } from '../../shared/protocol.ts'

/** Together at most the 1,024 drafts of a producer whose offsets the hub keeps: each of them can be asked for again. */
const MAX_PACKET_DRAFTS = 250
/** What waits is spread over the packets that may be sent, but not thinner: the hub works on one while others travel. */
const MIN_PACKET_DRAFTS = 50
/** Bytes of a packet, well below what a hub takes, so that small drafts never meet its limits together. */
const MAX_PACKET_BYTES = 524_288
/** What a draft takes in a packet besides its values. */
const DRAFT_BYTES = 64

export interface Entry<R> {
  readonly draft: Draft
  readonly bytes: number
  readonly attachments: number
  readonly resolve: (receipt: R) => void
  readonly reject: (error: RepriseError) => void
  cancel?: () => void
  sent: boolean
  over: boolean
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

/** How many of `share` drafts go together. */
export function mostDrafts({ batch }: Limits, share: number): number {
  return Math.min(batch, MAX_PACKET_DRAFTS, Math.max(share, MIN_PACKET_DRAFTS))
}

/** Bytes that drafts may take together. */
export function roomIn({ packet }: Limits): number {
  return Math.min(packet / 2, MAX_PACKET_BYTES)
}

export function sizeOf({ bytes }: { readonly bytes: number }): number {
  return bytes + DRAFT_BYTES
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
