/** What a handler returned, on its way to whoever asked. */

import { RepriseError } from '../../shared/errors.ts'
import { measure } from '../outgoing/measure.ts'
import { type Decision, textOf } from './outcome.ts'

/** Done with a reply; dead with the reason, which `tell` hears, where it cannot travel: it would be the same the next time. */
export function replying(reply: unknown, maxBytes: number, tell: (error: unknown) => void): Decision {
  if (reply === undefined) return { as: 'done' }
  try {
    const { bytes } = measure(reply)
    if (bytes <= maxBytes) return { as: 'done', reply }
    throw new RepriseError('too_large', `the reply has ${bytes} bytes of JSON, the hub takes up to ${maxBytes}`)
  } catch (error) {
    tell(error)
    return { as: 'dead', reason: textOf(error) }
  }
}
