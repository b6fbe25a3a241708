/** Events as JSON text over HTTP; what JSON has no form for is in content.ts. */

import { eventObject, eventText, type Kept } from '../core/topics/packet.ts'
import { httpContent } from './content.ts'

/** The stored text as it is, where there is nothing binary in it. */
export function httpEventText(event: Kept): string {
  const { json, binaries } = event.body
  if (binaries === undefined) return eventText(event)
  return JSON.stringify(httpContent(eventObject({ ...event, body: { json, binaries: [] } }), binaries))
}
