/** What a program sees of a queue's schedules. */

import type { Schedule, ScheduleSpec } from '../../shared/queues.ts'

export interface QueueSchedules<T = unknown> {
  /**
   * Makes a schedule, which adds jobs again and again, or changes it in place; so a program may call it at each start. What
   * it has counted stays, and while its times are the same, so does its next one. All calls about schedules reject with
   * `timeout` after `readTimeoutMs`.
   */
  schedule(name: string, spec: ScheduleSpec<T>): Promise<Schedule<T>>
  /** All of them, in the order of their names. Binary data is base64 text. */
  schedules(): Promise<readonly Schedule<T>[]>
  /** Rejects with `not_found` when there is none. */
  getSchedule(name: string): Promise<Schedule<T>>
  /** Adds a job of it now, beside those of its due times; resolves with the job's id. */
  runSchedule(name: string): Promise<{ readonly id: string }>
  /** `false` when there was none. Jobs that it has added stay. */
  removeSchedule(name: string): Promise<boolean>
}
