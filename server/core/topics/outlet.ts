/** The port through which a subscription reaches its client. Implemented for Socket.IO and for server-sent events. */

import type { WireError } from '../../../shared/errors.ts'
import type { Gap, Subscribed } from '../../../shared/protocol.ts'
import type { Reachable } from '../beginning.ts'
import type { Packet } from './packet.ts'

/** A live client with more than this waiting goes back to reading. */
export const OVERFULL_BYTES = 1_048_576

/** Outlets that one packet reaches in one encoding: a room. */
export interface Channel {
  /** To every outlet that has joined, in the order of the calls. */
  broadcast(packet: Packet): void
}

export interface Outlet extends Reachable {
  readonly channel: Channel
  subscribed(info: Omit<Subscribed, 'limits'>): void
  gap(gap: Gap): void
  /** Sends and resolves when the client may be given more, or is gone. */
  page(packet: Packet): Promise<void>
  /** Resolves when the client may be given more, or is gone. */
  drained(): Promise<void>
  /** Sends without waiting: for what is small and bounded. */
  push(packet: Packet): void
  /** Tells that it is live and joins the channel, in this turn. */
  live(offset: number): void
  /** Leaves the channel, in this turn. */
  leave(): void
  behind(offset: number): void
  /** The subscription is over; `error` is told and the client is not to come back by itself. */
  end(error: WireError): void
  /** `true` when so much waits to be written that the client has to go back to reading. */
  readonly overfull: boolean
}
