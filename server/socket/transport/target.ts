/**
 * What a hub is attached to, and who else listens there. Two Socket.IO servers that take the same request of one HTTP
 * server end the process: one that is there already is told, and one that comes later gets nothing of the hub's.
 */

import { Server as HttpServer, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Server } from 'socket.io'
import { RepriseError } from '../../../shared/errors.ts'
import { servePlainly } from './plainRequests.ts'

/** A Socket.IO server (4 or newer) of the program's own, of whatever copy of the package. */
export interface ProgramServer {
  of(name: RegExp): unknown
  readonly engine: unknown
}

type Listener = (...args: unknown[]) => unknown

/** Throws `bad_request` or `conflict` for what no hub can be attached to. */
export function targetOf(target: unknown): HttpServer | Server {
  if (isSocketServer(target)) return target
  if (typeof target === 'function') {
    throw new RepriseError('bad_request', 'attach: an app is no server: hub.attach(createServer(app))')
  }
  if (!isHttpServer(target)) {
    const what = target === null || typeof target !== 'object' ? String(target) : 'what was given'
    throw new RepriseError(
      'bad_request',
      `attach: ${what} is neither a Socket.IO server nor an HTTP server that speaks HTTP/1.1; with HTTP/2, createSecureServer({ allowHTTP1: true })`,
    )
  }
  if (hasEngine(target)) {
    throw new RepriseError(
      'conflict',
      'attach: a Socket.IO server listens on this HTTP server already: hand that one over, hub.attach(io)',
    )
  }
  return target
}

/** A program's own server; the class may come from another copy of the package, so its methods count. */
export function isSocketServer(target: unknown): target is Server {
  return typeof target === 'object' && target !== null && 'of' in target && typeof target.of === 'function'
}

/** HTTP/2 has these two only where it speaks HTTP/1.1 as well; servers of plain TCP never do. */
function isHttpServer(target: unknown): target is HttpServer {
  if (target instanceof HttpServer) return true
  if (typeof target !== 'object' || target === null) return false
  const { requestTimeout, listeners, on } = target as Record<string, unknown>
  return typeof requestTimeout === 'number' && typeof listeners === 'function' && typeof on === 'function'
}

/** Engine.IO adds these two to whatever it listens on, in each of its versions. */
function hasEngine(http: HttpServer): boolean {
  const names = (event: string) => http.listeners(event).map(({ name }) => name)
  return names('listening').includes(INIT) && names('close').includes('bound close')
}

const INIT = 'bound init'

function ignore(): void {}

/** Keeps the requests to `path` with the engine that was put on the server last, whoever comes later. */
export function keepPath(http: HttpServer, path: string, notice: (message: string) => void): void {
  const prefix = `${path}/`
  const isOurs = ({ url = '' }: IncomingMessage) => url.startsWith(prefix)
  const [request] = http.listeners('request').slice(-1) as Listener[]
  const [upgrade] = http.listeners('upgrade').slice(-1) as Listener[]
  if (request === undefined || upgrade === undefined) return

  http.off('upgrade', upgrade)
  http.prependListener('upgrade', (asked: IncomingMessage, socket: Duplex, head: Buffer) => {
    // Node's own listener has just gone, and Engine.IO's comes later, or not at all: an error in between, such as one of a
    // reply to a request before on this connection, would end the process. One is enough for all upgrades of a connection.
    if (!socket.listeners('error').includes(ignore)) socket.on('error', ignore)
    if (servePlainly(http, asked, socket, head)) return
    const { url } = asked
    // Before anything that the engine does later.
    queueMicrotask(() => {
      asked.url = url
    })
    upgrade.call(http, asked, socket, head)
    // Whoever hears of it next finds nothing of its own.
    if (isOurs(asked)) asked.url = '/'
  })

  http.on('newListener', (event: string, { name }: Listener) => {
    if (event !== 'listening' || name !== INIT) return
    notice(
      `a second Socket.IO server was put on the HTTP server of this hub; requests to ${prefix} stay the hub's. Make one only, and hand it over: hub.attach(io)`,
    )
    // When it has put itself before all others.
    queueMicrotask(() => {
      const others = http.listeners('request') as Listener[]
      http.removeAllListeners('request')
      http.on('request', (asked, response) => {
        if (isOurs(asked)) request.call(http, asked, response)
        else for (const other of others) other.call(http, asked, response)
      })
    })
  })
}
