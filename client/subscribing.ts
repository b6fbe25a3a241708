/** What a subscription is given: its handler and options, checked. */

import { RepriseError } from '../shared/errors.ts'
import type { SubscribeOptions } from './face.ts'
import { checkNames, checkWord } from './options.ts'

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
] as const satisfies readonly (keyof SubscribeOptions)[]

/** Throws `bad_request` for a handler or options that are none. Numbers are checked where they are used. */
export function checkSubscribe(handler: unknown, options: SubscribeOptions): void {
  const { from } = options as { readonly from?: unknown }
  if (typeof handler !== 'function' || from === 'none') {
    throw new RepriseError('bad_request', "subscribe takes a function, and a `from` that is not 'none'")
  }
  checkNames('subscribe', options, OPTIONS)
  checkWord('ack', options.ack, ['auto', 'manual'])
  checkWord('onFailure', options.onFailure, ['stop', 'skip'])
  checkWord('onGap', options.onGap, ['continue', 'end', 'fail'])
}
