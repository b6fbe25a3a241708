/** How long to wait between tries. */

import type { Jitter } from '../api.ts'
import { LONGEST_MS } from './timer.ts'

/**
 * Full jitter: any wait up to `baseMs * 2^attempt`, capped, so that clients which were cut off together do not come
 * back together. `attempt` counts from 0; never shorter than `retryAfterMs`, where the hub named one.
 * What no timer takes is cut: nobody waits for weeks on purpose.
 */
export function fullJitter(attempt: number, jitter: Required<Jitter>, retryAfterMs = 0): number {
  const mostMs = Math.min(jitter.maxMs, jitter.baseMs * 2 ** Math.min(attempt, 30), LONGEST_MS)
  return Math.min(retryAfterMs + Math.random() * mostMs, LONGEST_MS)
}
