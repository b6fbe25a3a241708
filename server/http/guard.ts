/**
 * Keeps pages out that may not use the hub: a request of theirs is refused before it does anything, as CORS alone would
 * only hide the answer from them. Pages of other origins that may are answered as CORS wants it.
 */

import type { IncomingMessage } from 'node:http'
import type { Request, RequestHandler, Response } from 'express'
import { RepriseError } from '../../shared/errors.ts'

const ALLOW_HEADERS = 'authorization, content-type, idempotency-key, last-event-id, traceparent'
const ALLOW_METHODS = 'GET, HEAD, POST, PUT, DELETE'
/** What pages may read of an answer besides what they always may. */
const EXPOSE_HEADERS = 'retry-after, allow'
const PREFLIGHT_S = 600

export type PageRefusal = (request: IncomingMessage) => Promise<string | undefined>

export interface Guard {
  /** Refuses pages that may not. */
  readonly judge: RequestHandler
  /**
   * Lets the page read what its request is refused with before it is judged, where one of its origin was let in already:
   * that costs a look into a set. `true` where it has answered.
   */
  letRead(request: Request, response: Response): boolean
}

/** Of origins that were let in; where a rule lets everybody in they could be without an end. */
const MAX_KNOWN = 1_000

export function guard(pageRefusal: PageRefusal): Guard {
  const known = new Set<string>()
  return {
    judge: async (request, response, next) => {
      const { origin } = request.headers
      const refusal = await pageRefusal(request)
      if (refusal !== undefined) {
        if (origin !== undefined) known.delete(origin)
        throw new RepriseError('forbidden', refusal)
      }
      response.vary('Origin')
      if (origin === undefined) return next()
      if (known.size >= MAX_KNOWN) known.clear()
      known.add(origin)
      if (!answerPage(origin, request, response)) next()
    },
    letRead(request, response) {
      const { origin } = request.headers
      response.vary('Origin')
      return origin !== undefined && known.has(origin) && answerPage(origin, request, response)
    },
  }
}

/** `true` where the request asks only whether it may ask: that is answered. */
function answerPage(origin: string, request: Request, response: Response): boolean {
  response.set({ 'Access-Control-Allow-Origin': origin, 'Access-Control-Expose-Headers': EXPOSE_HEADERS })
  if (request.method !== 'OPTIONS' || request.get('access-control-request-method') === undefined) return false
  response.set({
    'Access-Control-Allow-Methods': ALLOW_METHODS,
    'Access-Control-Allow-Headers': ALLOW_HEADERS,
    'Access-Control-Max-Age': String(PREFLIGHT_S),
  })
  response.status(204).end()
  return true
}
