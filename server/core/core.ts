/** What the edges (Socket.IO, HTTP) are handed: the hub's rules, put together by hub.ts. */

import { RepriseError } from '../../shared/errors.ts'
import type { Finding } from '../store/contract/findings.ts'
import type { Caller } from './access.ts'
import type { CallerLimits } from './guards/callers.ts'
import type { Consumers } from './queues/delivery/consumers.ts'
import type { Queues } from './queues/queues.ts'
import type { Schedules } from './queues/schedules/schedules.ts'
import type { HubQueueSettings } from './queues/settings.ts'
import type { Clients } from './seeing/clients.ts'
import type { Observer } from './seeing/observer.ts'
import type { Probe } from './seeing/probe.ts'
import type { Telemetry } from './telemetry.ts'
import type { CursorBook } from './topics/cursors.ts'
import type { Log } from './topics/log.ts'
import type { Outlet } from './topics/outlet.ts'
import type { HubSettings } from './topics/settings.ts'
import type { Subscription } from './topics/subscription.ts'

export interface Core {
  readonly log: Log
  readonly callers: CallerLimits
  readonly cursors: CursorBook
  readonly queues: Queues
  readonly schedules: Schedules
  readonly consumers: Consumers
  readonly settings: HubSettings
  readonly queueSettings: HubQueueSettings
  readonly probe: Probe
  readonly telemetry: Telemetry
  /** What the doctor says of this hub. */
  readonly condition: () => Promise<readonly Finding[]>
  /** Who is connected to this node. */
  readonly clients: Clients
  /** Who sees the hub as a whole, for the console; absent where there is none. */
  readonly observer?: () => Promise<Observer>
  /** A subscription that reaches its client through `outlet`; it does nothing before its `start`. */
  subscription(caller: Caller, topic: string, outlet: Outlet): Subscription
  /** Subscriptions of a topic on this node. */
  subscribers(topic: string): number
  /** Resolves when the store answers. Rejects with `unavailable` while it is away. */
  reachable(): Promise<unknown>
  /** Throws `unavailable` while the hub is draining. */
  admit(): void
}

/** A hub that could not start says why in its log and in `/readyz`, not to everybody; another one may, so this may pass. */
export async function started(core: Promise<Core>): Promise<Core> {
  try {
    return await core
  } catch (cause) {
    throw new RepriseError('unavailable', 'the hub could not start', { cause })
  }
}
