/** What a handler returned, on its way to whoever asked. */

import { RepriseError } from '../../shared/errors.ts'
import { measure } from '../outgoing/measure.ts'
import type { HeldJob } from './api.ts'
import { type Decision, textOf } from './outcome.ts'

/** Done with a reply; dead with the reason, which `tell` hears, where it cannot travel: it would be the same the next time. */
export function replying(
  { replyBy }: HeldJob,
  reply: unknown,
  maxBytes: number,
  tell: (error: unknown) => void,
): Decision {
  // Without a time nobody waits for it.
  if (reply === undefined || replyBy === undefined) return { as: 'done' }
  try {
    const { bytes } = measure(reply)
    if (bytes <= maxBytes) return { as: 'done', reply }
    throw new RepriseError('too_large', `the reply has ${bytes} bytes of JSON, the hub takes up to ${maxBytes}`)
  } catch (error) {
    tell(error)
    return { as: 'dead', reason: textOf(error) }
  }
}
