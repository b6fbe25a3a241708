/**
 * Every request of Engine.IO before it does anything: handshakes, polls, posts, preflights, upgrades. Engine.IO itself
 * asks at the handshake only, and lets `<script>` in.
 */

import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Server, Socket } from 'socket.io'
import type { RepriseError } from '../../../shared/errors.ts'
import { boundArrival } from '../../core/guards/arrival.ts'
import type { RequestRates } from '../../core/guards/requestRates.ts'
import { tooMuchUnfinished, type Unfinished } from '../../core/guards/unfinished.ts'
import type { Telemetry } from '../../core/telemetry.ts'
import { turnOfConnection } from '../../core/turns.ts'
import { connectionOf, type EngineRequest, paceRequests } from './pacing.ts'

type Engine = Server['engine']
type Connection = Socket['conn']
type Next = (error?: Error) => void

/** Why a request may not be served. */
export interface Refused {
  readonly status: 400 | 403 | 405 | 408 | 429 | 503
  readonly message: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Why the page behind a request may not connect; `undefined` when it may. */
export type PageRefusal = (request: IncomingMessage) => Promise<string | undefined>

const METHODS = 'GET, POST, OPTIONS'
const PREFLIGHT_S = '600'
/** Engine.IO's own numbers for what it refuses. */
const BAD_REQUEST = 3
const FORBIDDEN = 4

const LATE: Refused = { status: 408, message: 'the body did not come in time' }
const FULL: Refused = { status: 503, message: tooMuchUnfinished().message, headers: { 'Retry-After': '1' } }
const JSONP = 'JSONP polling (j=) is off, as it lets any page in: use polling without j, or WebSocket'

export interface RequestRules {
  readonly telemetry: Telemetry
  readonly pageRefusal: PageRefusal
  readonly requests: RequestRates
  /** Whether pages that may connect may send their cookies along. */
  readonly withCookies: boolean
  /** How long a body may take that hardly comes. */
  readonly bodyTimeoutMs: number
  readonly unfinished: Unfinished
  /** What else speaks against a request that begins a connection. */
  admit(request: IncomingMessage): Refused | undefined
}

/** Holds the rules at each request of the hub's own Socket.IO server. */
export function guardRequests(engine: Engine, rules: RequestRules): void {
  const { telemetry, pageRefusal, requests, withCookies, bodyTimeoutMs, unfinished, admit } = rules
  const refuse = refusing(telemetry)
  engine.use((request: EngineRequest, response: unknown, next: Next) => {
    void (async () => {
      const tooMany = await requests.refusal(request)
      if (tooMany !== undefined) return refuse(request, response, tooOften(tooMany), next)
      const begins = request.method !== 'OPTIONS' && request._query.sid === undefined
      if (begins) await turnOfConnection()
      const refused = await judge(request, begins)
      if (refused !== undefined) return refuse(request, response, refused, next)
      if (!(response instanceof ServerResponse)) return next()
      boundArrival(request, bodyTimeoutMs, () => refuse(request, response, LATE, next))
      response.setHeader('X-Content-Type-Options', 'nosniff')
      allowPage(request, response, withCookies)
      if (request.method === 'OPTIONS') {
        response.writeHead(204).end()
        return
      }
      next()
      // Engine.IO reads it from this turn on.
      if (request.method === 'POST') {
        countBody(request, unfinished, () => {
          // Engine.IO goes on keeping what comes until the request is gone.
          response.once('close', () => request.destroy())
          refuse(request, response, FULL, next)
        })
      }
    })()
  })

  async function judge(request: EngineRequest, begins: boolean): Promise<Refused | undefined> {
    const { method = '' } = request
    if (!['GET', 'POST', 'OPTIONS'].includes(method)) {
      return { status: 405, message: `${method} is nothing here; there is ${METHODS}`, headers: { Allow: METHODS } }
    }
    if (request._query.j !== undefined) return { status: 400, message: JSONP }
    const why = await pageRefusal(request)
    if (why !== undefined) return { status: 403, message: why }
    return begins ? admit(request) : undefined
  }
}

function tooOften({ message, retryAfterMs = 0 }: RepriseError): Refused {
  return { status: 429, message, headers: { 'Retry-After': String(Math.ceil(retryAfterMs / 1_000)) } }
}

/** Counts what has come of it until it is complete. */
function countBody(request: IncomingMessage, unfinished: Unfinished, letGo: () => void): void {
  const held = unfinished.hold(letGo)
  request.on('data', (chunk: Buffer | string) => held.add(chunk.length))
  request.once('close', () => held.end())
}

/**
 * The same for connections of a program's own Socket.IO server once they use the hub; its other connections are the
 * program's. Gives what speaks against a connection that would enter.
 */
export class GuestRequests {
  readonly #pageRefusal: PageRefusal
  readonly #refuse: ReturnType<typeof refusing>
  readonly #engines = new WeakSet<Engine>()
  readonly #inside = new WeakSet<object>()
  readonly #tainted = new WeakMap<object, string>()

