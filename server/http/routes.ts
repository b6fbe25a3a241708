/**
 * What a route is, and how a table of them is served: one row names the path, what may be asked, what is answered, and
 * who does it. The OpenAPI document is made of the same rows.
 */

import express, { type Request, type Response, type Router } from 'express'
import { z } from 'zod'
import { type ErrorCode, RepriseError } from '../../shared/errors.ts'
import type { Caller, Session, TicketGate } from '../core/access.ts'
import { type Core, started } from '../core/core.ts'
import type { Addresses } from '../core/guards/addresses.ts'
import { countedAs } from '../core/guards/callers.ts'
import type { Unfinished } from '../core/guards/unfinished.ts'
import type { QueueOverrides } from '../core/queues/settings.ts'
import type { Telemetry } from '../core/telemetry.ts'
import type { TopicOverrides } from '../core/topics/settings.ts'
import { itsTurn, PAGE_WEIGHT } from '../core/turns.ts'
import { parse } from '../wire/calls.ts'
import { hasBody, readJson } from './body.ts'
import { firstOf, goneSignal } from './ending.ts'
import { answerProblem, wrongMethod } from './problem.ts'
import { parseQuery, type Query, type QueryShape, searchOf } from './schemas/query.ts'

/** What routes are handed besides the core. */
export interface RoutesContext {
  /** Resolves when the hub can serve; rejects when it never will. */
  readonly core: Promise<Core>
  /** Resolves when it can tell who calls. */
  readonly gate: Promise<TicketGate>
  readonly addresses: Addresses
  readonly telemetry: Telemetry
  /** Fires when the hub begins to drain: what waits or streams ends. */
  readonly draining: AbortSignal
  /** Bytes of a request's body. */
  readonly maxBodyBytes: number
  readonly unfinished: Unfinished
  /** Objects within a schema that a request may set. */
  readonly maxSchemaParts: number
  /** Checks a topic's settings as they are written down. Throws `bad_request`. */
  readonly readTopicSettings: (pattern: string, settings: unknown) => TopicOverrides
  /** The same of a queue's. */
  readonly readQueueSettings: (pattern: string, settings: unknown) => QueueOverrides
}

/** One request, as a route meets it. */
export interface Call {
  readonly context: RoutesContext
  readonly core: Core
  readonly gate: TicketGate
  readonly session: Session
  readonly caller: Caller
  readonly request: Request
  readonly response: Response
  /** A part of the path that the route names. */
  param(name: string): string
  /** The body. Throws `bad_request` or `too_large`. */
  json(): Promise<unknown>
  /** The same where there may be none: then `{}`. */
  jsonOrNothing(): Promise<unknown>
  /** Fires when the client is gone. */
  readonly gone: AbortSignal
  /** Fires when what waits is to stop waiting: the client is gone, its session has ended, or the hub drains. */
  over(): AbortSignal
  /** Says that what was asked is only tried: nothing is changed, and nobody is told so. */
  tries(): void
}

