/** Which trace a draft comes from: the step that the program is in goes with it, so that what follows is linked with it. */

import type { Draft } from '../../shared/protocol.ts'
import { traceparentOf, withTraceparent } from '../../shared/traceparent.ts'
import { registeredApi } from '../registeredApi.ts'

/** The draft, and its children, with the `traceparent` of the program's active span, where they have none and there is one. */
export function carrying<D extends Draft>(draft: D): D {
  const otel = registeredApi()
  if (otel === undefined) return draft
  const { context, trace } = otel
  const active = trace.getSpanContext(context.active())
  if (active === undefined || !trace.isSpanContextValid(active)) return draft
  return withTraceparent(draft, traceparentOf(active))
}
