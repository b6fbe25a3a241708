/**
 * What is kept of jobs that have ended, as the contract has it.
 *
 * With `policy.keep`, what becomes of a job that is settled `done`, removed, purged, or dropped from the dead
 * letters by time is kept in the same step: for `keep.ageMs`, or as long as the job's own `keepMs` says, and of each of the two states no more than `keep.count`
 * jobs and `keep.bytes` bytes. What is more than that goes with the calls that end jobs or settle leases, a bounded part
 * at a time; those go first whose time ends first, of one time any. A job larger than
 * `keep.bytes` is not kept. A job that comes with the id of a finished one takes its place. Answers to requests are kept
 * by themselves, until their `replyBy`.
 *
 * Somebody may wait for the end of a job (`awaitEnd`). When it ends by then, also as a dead letter, the listeners of its
 * queue are told `answered`, and `answer` tells what became of it for up to a minute, whatever the policy keeps.
 */

import type { Body } from './basics.ts'
import type { HistoryEntry, Told } from './jobs.ts'

/** How a job ended that the queue does not have any more; one that ended as a dead letter is there as such. */
export type FinishedState = 'done' | 'removed'

/** What is kept of a job that has ended. */
export interface FinishedJob extends Told {
  readonly id: string
  readonly state: FinishedState
  readonly subject: string
  readonly key?: string
  readonly priority: number
  readonly attempts: number
  readonly deliveries: number
  readonly sentAt: number
  /** When the run began that ended it; absent where none did. Of a dead letter, the one that made it one. */
  readonly startedAt?: number
  readonly endedAt: number
  /** Of a job that was settled `done`; absent also where the checksum is wrong. */
  readonly result?: Body
  /** Of a dead letter that was removed: why it was one. */
  readonly error?: string
  /** The last 20 before it ended, oldest first. */
  readonly history: readonly HistoryEntry[]
}

export interface Keeping {
  /** Jobs of each state; 0 keeps none. */
  readonly count: number
  readonly ageMs: number
  /** Of each state, as an engine writes it: results, texts, what is told of the job. */
  readonly bytes: number
}

/** Of `<queue>` and its dead letters together, `after` the one with that id. */
export type FinishedQuery =
  | { readonly state: FinishedState; readonly after?: string | undefined; readonly limit: number }
  | { readonly ids: readonly string[] }

export interface Finished {
  /**
   * Somebody waits for the end of this job until then (see finished.ts). `false` when the job is not there, or is a dead
   * letter: it ended already, or never was. `queue` is not a `/dead`.
   */
  awaitEnd(queue: string, id: string, until: number): Promise<boolean>

  /**
   * Finished jobs in a state, those first that are kept longest, or those with these ids, as far as they are kept. `queue`
   * is not a `/dead`.
   */
  finished(queue: string, query: FinishedQuery): Promise<FinishedJob[]>
}
