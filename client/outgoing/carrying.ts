/** Which trace a draft comes from: the step that the program is in goes with it, so that what follows is linked with it. */

import type { Draft } from '../../shared/protocol.ts'
import { TRACEPARENT, traceparentOf } from '../../shared/traceparent.ts'
import { registeredApi } from '../registeredApi.ts'

/** The draft with the `traceparent` of the program's active span; as it is where it has one, or there is no span. */
export function carrying<D extends Draft>(draft: D): D {
  const otel = registeredApi()
  if (otel === undefined || draft.headers?.[TRACEPARENT] !== undefined) return draft
  const { context, trace } = otel
  const active = trace.getSpanContext(context.active())
  if (active === undefined || !trace.isSpanContextValid(active)) return draft
  return { ...draft, headers: { ...draft.headers, [TRACEPARENT]: traceparentOf(active) } }
}
