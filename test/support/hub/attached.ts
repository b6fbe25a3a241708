/** A hub in an HTTP server of a test's own, as in somebody's program. Both are gone when the test is. */

import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Server as SocketIo } from 'socket.io'
import type { Hub } from '../../../server/index.ts'
import { atEnd } from '../ending.ts'

/** Gives its address. `listener`: what answers requests; the hub by default. */
export async function serveAttached(hub: Hub, listener: RequestListener = hub.handler): Promise<string> {
  const server = createServer(listener)
  hub.attach(server)
  return await served(hub, server, () => {
    server.closeAllConnections()
    server.close()
  })
}

/** The same, with a Socket.IO of the test's own on `server`. */
export async function serveWith(hub: Hub, server: Server, io: SocketIo): Promise<string> {
  hub.attach(io)
  return await served(hub, server, () => io.close())
}

async function served(hub: Hub, server: Server, close: () => void | Promise<void>): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(async () => {
    await hub.close()
    await close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
