/** The HTTP interface put together: routes in, core out. Serves alone or within somebody's own program. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import express from 'express'
import { RepriseError } from '../../shared/errors.ts'
import { boundArrival } from '../core/guards/arrival.ts'
import type { RequestRates } from '../core/guards/requestRates.ts'
import { guard, type PageRefusal } from './guard.ts'
import { inTurn } from './pipeline.ts'
import { answerProblem, HttpRefusal, wrongMethod } from './problem.ts'
import { accessRoutes } from './routes/access.ts'
import { clientRoutes } from './routes/clients.ts'
import { cursorRoutes } from './routes/cursors.ts'
import { doctorRoutes } from './routes/doctor.ts'
import { serveHealth } from './routes/health.ts'
import { jobRoutes } from './routes/jobs.ts'
import { asksForMetrics, type MetricsAccess, serveMetrics } from './routes/metrics.ts'
import { servePages } from './routes/pages.ts'
import { queueRoutes } from './routes/queues.ts'
import { scheduleRoutes } from './routes/schedules.ts'
import { streamRoutes } from './routes/stream.ts'
import { topicRoutes } from './routes/topics.ts'
import { type Route, type RoutesContext, serveRoutes } from './routes.ts'
import { asyncApi } from './schemas/asyncapi.ts'
import { openApiOf } from './schemas/openapi.ts'

export interface AppContext extends RoutesContext {
  /** How long a body may take that hardly comes. */
  readonly bodyTimeoutMs: number
  /** Why the page behind a request may not use the hub; `undefined` when it may. */
  readonly pageRefusal: PageRefusal
  /** Of one address. */
  readonly requests: RequestRates
  /** `undefined` where they are on a port of their own. */
  readonly metrics: MetricsAccess | undefined
  /** Where its Socket.IO is, for console and demo; absent where the hub has none. */
  readonly socketPath: string | undefined
}

/** For `createServer`, or as middleware: paths that are not the hub's go on to `next`. */
export type HubHandler = (request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void) => void

const rows: readonly Route[] = [
  ...topicRoutes,
  ...streamRoutes,
  ...cursorRoutes,
  ...accessRoutes,
  ...clientRoutes,
  ...doctorRoutes,
  ...queueRoutes,
  ...jobRoutes,
  ...scheduleRoutes,
]

const OWN_PATHS = ['/openapi.json', '/asyncapi.json', '/healthz', '/readyz']

export function createApp(context: AppContext): HubHandler {
  const app = express()
  const ownPaths = context.socketPath === undefined ? OWN_PATHS : [...OWN_PATHS, '/demo']
  app.disable('x-powered-by')
  app.disable('etag')
  app.set('query parser', false)
  app.enable('case sensitive routing')
  // Made when it is first asked for, as it takes a good part of a hub's start.
  let document: object | undefined
  const guests = new WeakSet<IncomingMessage>()
  const tooSlow = new HttpRefusal(408, 'the body did not come in time', { Connection: 'close' })
  const { judge: guarded, letRead } = guard(context.pageRefusal)

  app.use(['/v1', ...ownPaths], (_request, response, next) => {
    response.setHeader('X-Content-Type-Options', 'nosniff')
    next()
  })
  app.use('/v1', (request, response, next) => {
    boundArrival(request, context.bodyTimeoutMs, () => {
      if (response.headersSent) request.destroy()
      else answerProblem(response, tooSlow, `${request.method} ${request.path}`, context.telemetry)
    })
    next()
  })
  const rated: express.RequestHandler = async (request, response, next) => {
    const tooMany = await context.requests.refusal(request)
    if (tooMany === undefined) return next()
    if (!letRead(request, response)) throw tooMany
  }
  app.use(['/v1', '/openapi.json', '/asyncapi.json'], rated)
  app.use('/v1', guarded, oneSegment, serveRoutes(rows, context))
  app.get('/openapi.json', guarded, (_request, response) => {
    document ??= openApiOf(rows)
    response.set('Cache-Control', 'no-cache').json(document)
  })
  app.get('/asyncapi.json', guarded, (_request, response) => {
    response.set('Cache-Control', 'no-cache').json(asyncApi())
  })
  app.use(serveHealth(context.core))
  const isGuest = (request: IncomingMessage): boolean => guests.has(request)
  const { metrics } = context
  if (metrics !== undefined) app.use(serveMetrics(metrics, context, [rated, guarded], isGuest))
  app.use(servePages(isGuest, context.socketPath))
  app.all(ownPaths, (request) => {
    throw wrongMethod(request.method, request.path)
  })
  app.use((error: unknown, request: express.Request, response: express.Response, _next: express.NextFunction) => {
    answerProblem(response, error, `${request.method} ${request.path}`, context.telemetry)
  })

  return (request, response, next) => {
    const begin = () => serve(request, response, next)
    const own = metrics !== undefined && asksForMetrics(metrics, request.url, next !== undefined)
    if (own || request.url?.startsWith('/v1/') === true) inTurn(request, response, begin)
    else begin()
  }

  function serve(request: IncomingMessage, response: ServerResponse, next: Parameters<HubHandler>[2]): void {
    if (next !== undefined) guests.add(request)
    const prototypes = [Object.getPrototypeOf(request), Object.getPrototypeOf(response)] as const
    app(request as express.Request, response as express.Response, (error) => {
      // The program around goes on with its own `request.app`, `request.query` and so on.
      Object.setPrototypeOf(request, prototypes[0])
      Object.setPrototypeOf(response, prototypes[1])
      if (next !== undefined) return next(error)
      const path = request.url?.split('?', 1)[0]
      answerProblem(response, error ?? notFound(request.method, path), `${request.method} ${path}`, context.telemetry)
    })
  }
}

/** `/queues/x/dead/…` is `/queues/x%2Fdead/…`, so that a queue's name is one part of the path. */
function oneSegment(request: express.Request, _response: express.Response, next: express.NextFunction): void {
  request.url = request.url.replace(/^(\/queues\/[^/?]+)\/dead(?=[/?]|$)/, '$1%2Fdead')
  next()
}

function notFound(method: string | undefined, path: string | undefined): RepriseError {
  return new RepriseError('not_found', `there is no ${method} ${path}; the interface is at /openapi.json`)
}
