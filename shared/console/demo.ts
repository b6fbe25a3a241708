/** What travels in the demo's namespace: the live events of its topic, to whoever is there, and nothing afterwards. */

import type { WireError } from '../errors.ts'
import type { EventsPacket, Limits, Respond } from '../protocol.ts'

export const DEMO_NAMESPACE = '/demo'

/** Topics that the demo may show begin with this; the one without anything behind it is its default. */
export const DEMO_TOPIC = 'demo'

export interface DemoCalls {
  auth(credentials: { readonly token: string }, respond: Respond<null>): void
}

export interface DemoPackets {
  limits(limits: Limits): void
  /** From here on events come, those behind `offset`. */
  live(from: { readonly offset: number }): void
  events(packet: EventsPacket): void
  expiring(notice: { readonly inMs: number }): void
  error(error: WireError): void
}
