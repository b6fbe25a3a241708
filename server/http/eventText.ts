/** Events as JSON text over HTTP; what JSON has no form for is in content.ts. */

import { contentOf } from '../core/body.ts'
import { eventText, type Kept } from '../core/topics/packet.ts'
import { httpContent } from './content.ts'

/** The stored text as it is, where there is nothing binary in it. */
export function httpEventText(event: Kept): string {
  const { offset, at, body } = event
  const { json, binaries } = body
  if (binaries === undefined) return eventText(event)
  const content = { offset, at, ...contentOf({ json }) }
  return JSON.stringify(httpContent(content, binaries))
}
