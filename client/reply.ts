/** What a handler returned, on its way to whoever asked. */

import { RepriseError } from '../shared/errors.ts'
import { measure } from './measure.ts'
import type { Decision } from './outcome.ts'

/** Done with a reply. Throws where it cannot travel. */
export function replying(reply: unknown, maxBytes: number): Decision {
  if (reply === undefined) return { as: 'done' }
  const { bytes } = measure(reply)
  if (bytes <= maxBytes) return { as: 'done', reply }
  throw new RepriseError('too_large', `the reply has ${bytes} bytes of JSON, the hub takes up to ${maxBytes}`)
}
