/** A hub with an HTTP server of its own: what `reprise serve` runs. */

import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { HubTypes } from '../client/index.ts'
import { RepriseError } from '../shared/errors.ts'
import type { Hub } from './api.ts'
import { createHub } from './hub.ts'
import { resolveServeOptions, type ServeOptions } from './options.ts'

export interface RunningServer<S extends HubTypes = HubTypes> {
  /** `http://HOST:PORT` as it can be reached. */
  readonly url: string
  readonly hub: Hub<S>
  /** Drains: nothing new is accepted, clients are told, what was accepted is finished. */
  close(): Promise<void>
}

/**
 * Resolves when it serves. Rejects with a `RepriseError` whose message says in one line what was wrong: a taken port, a
 * data folder that is locked or cannot be written; nothing was changed then.
 */
export async function startServer<S extends HubTypes = HubTypes>(
  options: ServeOptions = {},
): Promise<RunningServer<S>> {
  const resolved = resolveServeOptions(options)
  const { port, host, drainMs, config: _file, open: _open, ...hubOptions } = resolved
  const server = createServer()
  const connections = new Set<Socket>()
  server.on('connection', (connection: Socket) => {
    connections.add(connection)
    connection.once('close', () => connections.delete(connection))
  })
  // The port comes first: a hub that cannot serve does not touch the store.
  await listen(server, port, host)
  const hub = createHub<S>(hubOptions)
  // In the turn in which the port was taken: a client that comes back while the store is opened waits for that, instead
  // of for an answer that nobody gives.
  server.on('request', hub.handler)
  hub.attach(server)
  try {
    await hub.ready
  } catch (error) {
    await hub.close()
    server.close()
    server.closeAllConnections()
    throw error
  }
  const address = server.address() as AddressInfo
  const shown = address.family === 'IPv6' ? `[${address.address}]` : address.address
  let closing: Promise<void> | undefined
  return {
    url: `http://${shown}:${address.port}`,
    hub,
    close: () => {
      closing ??= drain(server, hub, connections, drainMs)
      return closing
    },
  }
}

async function listen(server: HttpServer, port: number, host: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'EADDRINUSE' ? 'is taken by another program' : `cannot be used: ${cause.message}`
      const code = cause.code === 'EADDRINUSE' ? 'conflict' : 'bad_request'
      reject(new RepriseError(code, `port ${port} of ${host} ${why}`, { cause }))
    })
    server.listen(port, host, () => {
      server.removeAllListeners('error')
      resolve()
    })
  })
}

async function drain(
  server: HttpServer,
  hub: Pick<Hub, 'close'>,
  connections: ReadonlySet<Socket>,
  drainMs: number,
): Promise<void> {
  const stopped = new Promise<void>((resolve) => server.close(() => resolve()))
  // A client that hardly reads would not get to the end of its connection for long; nor does one that has gone silent.
  const late = setTimeout(() => {
    for (const connection of connections) connection.destroy()
  }, drainMs)
  late.unref()
  await hub.close()
  server.closeIdleConnections()
  await stopped
  clearTimeout(late)
}
