/** The header `traceparent` (W3C Trace Context): which step of which trace a draft comes from. */

import { MAX_HEADERS } from './protocol.ts'

export const TRACEPARENT = 'traceparent'

export interface TraceContext {
  readonly traceId: string
  readonly spanId: string
  readonly traceFlags: number
}

const FORM = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/

interface Carrier {
  readonly headers?: Readonly<Record<string, string>>
  readonly children?: readonly Carrier[]
}

/** The draft with this `traceparent`, and each of its children, unless it has one, or as many headers as it may. */
export function withTraceparent<D extends Carrier>(draft: D, traceparent: string): D {
  const { headers = {}, children } = draft
  const isOpen = headers[TRACEPARENT] === undefined && Object.keys(headers).length < MAX_HEADERS
  return {
    ...draft,
    ...(isOpen && { headers: { ...headers, [TRACEPARENT]: traceparent } }),
    ...(children !== undefined && { children: children.map((child) => withTraceparent(child, traceparent)) }),
  }
}

/** `undefined` for what is none. */
export function readTraceparent(text: string | undefined): TraceContext | undefined {
  const [, traceId = '', spanId = '', flags = ''] = FORM.exec(text ?? '') ?? []
  if (!/[1-9a-f]/.test(traceId) || !/[1-9a-f]/.test(spanId)) return undefined
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) }
}

export function traceparentOf({ traceId, spanId, traceFlags }: TraceContext): string {
  return `00-${traceId}-${spanId}-${(traceFlags & 0xff).toString(16).padStart(2, '0')}`
}

/**
 * Bytes that do not count for `limits.payload`: those of a `traceparent` in headers, which the SDK and the hub put there by
 * themselves. What is none counts, so this is no way around the limit.
 */
export function uncountedBytes(headers: Readonly<Record<string, string>> | undefined): number {
  if (headers === undefined || readTraceparent(headers[TRACEPARENT]) === undefined) return 0
  return Object.keys(headers).length === 1 ? ALONE_BYTES : BESIDE_BYTES
}

/** `,"headers":{"traceparent":"00-…"}` */
const ALONE_BYTES = 84
/** `"traceparent":"00-…",` */
const BESIDE_BYTES = 72
