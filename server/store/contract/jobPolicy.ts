/** What a job may have of the policy by itself, as values. */

/** What a job has by itself, in the queue and in its dead letters. What is absent is as the policy says. */
export interface JobPolicy {
  /** In place of the policy's, whichever is more. */
  readonly maxAttempts?: number
  /**
   * In place of `backoffMs`: `ms`, `ms` doubled with each further attempt, at most `maxMs`, or the times of a list, never
   * empty, the last one for all further attempts.
   */
  readonly backoff?:
    | { readonly kind: 'fixed' | 'exponential'; readonly ms: number; readonly maxMs: number }
    | { readonly kind: 'list'; readonly ms: readonly number[] }
  /** A lease and its extensions end so long after the delivery, where that is earlier than the cap of the claim. */
  readonly runMs?: number
  /** In place of `keep.ageMs`, where anything is kept; 0: this job is not. */
  readonly keepMs?: number
}
