/** What a subscription is given by its topic's handle. */

import type { Place } from '../browser/persistence.ts'
import type { Warnings } from '../connection/warnings.ts'
import type { Channel } from './channel.ts'

export interface SubscriptionContext {
  readonly topic: string
  readonly client: string | undefined
  readonly channel: Channel
  readonly drainMs: number
  readonly warnings: Warnings
  /** Where the subscription of an earlier page was. */
  readonly place: Place | undefined
  /** The subscription is over and wants nothing more of its channel. */
  detach(): void
}
