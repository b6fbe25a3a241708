/** What the hub tells of a job. */

export interface Job {
  readonly queue: string
  readonly id: string
  readonly state: 'ready' | 'delayed' | 'held' | 'waiting' | 'dead' | 'done' | 'removed'
  readonly key?: string
  readonly group?: string
  readonly attempts: number
  /** Where its sender said it. */
  readonly maxAttempts?: number
  /** The longest that a run may take, where its sender said it. */
  readonly runMs?: number
  readonly backoff?: unknown
  readonly keepDone?: unknown
  readonly deliveries: number
  readonly priority: number
  readonly sentAt: number
  readonly startedAt?: number
  /** Of one that waits or is held. */
  readonly dueAt?: number
  /** Of one that has ended. */
  readonly endedAt?: number
  readonly result?: unknown
  readonly error?: string
  /** How many jobs it waits for, and how many of them have not ended. */
  readonly children?: { readonly count: number; readonly open: number }
  /** The job that waits for it, and the queue of that where it is another. */
  readonly parent?: string
  readonly parentQueue?: string
  readonly holder?: { readonly client: string }
  readonly expiresAt?: number
  readonly dead?: { readonly reason: string; readonly error?: string; readonly at: number }
  /** None where its record is damaged. */
  readonly data?: unknown
  readonly base64?: string
  /** The ways to what was bytes in the data. */
  readonly binary?: readonly (readonly (string | number)[])[]
  readonly headers?: Readonly<Record<string, string>>
  /** What its consumers told. */
  readonly progress?: unknown
  readonly log?: readonly { readonly at: number; readonly text: string }[]
}
