/** Somebody's own program with a hub in it, and its one page: nothing but the SDK, loaded by a `<script>`, light at `/light`. */

import { join } from 'node:path'
import type * as SDK from '../../../client/index.ts'
import { createHub, type Hub, type HubOptions } from '../../../server/index.ts'
import { serveAttached } from '../hub/attached.ts'
import { tempFolder } from '../temp.ts'

declare global {
  var Reprise: typeof SDK
}

const PAGE = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>bare</title>
<script src="/sdk/reprise-client.global.js"></script>`
const LIGHT = PAGE.replace('global', 'light.global')

export interface BareSite {
  /** The address of the page. */
  readonly url: string
  readonly origin: string
  readonly hub: Hub
}

export async function startBareSite(options: HubOptions = {}): Promise<BareSite> {
  const hub = createHub({ store: join(await tempFolder(), 'data'), logLevel: 'silent', ...options })
  await hub.ready
  const origin = await serveAttached(hub, (request, response) => {
    const page = request.url === '/' ? PAGE : request.url === '/light' ? LIGHT : undefined
    if (page !== undefined) response.setHeader('content-type', 'text/html').end(page)
    else hub.handler(request, response)
  })
  return { url: `${origin}/`, origin, hub }
}
