/**
 * The part of the store's contract that is about schedules: what adds jobs to a queue again and again. What store.ts says of
 * every method holds here, too.
 *
 * The store knows a schedule by its queue and name, keeps it, and finds it when its next time has come. When that is, and
 * what it adds then, is the hub's to say. A schedule has a version, which is another one after each change. `fireSchedule`
 * adds the jobs and moves the schedule on in one step, and only from the version that the caller has seen. So whoever comes
 * second, on another node or after a lost answer, is told `conflict`: each due time counts once.
 *
 * `queue` is not a `/dead`. A schedule makes its queue known.
 */

import type { Body, ListQuery } from './basics.ts'
import type { Enqueue, Enqueued } from './queues.ts'

export interface StoredSchedule {
  readonly name: string
  readonly version: string
  /** What the hub keeps of it, opaque to the store. */
  readonly spec: string
  /** What its jobs hold. `undefined`: the checksum is wrong. */
  readonly body: Body | undefined
  /** When it is due next; absent when it is over. */
  readonly nextAt?: number
}

export interface PutSchedule {
  /** Of the schedule that is replaced; without it there must be none of this name. */
  readonly version?: string
  readonly spec: string
  readonly body: Body
  readonly nextAt?: number
  /** `too_many` when it is new and the queue has so many. */
  readonly most: number
}

export interface FireSchedule {
  readonly version: string
  /** As it is afterwards. */
  readonly spec: string
  readonly nextAt?: number
  /** Without a producer and a binding. `drafts` may be empty: then it only moves on. */
  readonly enqueue: Enqueue
}

export interface DueSchedules {
  /** The store's time. */
  readonly now: number
  /** Those whose time has come, the most overdue ones of each queue first. */
  readonly due: readonly { readonly queue: string; readonly schedule: StoredSchedule }[]
  /**
   * When the next one falls due, of queues where none is due now. It may be too early, never too late. Of the others it is
   * told when those that are due have fired.
   */
  readonly nextAt?: number
}

export interface Schedules {
  /** Makes or replaces a schedule. `conflict`: its version is another one. Answers its version from now on. */
  putSchedule(queue: string, name: string, schedule: PutSchedule): Promise<string>

  /** `false` when there was none. */
  removeSchedule(queue: string, name: string): Promise<boolean>

  /**
   * Adds jobs as `enqueue` does, and moves the schedule on: both or nothing. `conflict`: there is none, its version is
   * another one, or its time has not come. Otherwise refused as `enqueue` is.
   */
  fireSchedule(queue: string, name: string, fire: FireSchedule): Promise<Enqueued>

  /** Schedules of a queue, in the order of their names' bytes. */
  schedules(queue: string, query: ListQuery): Promise<StoredSchedule[]>

  /** At most `limit` of those that are due, none of the queues in `without`. Empty only when no others are due. */
  dueSchedules(limit: number, without: ReadonlySet<string>): Promise<DueSchedules>

  /**
   * Calls `listener` after a schedule was put, on any node, and when that may have been missed. The result stops it.
   */
  watchSchedules(listener: () => void): () => void
}
