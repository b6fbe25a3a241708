/** How long to wait between tries. */

import type { Jitter } from './face.ts'

/**
 * Full jitter: any wait up to `baseMs * 2^attempt`, capped, so that clients which were cut off together do not come
 * back together. `attempt` counts from 0; never shorter than `retryAfterMs`, where the hub named one.
 */
export function fullJitter(attempt: number, jitter: Required<Jitter>, retryAfterMs = 0): number {
  return retryAfterMs + Math.random() * Math.min(jitter.maxMs, jitter.baseMs * 2 ** Math.min(attempt, 30))
}
