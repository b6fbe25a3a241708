/** Errors as `application/problem+json`: what was refused and why, with the status and headers that HTTP wants. */

import type { ServerResponse } from 'node:http'
import { RepriseError } from '../../shared/errors.ts'
import { ERRORS } from '../../shared/errorTable.ts'
import { refusalOf } from '../core/refusal.ts'
import type { Telemetry } from '../core/telemetry.ts'

/** For what HTTP has a status of its own; everything else has the status of its code. */
export class HttpRefusal extends RepriseError {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  constructor(status: 405 | 408 | 415, message: string, headers: Readonly<Record<string, string>> = {}) {
    super('bad_request', message)
    this.status = status
    this.headers = headers
  }
}

/** `there`: the methods that there are, as an Allow header has them. */
export function wrongMethod(method: string | undefined, path: string, there = 'GET, HEAD'): HttpRefusal {
  return new HttpRefusal(405, `${method} does not go with ${path}; there is ${there}`, { Allow: there })
}

/** When a retry is worth while and the error does not say: seconds, as the header has no less. */
const RETRY_AFTER_S = 1

/** What was said of a file that cannot be sent now. A client would wait for as many bytes. */
const OF_A_FILE = ['Content-Length', 'Content-Range', 'Accept-Ranges', 'ETag', 'Last-Modified']

/** Answers with the error. Where the answer has begun already, the connection is cut: it must not look complete. */
export function answerProblem(response: ServerResponse, error: unknown, what: string, telemetry: Telemetry): void {
  const refusal = refusalOf(requestError(error) ?? error, what, telemetry)
  if (response.headersSent) {
    response.destroy()
    return
  }
  const { code, message, retryable, retryAfterMs } = refusal
  const status = refusal instanceof HttpRefusal ? refusal.status : ERRORS[code].http
  const problem = {
    type: `urn:reprise:error:${code}`,
    title: ERRORS[code].when,
    status,
    detail: message,
    ...refusal.toWire(),
  }
  if (refusal instanceof HttpRefusal) {
    for (const [name, value] of Object.entries(refusal.headers)) response.setHeader(name, value)
  }
  if (retryable && (retryAfterMs !== undefined || status === 503)) {
    response.setHeader('Retry-After', retryAfterMs === undefined ? RETRY_AFTER_S : Math.ceil(retryAfterMs / 1_000))
  }
  if (code === 'unauthorized') response.setHeader('WWW-Authenticate', 'Bearer')
  for (const name of OF_A_FILE) response.removeHeader(name)
  response.setHeader('Cache-Control', 'no-store')
  response.setHeader('X-Content-Type-Options', 'nosniff')
  response.setHeader('Content-Type', 'application/problem+json')
  response.statusCode = status
  response.end(JSON.stringify(problem))
}

/** What the router and the server of files say of a request: a path such as `/v1/topics/%zz`, a wrong Range. */
function requestError(error: unknown): RepriseError | undefined {
  if (error instanceof RepriseError || !(error instanceof Error)) return undefined
  const { status, code } = error as { readonly status?: unknown; readonly code?: unknown }
  if (error instanceof URIError) {
    return new RepriseError('bad_request', 'the path is not properly percent-encoded', { cause: error })
  }
  // The client left in the middle of a file.
  if (code === 'ECONNABORTED') return new RepriseError('bad_request', 'the request was aborted', { cause: error })
  if (typeof status !== 'number' || status < 400 || status > 499) return undefined
  return new RepriseError(status === 404 ? 'not_found' : 'bad_request', error.message, { cause: error })
}
