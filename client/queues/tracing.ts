/**
 * Spans of OpenTelemetry around a worker's handler. The API is looked up in the program, when that has registered a tracer,
 * and never bundled: browsers and programs without one pay nothing.
 */

import type * as Otel from '@opentelemetry/api'
import { readTraceparent, TRACEPARENT } from '../../shared/traceparent.ts'
import { isPromiseLike } from '../runner.ts'
import type { HeldJob } from './api.ts'

interface Globals {
  /** Where each copy of the API finds what was registered. */
  readonly [REGISTERED]?: { readonly trace?: unknown }
  readonly process?: {
    readonly argv: readonly string[]
    cwd(): string
    /** Since Node 20.16. */
    getBuiltinModule?(name: 'module'): { createRequire(from: string): (name: string) => unknown }
  }
}

const REGISTERED = Symbol.for('opentelemetry.js.api.1')
/** OpenTelemetry's numbers. */
const CONSUMER = 4
const ERROR = 2

let api: typeof Otel | null | undefined

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

function registeredApi(): typeof Otel | undefined {
  const { [REGISTERED]: registered, process } = globalThis as unknown as Globals
  if (registered?.trace === undefined || process?.getBuiltinModule === undefined) return undefined
  api ??= find(process.getBuiltinModule('module').createRequire, [process.argv[1] ?? '', `${process.cwd()}/`])
  return api ?? undefined
}

function find(createRequire: (from: string) => (name: string) => unknown, places: readonly string[]) {
  for (const place of places.filter((one) => one !== '')) {
    try {
      return createRequire(place)('@opentelemetry/api') as typeof Otel
    } catch {
      // It may be found from another place.
    }
  }
  return null
}
