/** The hub's own Socket.IO server on an HTTP server, and how one that exists already is told apart. */

import type { Server as HttpServer } from 'node:http'
import { Server } from 'socket.io'
import { parser } from './encoder.ts'
import { guardRequests, type PageRefusal } from './requests.ts'

export type { Server as SocketServer }

export interface SocketServerOptions {
  /** Where Socket.IO listens. */
  readonly path: string
  /** Bytes of one packet; above it the transport closes. */
  readonly maxPacketBytes: number
  readonly pageRefusal: PageRefusal
  /** Whether pages of other origins that may connect may send their cookies along. */
  readonly withCookies: boolean
}

export function openSocketServer(http: HttpServer, options: SocketServerOptions): Server {
  const { path, maxPacketBytes, pageRefusal, withCookies } = options
  const io = new Server(http, { path, parser, serveClient: false, maxHttpBufferSize: maxPacketBytes })
  guardRequests(io.engine, { pageRefusal, withCookies, admit: () => undefined })
  return io
}

/** A program's own server; the class may come from another copy of the package, so its methods count. */
export function isSocketServer(target: HttpServer | Server): target is Server {
  return 'of' in target && typeof target.of === 'function'
}
