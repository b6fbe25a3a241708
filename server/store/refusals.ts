/** What callers are refused with, in the same words by all stores. */

import { RepriseError } from '../../shared/errors.ts'
import type { Position } from '../../shared/positions.ts'
import type { Enqueue } from './contract/store.ts'

/** What a step answers, or what it is refused with: a refusal that must not undo what came before it. */
export function orRefusal<T>(step: () => T): T | RepriseError {
  try {
    return step()
  } catch (error) {
    if (error instanceof RepriseError) return error
    throw error
  }
}

export function storeClosed(): RepriseError {
  return new RepriseError('unavailable', 'the store is closed')
}

export function otherSession(): RepriseError {
  return new RepriseError('conflict', 'another session of this client began meanwhile')
}

export function takenOver(): RepriseError {
  return new RepriseError('taken_over', 'a newer session of this client took over')
}

export function noCursor(): RepriseError {
  return new RepriseError('not_found', 'this client has no cursor on the topic')
}

export function staleEpoch({ epoch }: Position): RepriseError {
  return new RepriseError('stale_epoch', `the epoch ${JSON.stringify(epoch)} is not one of this topic's log`)
}

export function beyondEnd({ offset }: Position, end: number): RepriseError {
  return new RepriseError('bad_request', `the offset ${offset} lies beyond the end of its epoch, ${end}`)
}

export function noConsumer(queue: string): RepriseError {
  return new RepriseError('not_found', `this client does not consume ${queue}`)
}

/** The binding is not where the step begins; `stands` is where it is. */
export function bindingMoved(queue: string, topic: string, stands: Position | undefined): RepriseError {
  const where = stands === undefined ? 'there is none' : `it stands at ${stands.epoch}:${stands.offset}`
  return new RepriseError('conflict', `the binding of ${queue} to ${topic} is elsewhere: ${where}`)
}

/** A queue takes no more. */
export function queueFull({ jobs, bytes }: Enqueue['limit']): RepriseError {
  const most = [`${jobs} jobs`, `${bytes} bytes`].filter((text) => !text.startsWith('Infinity'))
  return new RepriseError('too_many', `the queue is full: it takes ${most.join(' and ')}`)
}

/** The schedule is not what the caller has seen. */
export function scheduleChanged(queue: string, name: string): RepriseError {
  return new RepriseError('conflict', `the schedule ${name} of ${queue} was changed meanwhile`)
}

/** One has to be removed first. */
const ROOM_RETRY_MS = 60_000

export function tooManySchedules(queue: string, most: number): RepriseError {
  const text = `${queue} has ${most} schedules, which is the limit (limits.schedules)`
  return new RepriseError('too_many', text, { retryAfterMs: ROOM_RETRY_MS })
}
