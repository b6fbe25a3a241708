/** What a handler returned: the answer to a request, and the result that is kept with the job. */

import { RepriseError } from '../../shared/errors.ts'
import { measure } from '../outgoing/measure.ts'
import type { HeldJob } from './api.ts'
import { type Decision, textOf } from './outcome.ts'

/**
 * Done with a reply. Of a request whose reply cannot travel: dead with the reason, which `tell` hears; it would be the same
 * the next time. Of another job, such a result is left out: many a handler returns what it got from elsewhere.
 */
export function replying(
  { replyBy }: HeldJob,
  reply: unknown,
  maxBytes: number,
  tell: (error: unknown) => void,
): Decision {
  if (reply === undefined) return { as: 'done' }
  try {
    const { bytes } = measure(reply)
    if (bytes <= maxBytes) return { as: 'done', reply }
    throw new RepriseError('too_large', `the reply has ${bytes} bytes of JSON, the hub takes up to ${maxBytes}`)
  } catch (error) {
    if (replyBy === undefined) return { as: 'done' }
    tell(error)
    return { as: 'dead', reason: textOf(error) }
  }
}
