/** `/metrics`: the numbers of this hub for Prometheus, beside everything else or on a port of their own. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import express, { type Request, type Router } from 'express'
import { RepriseError } from '../../../shared/errors.ts'
import { authorize } from '../../core/access.ts'
import { started } from '../../core/core.ts'
import type { PageRefusal } from '../guard.ts'
import { inTurn } from '../pipeline.ts'
import { answerProblem, HttpRefusal } from '../problem.ts'
import { enter, type RoutesContext } from '../routes.ts'

export interface MetricsAccess {
  /** As Prometheus reads it. Cheap: everybody who asks within a second gets the same. */
  readonly text: () => Promise<string>
  /** Whoever reaches it may read, also where tokens are asked for. */
  readonly open: boolean
  /** Whether they are asked for in the options: the `/metrics` of a program around is its own otherwise. */
  readonly asked: boolean
}

const PATH = '/metrics'
const TYPE = 'text/plain; version=0.0.4; charset=utf-8'
/** Of the port of their own. */
const MAX_CONNECTIONS = 100

/** Whether a request to a hub, in a program around it or alone, is for its metrics. */
export function asksForMetrics({ asked }: MetricsAccess, url: string | undefined, isGuest: boolean): boolean {
  return url?.split('?', 1)[0] === PATH && (asked || !isGuest)
}

/** `before`: what every request has to pass. `isGuest`: whether a program around has said where to go on. */
export function serveMetrics(
  { text, open, asked }: MetricsAccess,
  { core, gate, addresses }: Pick<RoutesContext, 'core' | 'gate' | 'addresses'>,
  before: readonly express.RequestHandler[],
  isGuest: (request: IncomingMessage) => boolean,
): Router {
  const router = express.Router({ caseSensitive: true, strict: true })
  router.all(PATH, (request, _response, next) => {
    next(isGuest(request) && request.baseUrl === '' && !asked ? 'router' : undefined)
  })
  router.get(PATH, ...before, async (request, response) => {
    if (!open) await checkCaller(request)
    answer(response, await text())
  })
  router.all(PATH, (request) => {
    throw wrongMethod(request.method)
  })
  return router

  async function checkCaller(request: Request): Promise<void> {
    await started(core)
    const entered = await gate
    if (!entered.guarded) return
    const session = await enter(request, addresses.of(request), entered)
    authorize({ subject: session.subject, access: session }, 'admin', '*')
  }
}

/** Serves them on a port of their own. Rejects with a `RepriseError` where that cannot be used; the result ends it. */
export async function listenForMetrics(
  { port, host }: { readonly port: number; readonly host: string },
  {
    text,
    pageRefusal,
    telemetry,
  }: Pick<MetricsAccess, 'text'> & Pick<RoutesContext, 'telemetry'> & { readonly pageRefusal: PageRefusal },
): Promise<() => void> {
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      const refusal = await pageRefusal(request)
      if (refusal !== undefined) throw new RepriseError('forbidden', refusal)
      const path = request.url?.split('?', 1)[0]
      if (path !== PATH) throw new RepriseError('not_found', `here is ${PATH} only`)
      if (request.method !== 'GET' && request.method !== 'HEAD') throw wrongMethod(request.method)
      answer(response, await text())
    } catch (error) {
      answerProblem(response, error, PATH, telemetry)
    }
  }
  const server = createServer((request, response) => inTurn(request, response, () => void serve(request, response)))
  server.maxConnections = MAX_CONNECTIONS
  await listen(server, port, host)
  return () => {
    server.close()
    server.closeAllConnections()
  }
}

function answer(response: ServerResponse, text: string): void {
  response.setHeader('Cache-Control', 'no-store')
  response.setHeader('X-Content-Type-Options', 'nosniff')
  response.setHeader('Content-Type', TYPE)
  response.end(text)
}

function wrongMethod(method: string | undefined): HttpRefusal {
  return new HttpRefusal(405, `${method} does not go with ${PATH}; there is GET, HEAD`, { Allow: 'GET, HEAD' })
}

async function listen(server: Server, port: number, host: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const text = `metrics.port: port ${port} of ${host} cannot be used: ${cause.message}`
      reject(new RepriseError(cause.code === 'EADDRINUSE' ? 'conflict' : 'bad_request', text, { cause }))
    })
    server.listen(port, host, () => {
      server.removeAllListeners('error')
      resolve()
    })
  })
}
