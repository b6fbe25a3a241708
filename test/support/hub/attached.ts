/** A hub in an HTTP server of a test's own, as in somebody's program. Both are gone when the test is. */

import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Hub } from '../../../server/index.ts'
import { atEnd } from '../ending.ts'

/** Gives its address. `listener`: what answers requests; the hub by default. */
export async function serveAttached(hub: Hub, listener: RequestListener = hub.handler): Promise<string> {
  const server = createServer(listener)
  hub.attach(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(async () => {
    await hub.close()
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
