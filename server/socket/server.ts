/** The hub's own Socket.IO server on an HTTP server, and how one that exists already is told apart. */

import type { Server as HttpServer, IncomingMessage } from 'node:http'
import { Server } from 'socket.io'
import { parser } from './encoder.ts'

export type { Server as SocketServer }

export interface SocketServerOptions {
  /** Where Socket.IO listens. */
  readonly path: string
  /** Bytes of one packet; above it the transport closes. */
  readonly maxPacketBytes: number
  /** Whether a request may open a connection. */
  mayConnect(request: IncomingMessage): Promise<boolean>
}

export function openSocketServer(http: HttpServer, { path, maxPacketBytes, mayConnect }: SocketServerOptions): Server {
  return new Server(http, {
    path,
    parser,
    serveClient: false,
    maxHttpBufferSize: maxPacketBytes,
    // Who may connect is decided per request below; a page that may connect may also read what long polling answers.
    cors: { origin: true, credentials: true },
    allowRequest: (request, decide) => {
      mayConnect(request).then(
        (allowed) => decide(allowed ? null : 'origin not allowed', allowed),
        () => decide('origin not allowed', false),
      )
    },
  })
}

/** A program's own server; the class may come from another copy of the package, so its methods count. */
export function isSocketServer(target: HttpServer | Server): target is Server {
  return 'of' in target && typeof target.of === 'function'
}
