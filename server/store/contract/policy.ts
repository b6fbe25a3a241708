/** What happens to jobs that fail, and in which order jobs are delivered: the hub's settings, as values. */

import type { Keeping } from './finished.ts'

/** Dead letters within a minute at which a queue pauses itself: more than a share of all jobs that ended, and at least `min`. */
export interface Breaker {
  readonly share: number
  readonly min: number
}

/** What happens to jobs that fail, as values: the hub's settings at this moment. */
export interface QueuePolicy {
  readonly maxAttempts: number
  /** Never empty; includes the jitter already. */
  readonly backoffMs: readonly number[]
  /** How long dead letters are kept. */
  readonly deadMs: number
  /** Deliveries go in turns over groups. */
  readonly grouped?: boolean
  readonly breaker?: Breaker
  /** What is kept of finished jobs; nothing where it is absent. */
  readonly keep?: Keeping
  /** What happens to jobs is kept for the queue's life. */
  readonly events?: boolean
}
