/** What a job may have by itself: attempts, waits between them, how long a run may take, how long it is kept. */

/**
 * When a job comes again after a failed attempt: after `ms` each time, doubled at each further one up to `maxMs`, or after
 * the times of a list, one after the other. No time is more than a year.
 */
export type JobBackoff =
  | {
      readonly kind: 'fixed' | 'exponential'
      readonly ms: number
      /** Default: the queue's `maxBackoffMs`, or `ms` where that is more. */
      readonly maxMs?: number
    }
  /** 1 to 32 times; the last one counts for all further attempts. */
  | { readonly kind: 'list'; readonly ms: readonly number[] }

/** Times of a backoff's list. */
export const MAX_BACKOFFS = 32

/** Why a run that took too long is a failed attempt. */
export function overrunText(runMs: number): string {
  return `ran longer than its runMs of ${runMs} ms`
}

/** What a job has by itself, in place of the queue's settings. */
export interface JobOptions {
  /** The most attempts of this job. Default: the queue's `maxAttempts`. */
  readonly attempts?: number
  /** Default: as the queue's `backoffMs` and `maxBackoffMs` say. */
  readonly backoff?: JobBackoff
  /** A run that takes longer is over, and a failed attempt: from 1 ms to a year. Default: as long as its lease is extended. */
  readonly runMs?: number
  /** `false`: nothing is kept of it when it has ended. `ageMs`: how long it is kept, where the queue keeps any. */
  readonly keepDone?: false | { readonly ageMs?: number }
}
