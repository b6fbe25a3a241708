/** The hub's own Socket.IO server on an HTTP server. */

import type { Server as HttpServer } from 'node:http'
import { Server } from 'socket.io'
import { type ServerOptions, WebSocketServer } from 'ws'
import type { Unfinished } from '../core/guards/unfinished.ts'
import type { Telemetry } from '../core/telemetry.ts'
import type { Entrances } from './entrances.ts'
import { Connections } from './transport/connections.ts'
import { parser } from './transport/encoder.ts'
import { gatherWrites } from './transport/flow.ts'
import { paceInput } from './transport/inbox.ts'
import { paceRequests } from './transport/pacing.ts'
import { guardRequests, type PageRefusal } from './transport/requests.ts'
import { keepPath } from './transport/target.ts'

export type { Server as SocketServer }

export interface SocketServerOptions {
  /** Where Socket.IO listens. */
  readonly path: string
  readonly limits: {
    /** Bytes of one packet; above it the transport closes. */
    readonly packet: number
    readonly connectionsPerAddress: number
    readonly connectTimeoutMs: number
  }
  readonly unfinished: Unfinished
  readonly pageRefusal: PageRefusal
  /** Whether pages of other origins that may connect may send their cookies along. */
  readonly withCookies: boolean
  readonly telemetry: Telemetry
  /** Declares the namespaces; gives who is in them. */
  open(io: Server): Entrances
}

/** Answers to pings that the client has not read. One more ends the connection. */
const MAX_PENDING_PONGS = 100

/** Node's own, and one that is longer than proxies keep their connections (60 s). */
const NODE_KEEP_ALIVE_MS = 5_000
const KEEP_ALIVE_MS = 75_000

class BoundedWebSockets extends WebSocketServer {
  constructor(options: ServerOptions) {
    super({ ...options, maxPendingAutoPongs: MAX_PENDING_PONGS } as ServerOptions)
  }
}

export function openSocketServer(http: HttpServer, options: SocketServerOptions): Server {
  const { path, limits, unfinished, telemetry, pageRefusal, withCookies } = options
  const { packet: maxPacketBytes, connectTimeoutMs, connectionsPerAddress: perAddress } = limits
  const io = new Server(http, {
    path,
    parser,
    serveClient: false,
    maxHttpBufferSize: maxPacketBytes,
    wsEngine: BoundedWebSockets,
  })
  keepPath(http, path, telemetry.noticed)
  gatherWrites(io.engine)
  const entrances = options.open(io)
  paceInput(io.engine, entrances)
  const isUsed = (connection: Parameters<Entrances['isUsed']>[0]) => entrances.isUsed(connection)
  const connections = new Connections(io.engine, { perAddress, connectTimeoutMs, maxPacketBytes, unfinished, isUsed })
  const admit: Connections['admit'] = (request) => connections.admit(request)
  // First: the time that a body may take does not begin before it is read.
  paceRequests(io.engine)
  guardRequests(io.engine, { telemetry, pageRefusal, withCookies, bodyTimeoutMs: connectTimeoutMs, unfinished, admit })
  // A program that has said nothing would close connections that a proxy in front still uses.
  if (http.keepAliveTimeout === NODE_KEEP_ALIVE_MS) http.keepAliveTimeout = KEEP_ALIVE_MS
  return io
}
