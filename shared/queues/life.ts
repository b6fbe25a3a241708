/** What the topic of a queue's life tells. */

/** What happens to a job. `failed` is followed by `retrying` or `dead`. */
export const LIFE_KINDS = ['sent', 'started', 'progress', 'done', 'failed', 'retrying', 'dead', 'removed'] as const
export type LifeKind = (typeof LIFE_KINDS)[number]

/** What the topic `$queue.<name>` tells, with the job's id as key. */
export interface LifeEvent {
  readonly kind: LifeKind
  readonly id: string
  /** Which attempt, from 1. */
  readonly attempt?: number
  /** Of `progress`. */
  readonly value?: unknown
  /** Of `done`: the reply, where the worker gave one. */
  readonly result?: unknown
  /** Of `failed` and `dead`: the text, or why. */
  readonly error?: string
  /** Of `sent` and `retrying`: when it falls due, where that is not at once. */
  readonly dueAt?: number
}
