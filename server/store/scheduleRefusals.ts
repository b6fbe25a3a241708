/** What a caller is told whose schedule is not what it has seen, or is one too many; in the same words by all stores. */

import { RepriseError } from '../../shared/errors.ts'

export function scheduleChanged(queue: string, name: string): RepriseError {
  return new RepriseError('conflict', `the schedule ${name} of ${queue} was changed meanwhile`)
}

export function tooManySchedules(queue: string, most: number): RepriseError {
  return new RepriseError('too_many', `${queue} has ${most} schedules, which is the limit (limits.schedules)`)
}