  constructor(pageRefusal: PageRefusal, telemetry: Telemetry) {
    this.#pageRefusal = pageRefusal
    this.#refuse = refusing(telemetry)
  }

  /** Watches the requests of the server as soon as it has an engine. */
  watch(io: Server): void {
    const engine = io.engine as Engine | undefined
    // WebTransport does not work on an engine that has a middleware.
    if (engine === undefined || this.#engines.has(engine) || engine.opts?.transports?.includes('webtransport')) return
    this.#engines.add(engine)
    engine.use((request: EngineRequest, response: unknown, next: Next) => {
      void held(request, response, async () => {
        const connection = connectionOf(engine, request)
        if (connection === undefined || request.method === 'OPTIONS') return next()
        const why = await this.#pageRefusal(request)
        if (why === undefined) return next()
        if (this.#inside.has(connection)) return this.#refuse(request, response, { status: 403, message: why }, next)
        this.#tainted.set(connection, why)
        next()
      })
    })
    paceRequests(engine)
  }

  async enter(connection: Connection): Promise<string | undefined> {
    const request = connection.request as EngineRequest | null
    // Engine.IO knows nothing of the page behind a WebTransport.
    const why =
      request === null
        ? await this.#pageRefusal({ headers: { origin: 'null' }, socket: {} } as IncomingMessage)
        : request._query.j !== undefined
          ? JSONP
          : (this.#tainted.get(connection) ?? (await this.#pageRefusal(request)))
    if (why === undefined) this.#inside.add(connection)
    return why
  }
}

/** Between two turns an upgrade's socket has nobody who listens to its errors, and an error would end the process. */
async function held({ socket }: IncomingMessage, response: unknown, run: () => Promise<void>): Promise<void> {
  if (response instanceof ServerResponse) return await run()
  const ignore = () => {}
  socket?.on('error', ignore)
  try {
    await run()
  } finally {
    socket?.off('error', ignore)
  }
}

function allowPage({ headers }: IncomingMessage, response: ServerResponse, withCookies: boolean): void {
  response.appendHeader('Vary', 'Origin')
  if (headers.origin === undefined) return
  response.setHeader('Access-Control-Allow-Origin', headers.origin)
  if (withCookies) response.setHeader('Access-Control-Allow-Credentials', 'true')
  if (headers['access-control-request-method'] === undefined) return
  response.setHeader('Access-Control-Allow-Methods', METHODS)
  response.setHeader('Access-Control-Max-Age', PREFLIGHT_S)
  const asked = headers['access-control-request-headers']
  if (asked !== undefined) response.setHeader('Access-Control-Allow-Headers', asked)
}

/** Answers in Engine.IO's form, an upgrade before it is one, and says so. */
function refusing(telemetry: Telemetry) {
  return (request: IncomingMessage, response: unknown, refused: Refused, next: Next): void => {
    telemetry.happened({
      kind: 'refused',
      code: CODES[refused.status],
      what: 'a connection',
      reason: refused.message,
    })
    answer(request, response, refused, next)
  }
}

function answer(request: IncomingMessage, response: unknown, refused: Refused, next: Next): void {
  const { status, message } = refused
  const body = JSON.stringify({ code: status === 403 ? FORBIDDEN : BAD_REQUEST, message })
  const headers = {
    Connection: 'close',
    'Content-Type': 'application/json',
    'Content-Length': String(Buffer.byteLength(body)),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...refused.headers,
  }
  if (response instanceof ServerResponse) {
    if (response.headersSent) request.destroy()
    else response.writeHead(status, headers).end(body)
    return
  }
  const { socket } = request
  if (socket === undefined) {
    next(new Error(message))
    return
  }
  socket.on('error', () => {})
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(`HTTP/1.1 ${status} ${WORDS[status]}\r\n${lines.join('')}\r\n${body}`, () => socket.destroy())
}

const CODES = {
  400: 'bad_request',
  403: 'forbidden',
  405: 'bad_request',
  408: 'bad_request',
  429: 'too_many',
  503: 'unavailable',
} as const

const WORDS = {
  400: 'Bad Request',
  403: 'Forbidden',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  429: 'Too Many Requests',
  503: 'Service Unavailable',
} as const
