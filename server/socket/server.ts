/** The hub's own Socket.IO server on an HTTP server. */

import type { Server as HttpServer } from 'node:http'
import { Server } from 'socket.io'
import { parser } from './encoder.ts'
import { guardRequests, type PageRefusal } from './requests.ts'
import { keepPath } from './target.ts'

export type { Server as SocketServer }

export interface SocketServerOptions {
  /** Where Socket.IO listens. */
  readonly path: string
  /** Bytes of one packet; above it the transport closes. */
  readonly maxPacketBytes: number
  readonly pageRefusal: PageRefusal
  /** Whether pages of other origins that may connect may send their cookies along. */
  readonly withCookies: boolean
  /** Told what a person should know. */
  notice(message: string): void
}

export function openSocketServer(http: HttpServer, options: SocketServerOptions): Server {
  const { path, maxPacketBytes, pageRefusal, withCookies, notice } = options
  const io = new Server(http, { path, parser, serveClient: false, maxHttpBufferSize: maxPacketBytes })
  keepPath(http, path, notice)
  guardRequests(io.engine, { pageRefusal, withCookies, admit: () => undefined })
  return io
}