/** A body that is JSON text already. */
export class JsonText {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** Of a route that takes none. */
const NO_BODY = z.strictObject({})

/** What every EventSource asks for, and nothing else. */
const EVENT_STREAM = 'text/event-stream'

export interface RouteOf<Shape extends QueryShape> {
  /** What a generated client calls it. */
  readonly id: string
  readonly method: 'get' | 'post' | 'put' | 'delete'
  /** Behind `/v1`, with `:name` for its variable parts. */
  readonly path: string
  readonly summary: string
  /** What may be asked; nothing by default. */
  readonly query?: Shape
  /** What the body may be. */
  readonly body?: z.ZodType
  readonly bodyOptional?: true
  /** Headers that the route heeds. */
  readonly headers?: Readonly<Record<string, string>>
  /** Of what went well. Default: 200, or 204 where there is no answer. */
  readonly status?: 201
  /** What the answer is; a media type for one that is no JSON. */
  readonly answer?: z.ZodType | string
  /** What it may refuse with besides what every route may. */
  readonly refuses?: readonly ErrorCode[]
  /** Whether a ticket opens it, too. */
  readonly ticketed?: true
  /** Whether somebody who manages the hub changes something by it: it is told who did. */
  readonly acts?: true
  /** The answer: JSON text, or a value to be made that. What is no JSON it writes itself. */
  run(call: Call, query: Query<Shape>): Promise<unknown>
}

export interface Route extends Omit<RouteOf<QueryShape>, 'run' | 'query' | 'status'> {
  readonly query: QueryShape
  readonly status: number
  handle(call: Call): Promise<unknown>
}

export function route<const Shape extends QueryShape = Record<never, never>>({ run, ...rest }: RouteOf<Shape>): Route {
  const query = rest.query ?? ({} as Shape)
  const status = rest.status ?? (rest.answer === undefined ? 204 : 200)
  return { ...rest, query, status, handle: (call) => run(call, parseQuery(query, searchOf(call.request.url))) }
}

/** What a list answers: the first `limit` of what `find` finds, and where the next page begins where there is more. */
export async function pageOf<Found, Shown>(
  name: string,
  { after, limit = DEFAULT_LIST }: { readonly after?: string | undefined; readonly limit?: number },
  find: (query: { readonly after?: string | undefined; readonly limit: number }) => Promise<readonly Found[]>,
  show: (found: Found[]) => Promise<readonly Shown[]> | readonly Shown[],
  placeOf: (last: Found) => string,
): Promise<object> {
  const found = await find({ after, limit: limit + 1 })
  const page = found.slice(0, limit)
  const last = page.at(-1)
  const next = found.length > limit && last !== undefined ? { next: placeOf(last) } : {}
  return { [name]: await show(page), ...next }
}

const DEFAULT_LIST = 100

/** Serves the rows; other methods of their paths are told which there are, other paths that there is nothing. */
export function serveRoutes(rows: readonly Route[], context: RoutesContext): Router {
  const router = express.Router({ caseSensitive: true })
  for (const path of new Set(rows.map((row) => row.path))) {
    const here = rows.filter((row) => row.path === path)
    for (const row of here) {
      router[row.method](path, async (request, response) => {
        const { detail } = context.telemetry
        const [call, began] = [`${row.method.toUpperCase()} /v1${row.path}`, performance.now()]
        const tell = (code = {}) => detail?.({ kind: 'call', call, ms: Math.round(performance.now() - began), ...code })
        try {
          await serve(row, context, request, response)
          tell()
        } catch (error) {
          tell(error instanceof RepriseError ? { code: error.code } : {})
          answerProblem(response, error, `${row.method} ${row.path}`, context.telemetry)
        }
      })
    }
    const allow = methodsOf(here).join(', ')
    router.options(path, (_request, response) => {
      response.set('Allow', allow).status(204).end()
    })
    router.all(path, (request) => {
      throw wrongMethod(request.method, path, allow)
    })
  }
  router.use((request) => {
    throw new RepriseError('not_found', `there is no ${request.method} ${request.originalUrl.split('?')[0]}`)
  })
  return router
}

/** As an Allow header has them. */
function methodsOf(rows: readonly Route[]): string[] {
  const methods = rows.map((row) => row.method.toUpperCase())
  return [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS']
}

/** Who asks. `ticketed`: a ticket counts, too. */
export async function enter(
  { headers, url }: Request,
  address: string | undefined,
  gate: TicketGate,
  ticketed = false,
): Promise<Session> {
  const search = searchOf(url)
  const ticket = ticketed ? search.get('ticket') : null
  if (ticket !== null) return await gate.redeem(ticket)
  const { authorization } = headers
  const token = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1]
  if (gate.guarded && authorization !== undefined && token === undefined) {
    throw new RepriseError('unauthorized', 'Authorization is not Bearer and a token')
  }
  return await gate.enter({ headers, address, auth: {}, query: Object.fromEntries(search) }, token)
}

/** Fires at the end of the session; heard of until `gone`. */
function endOf(session: Session, gone: AbortSignal): AbortSignal {
  const end = new AbortController()
  const leave = session.onChange(({ kind }) => {
    if (kind === 'ended') end.abort()
  })
  if (gone.aborted) leave()
  else gone.addEventListener('abort', leave)
  return end.signal
}

/** Where the path names nothing it is what was made: a revocation. */
function tellAct(
  { id: what }: Route,
  { params }: Request,
  { subject }: Session,
  telemetry: Telemetry,
  made: unknown,
): void {
  const { id, name, ...names } = params as Readonly<Record<string, string>>
  const isNamed = Object.keys(params).length > 0
  const item = id ?? name ?? (isNamed ? undefined : (made as { readonly id?: string } | undefined)?.id)
  telemetry.happened({ kind: 'acted', what, subject, ...names, ...(item === undefined ? {} : { item }) })
}

async function serve(row: Route, context: RoutesContext, request: Request, response: Response): Promise<void> {
  if (context.draining.aborted) {
    response.shouldKeepAlive = false
    // To an EventSource an answer is the end, and a connection that breaks is not: it or its proxy tries another hub.
    if (request.get('accept') === EVENT_STREAM) {
      request.socket.destroy()
      return
    }
  }
  const core = await started(context.core)
  core.admit()
  const gone = goneSignal(request, response)
  await itsTurn(row.method === 'get' ? 2 * PAGE_WEIGHT : 1)
  if (gone.aborted) return
  const gate = await context.gate
  const address = context.addresses.of(request)
  const session = await enter(request, address, gate, row.ticketed)
  if (gone.aborted) return
  const json = () => readJson(request, context.maxBodyBytes, context.unfinished)
  // What it was to say would be lost: a purge of some jobs would be one of all.
  if (row.method !== 'get' && row.body === undefined && hasBody(request)) parse(NO_BODY, await json(), 'the body')
  let isTried = false
  const made = await row.handle({
    context,
    core,
    gate,
    session,
    // Nothing is kept for a client over HTTP, so a request takes no place of the one that a token is bound to.
    caller: { subject: session.subject, access: session, counted: countedAs(session.subject, address) },
    request,
    response,
    param: (name) => String(request.params[name] ?? ''),
    json,
    jsonOrNothing: async () => (hasBody(request) ? await json() : {}),
    gone,
    over: () => firstOf([gone, endOf(session, gone), context.draining]),
    tries: () => {
      isTried = true
    },
  })
  if (row.acts && !isTried) tellAct(row, request, session, context.telemetry, made)
  if (typeof row.answer === 'string' || response.destroyed) return
  // Whoever keeps connections goes to another hub with the next request.
  if (context.draining.aborted) response.shouldKeepAlive = false
  response.statusCode = row.status
  response.setHeader('Cache-Control', 'no-store')
  if (row.answer === undefined) {
    response.end()
    return
  }
  response.setHeader('Content-Type', 'application/json')
  response.end(made instanceof JsonText ? made.text : JSON.stringify(made))
}
