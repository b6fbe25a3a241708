/**
 * Keeps pages out that may not use the hub: a request of theirs is refused before it does anything, as CORS alone would
 * only hide the answer from them. Pages of other origins that may are answered as CORS wants it.
 */

import type { IncomingMessage } from 'node:http'
import type { RequestHandler } from 'express'
import { RepriseError } from '../../shared/errors.ts'

const ALLOW_HEADERS = 'authorization, content-type, idempotency-key, last-event-id, traceparent'
const ALLOW_METHODS = 'GET, HEAD, POST, PUT, DELETE'
/** What pages may read of an answer besides what they always may. */
const EXPOSE_HEADERS = 'retry-after, allow'
const PREFLIGHT_S = 600

export type PageRefusal = (request: IncomingMessage) => Promise<string | undefined>

export function guard(pageRefusal: PageRefusal): RequestHandler {
  return async (request, response, next) => {
    const { origin } = request.headers
    const refusal = await pageRefusal(request)
    if (refusal !== undefined) throw new RepriseError('forbidden', refusal)
    response.vary('Origin')
    if (origin === undefined) return next()
    response.set({ 'Access-Control-Allow-Origin': origin, 'Access-Control-Expose-Headers': EXPOSE_HEADERS })
    if (request.method !== 'OPTIONS' || request.get('access-control-request-method') === undefined) return next()
    response.set({
      'Access-Control-Allow-Methods': ALLOW_METHODS,
      'Access-Control-Allow-Headers': ALLOW_HEADERS,
      'Access-Control-Max-Age': String(PREFLIGHT_S),
    })
    response.status(204).end()
  }
}
