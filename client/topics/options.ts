/** What a subscription is given: its handler and options, checked. */

import { RepriseError } from '../../shared/errors.ts'
import type { Position } from '../../shared/positions.ts'
import type { From, SubscribeQuery } from '../../shared/protocol.ts'
import type { SubscribeOptions, TransactionOptions } from '../api.ts'
import { check, checkNames, checkWord } from '../optionChecks.ts'

const OPTIONS = [
  'from',
  'onGap',
  'ack',
  'concurrency',
  'onFailure',
  'maxAttempts',
  'retry',
  'maxQueue',
  'maxQueueBytes',
  'transaction',
] as const satisfies readonly (keyof TransactionOptions)[]

/** Throws `bad_request` for a handler or options that are none. Numbers are checked where they are used. */
export function checkSubscribe(handler: unknown, options: SubscribeOptions): void {
  if (typeof handler !== 'function') throw new RepriseError('bad_request', 'subscribe takes a function')
  checkNames('subscribe', options, OPTIONS)
  checkFrom(options.from)
  checkWord('ack', options.ack, ['auto', 'manual'])
  checkWord('onFailure', options.onFailure, ['stop', 'skip'])
  checkWord('onGap', options.onGap, ['continue', 'end', 'fail'])
  const { transaction, concurrency } = options as Partial<TransactionOptions>
  check(
    'transaction',
    transaction,
    typeof transaction === 'object' && transaction !== null,
    'a database, or { db, stores }',
  )
  const alone = transaction === undefined || concurrency === undefined || concurrency === 1
  check('concurrency', concurrency, alone, '1 with transaction: positions commit one after the other')
}

/** Throws `bad_request` for what is no place in a topic. */
export function checkFrom(from: From | undefined): void {
  const { at, last } = Object(from) as { readonly at?: number; readonly last?: number }
  const isWord = from === 'cursor' || from === 'start' || from === 'end'
  const fits = isWord || isPosition(from) || Number.isFinite(at) || Number.isSafeInteger(last)
  check('from', from, fits, "'cursor', 'start', 'end', { epoch, offset }, { at: time } or { last: n }")
}

/** What the hub is asked to read: from here, else from where it decides. */
export function queryOf(from: From | undefined, { onGap }: SubscribeOptions): SubscribeQuery {
  const place = isPosition(from) ? positionOf(from) : from
  return { ...(place === undefined ? {} : { from: place }), ...(onGap === undefined ? {} : { onGap }) }
}

/** Only that of a place which is a position: an event has more. */
export function positionOf({ epoch, offset }: Position): Position {
  return { epoch, offset }
}

export function isPosition(value: unknown): value is Position {
  const { epoch, offset } = Object(value) as Partial<Position>
  return typeof epoch === 'string' && Number.isSafeInteger(offset)
}
