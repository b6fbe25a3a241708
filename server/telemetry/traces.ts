/**
 * Spans of OpenTelemetry for what goes through a hub. The API is an optional peer: loaded once the program has registered a
 * tracer with it, so that hubs without one pay a look for each call.
 */

import { createRequire } from 'node:module'
import type * as Otel from '@opentelemetry/api'
import { readTraceparent, TRACEPARENT, traceparentOf, withTraceparent } from '../../shared/traceparent.ts'
import type { DeliveredEvent, Spans, Traced } from '../core/telemetry.ts'

/** Where each copy of the API finds what was registered. */
const REGISTERED = Symbol.for('opentelemetry.js.api.1')
/** Further traces that a call of many drafts is linked with. */
const MAX_LINKS = 32
/** OpenTelemetry's numbers. */
const PRODUCER = 3
const ERROR = 2

let api: typeof Otel | null | undefined

function registeredApi(): typeof Otel | undefined {
  const registered = (globalThis as { readonly [REGISTERED]?: { readonly trace?: unknown } })[REGISTERED]
  if (registered?.trace === undefined) return undefined
  api ??= load()
  return api ?? undefined
}

function load(): typeof Otel | null {
  try {
    return createRequire(import.meta.url)('@opentelemetry/api') as typeof Otel
  } catch {
    return null
  }
}

export const spans: Spans = {
  around(what, name, drafts, work) {
    const otel = registeredApi()
    if (otel === undefined) return work(drafts)
    const { context, trace } = otel
    const here = context.active()
    const given = new Set(drafts.flatMap(tracesOf))
    const [first, ...others] = [...given].slice(0, MAX_LINKS).flatMap((one) => readTraceparent(one) ?? [])
    const parent = first === undefined ? here : trace.setSpanContext(here, { ...first, isRemote: true })
    const span = trace.getTracer('reprise').startSpan(
      `reprise.${what}`,
      {
        kind: PRODUCER,
        attributes: {
          'messaging.system': 'reprise',
          'messaging.operation.type': 'send',
          'messaging.destination.name': name,
          'messaging.batch.message_count': drafts.length,
        },
        links: others.map((one) => ({ context: { ...one, isRemote: true } })),
      },
      parent,
    )
    const traceparent = traceparentOf(span.spanContext())
    const carrying = drafts.map((draft) => withTraceparent(draft, traceparent))
    return context.with(trace.setSpan(parent, span), async () => {
      try {
        return await work(carrying)
      } catch (error) {
        span.recordException(error instanceof Error ? error : String(error))
        span.setStatus({ code: ERROR })
        throw error
      } finally {
        span.end()
      }
    })
  },

  delivered(topic, events, kind, subscriptions) {
    const otel = registeredApi()
    if (otel === undefined) return
    const { context, trace } = otel
    for (const event of events) {
      const sent = traceOf(event)
      if (sent === undefined) continue
      const attributes = {
        'messaging.system': 'reprise',
        'messaging.destination.name': topic,
        'reprise.offset': event.offset,
        'reprise.kind': kind,
        'reprise.subscriptions': subscriptions,
      }
      const parent = trace.setSpanContext(context.active(), { ...sent, isRemote: true })
      trace.getTracer('reprise').startSpan('reprise.deliver', { kind: PRODUCER, attributes }, parent).end()
    }
  },
}

/** Those that the draft and its children name. */
function tracesOf({ headers, children = [] }: Traced): string[] {
  const own = headers?.[TRACEPARENT]
  return [...(own === undefined ? [] : [own]), ...children.flatMap(tracesOf)]
}

/** Most events have none: they are not parsed. */
function traceOf({ body: { json } }: DeliveredEvent) {
  if (!json.includes('"traceparent":"00-')) return undefined
  const { headers } = JSON.parse(json) as { readonly headers?: Readonly<Record<string, string>> }
  return readTraceparent(headers?.[TRACEPARENT])
}
