/** What a caller is told whose schedule is not what it has seen, or is one too many; in the same words by all stores. */

import { RepriseError } from '../../shared/errors.ts'

/** One has to be removed first. */
const ROOM_RETRY_MS = 60_000

export function scheduleChanged(queue: string, name: string): RepriseError {
  return new RepriseError('conflict', `the schedule ${name} of ${queue} was changed meanwhile`)
}

export function tooManySchedules(queue: string, most: number): RepriseError {
  const text = `${queue} has ${most} schedules, which is the limit (limits.schedules)`
  return new RepriseError('too_many', text, { retryAfterMs: ROOM_RETRY_MS })
}
