/** Somebody's own program with a hub in it, and its one page: nothing but the SDK, loaded by a `<script>`. */

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { connect } from '../../../client/index.ts'
import { createHub, type Hub } from '../../../server/index.ts'
import { atEnd } from '../ending.ts'
import { tempFolder } from '../temp.ts'

declare global {
  var Reprise: { readonly connect: typeof connect }
}

const PAGE = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>bare</title>
<script src="/sdk/reprise-client.global.js"></script>`

export interface BareSite {
  /** The address of the page. */
  readonly url: string
  readonly origin: string
  readonly hub: Hub
}

export async function startBareSite(): Promise<BareSite> {
  const hub = createHub({ store: join(await tempFolder(), 'data'), logLevel: 'silent' })
  await hub.ready
  const server = createServer((request, response) => {
    if (request.url === '/') response.setHeader('content-type', 'text/html').end(PAGE)
    else hub.handler(request, response)
  })
  hub.attach(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(async () => {
    await hub.close()
    server.closeAllConnections()
    server.close()
  })
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url: `${origin}/`, origin, hub }
}
