/** Spans of OpenTelemetry around a worker's handler. */

import { readTraceparent, TRACEPARENT } from '../../../shared/traceparent.ts'
import { registeredApi } from '../../registeredApi.ts'
import { isPromiseLike } from '../../runner.ts'
import type { HeldJob } from '../api.ts'

/** OpenTelemetry's numbers. */
const CONSUMER = 4
const ERROR = 2

/** Calls `work`, within a span where somebody traces. */
export function traced<T>(job: HeldJob<T>, work: () => unknown): unknown {
  const otel = registeredApi()
  if (otel === undefined) return work()
  const { context, trace } = otel
  const sent = readTraceparent(job.headers?.[TRACEPARENT])
  const here = context.active()
  const parent = sent === undefined ? here : trace.setSpanContext(here, { ...sent, isRemote: true })
  const attributes = {
    'messaging.system': 'reprise',
    'messaging.operation.type': 'process',
    'messaging.destination.name': job.queue,
    'messaging.message.id': job.id,
  }
  const span = trace.getTracer('reprise').startSpan('reprise.process', { kind: CONSUMER, attributes }, parent)
  const failed = (error: unknown): void => {
    span.recordException(error instanceof Error ? error : String(error))
    span.setStatus({ code: ERROR })
    span.end()
  }
  try {
    const result = context.with(trace.setSpan(parent, span), work)
    if (isPromiseLike(result)) Promise.resolve(result).then(() => span.end(), failed)
    else span.end()
    return result
  } catch (error) {
    failed(error)
    throw error
  }
}
