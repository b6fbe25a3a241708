/** What the script of a queue is asked about schedules and what it answers. */

import { encodeBody } from '../../codec.ts'
import type { Enqueued, FireSchedule, PutSchedule } from '../../contract/store.ts'
import { scheduleChanged, tooManySchedules } from '../../refusals.ts'
import { unguessable } from '../../token.ts'
import type { Argument } from '../connection/connection.ts'
import { enqueue } from '../queues/send.ts'
import type { Operation } from './batcher.ts'
import { operation, refuse, textAt } from './codec.ts'

export function putSchedule(queue: string, name: string, given: PutSchedule): Operation<string> {
  const version = unguessable()
  const { nextAt = '', most, spec } = given
  const body = encodeBody(given.body)
  const args: Argument[] = ['putSchedule', name, given.version ?? '', version, String(nextAt), String(most), spec, body]
  const read = (outcome: readonly Buffer[]): string => {
    refuse(outcome, (word) => {
      if (word === 'too_many') return tooManySchedules(queue, most)
      return word === 'changed' ? scheduleChanged(queue, name) : undefined
    })
    return version
  }
  return { ...operation(args, read), bytes: body.length }
}

export function removeSchedule(name: string): Operation<boolean> {
  return operation(['removeSchedule', name], (outcome) => textAt(outcome, 1) === '1')
}

export function fireSchedule(queue: string, name: string, fire: FireSchedule): Operation<Omit<Enqueued, 'durability'>> {
  const { version, spec, nextAt = '' } = fire
  const adding = enqueue(queue, fire.enqueue)
  const args: Argument[] = ['fireSchedule', name, version, unguessable(), String(nextAt), spec]
  args.push(String(adding.args.length), ...adding.args)
  const read = (outcome: readonly Buffer[]): Omit<Enqueued, 'durability'> => {
    if (textAt(outcome, 0) === 'error' && textAt(outcome, 1) === 'changed') throw scheduleChanged(queue, name)
    return adding.read(outcome)
  }
  return { ...adding, args, size: adding.size + 1, read }
}
