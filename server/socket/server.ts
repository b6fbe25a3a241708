/** The hub's own Socket.IO server on an HTTP server. */

import type { Server as HttpServer } from 'node:http'
import { Server, type Socket } from 'socket.io'
import { type ServerOptions, WebSocketServer } from 'ws'
import { RepriseError } from '../../shared/errors.ts'
import type { Addresses } from '../core/guards/addresses.ts'
import type { RequestRates } from '../core/guards/requestRates.ts'
import type { Unfinished } from '../core/guards/unfinished.ts'
import { refusalOf } from '../core/refusal.ts'
import type { Telemetry } from '../core/telemetry.ts'
import type { Entrances } from './entrances.ts'
import { boundRates, type RateRules } from './rates.ts'
import { Connections } from './transport/connections.ts'
import { parser } from './transport/encoder.ts'
import { gatherWrites } from './transport/flow.ts'
import { paceInput } from './transport/inbox.ts'
import { paceRequests } from './transport/pacing.ts'
import { guardRequests, type PageRefusal } from './transport/requests.ts'
import { keepPath } from './transport/target.ts'

export type { Server as SocketServer }

type Connection = Socket['conn']

export interface SocketServerOptions {
  /** Where Socket.IO listens. */
  readonly path: string
  readonly limits: {
    /** Bytes of one packet; above it the transport closes. */
    readonly packet: number
    readonly connectionsPerAddress: number
    readonly connectTimeoutMs: number
    readonly handshakeBytes: number
  } & RateRules
  readonly unfinished: Unfinished
  readonly addresses: Addresses
  /** Of requests of one address. */
  readonly requests: RequestRates
  readonly pageRefusal: PageRefusal
  /** Whether pages of other origins that may connect may send their cookies along. */
  readonly withCookies: boolean
  readonly telemetry: Telemetry
  /** Declares the namespaces; gives who is in them. */
  open(io: Server): Entrances
}

/** Answers to pings that the client has not read. One more ends the connection. */
const MAX_PENDING_PONGS = 100

/** Of the name of a namespace that is answered; those of the hub are shorter. */
const MAX_NAMESPACE = 256

/** Node's own, and one that is longer than proxies keep their connections (60 s). */
const NODE_KEEP_ALIVE_MS = 5_000
const KEEP_ALIVE_MS = 75_000

class BoundedWebSockets extends WebSocketServer {
  constructor(options: ServerOptions) {
    super({ ...options, maxPendingAutoPongs: MAX_PENDING_PONGS } as ServerOptions)
  }
}

export function openSocketServer(http: HttpServer, options: SocketServerOptions): Server {
  const { path, limits, unfinished, addresses, requests, telemetry, pageRefusal, withCookies } = options
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
  paceInput(io.engine, {
    handshakeBytes: limits.handshakeBytes,
    isInside: (connection, namespace) => entrances.isInside(connection, namespace),
    refuse: (connection, namespace, bytes) =>
      refuseHandshake(connection, namespace, tooLarge(bytes, limits), telemetry),
  })
  // Behind what takes their packets in, and before anything is made of them.
  io.engine.on('connection', (connection: Connection) => {
    if (addresses.of(connection.request) !== undefined) boundRates(connection, limits)
  })
  const isUsed = (connection: Parameters<Entrances['isUsed']>[0]) => entrances.isUsed(connection)
  const connections = new Connections(io.engine, {
    addresses,
    perAddress,
    connectTimeoutMs,
    maxPacketBytes,
    unfinished,
    isUsed,
  })
  const admit: Connections['admit'] = (request) => connections.admit(request)
  // First: the time that a body may take does not begin before it is read.
  paceRequests(io.engine)
  const bodyTimeoutMs = connectTimeoutMs
  guardRequests(io.engine, { telemetry, pageRefusal, requests, withCookies, bodyTimeoutMs, unfinished, admit })
  // A program that has said nothing would close connections that a proxy in front still uses.
  if (http.keepAliveTimeout === NODE_KEEP_ALIVE_MS) http.keepAliveTimeout = KEEP_ALIVE_MS
  return io
}

function tooLarge(bytes: number, { handshakeBytes }: { readonly handshakeBytes: number }): RepriseError {
  const message = `a handshake of ${bytes} bytes: at most ${handshakeBytes} (limits.handshakeBytes)`
  return new RepriseError('too_large', message)
}

/** In the form of Socket.IO, which has not seen the packet. */
function refuseHandshake(connection: Connection, namespace: string, error: RepriseError, telemetry: Telemetry): void {
  const { message } = error
  const data = refusalOf(error, 'a handshake', telemetry).toWire()
  connection.send(`4${namespace.slice(0, MAX_NAMESPACE)},${JSON.stringify({ message, data })}`)
}
