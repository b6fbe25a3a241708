/** Events as JSON text over HTTP; what JSON has no form for is in content.ts. */

import { eventText, type Kept } from '../core/topics/packet.ts'
import { httpContent } from './content.ts'

/** The stored text as it is, where there is nothing binary in it. */
export function httpEventText(event: Kept): string {
  const { offset, at, body } = event
  if (body.binaries === undefined) return eventText(event)
  return JSON.stringify({ offset, at, ...httpContent(body) })
}
