/**
 * Makes the scripts for browsers smaller: a plugin of the bundler that leaves out whole modules which the SDK does not use. Of
 * Socket.IO's client these are its entry with a global cache, WebTransport, the waits of its own reconnection, and what is for
 * browsers of old; of ours what has to do with spans, which browsers have not.
 */

import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const { resolve } = createRequire(import.meta.url)
const fileOf = (name: string, file: string) =>
  JSON.stringify(join(dirname(resolve(`${name}/package.json`)), 'build/esm', file))

const HERE = dirname(fileURLToPath(import.meta.url))
const ours = (file: string) => JSON.stringify(join(HERE, '../../client', file))

/** Modules in place of others, by the end of what imports call them. */
const INSTEAD: Readonly<Record<string, string>> = {
  '/socket.io-client': `export { Manager } from ${fileOf('socket.io-client', 'manager.js')}
    export { WS as WebSocket } from ${fileOf('engine.io-client', 'transports/websocket.js')}`,
  '/parseuri.js': `export const parse = (uri) => {
    const { protocol, hostname, port, search } = new URL(uri)
    return { protocol: protocol.slice(0, -1), host: hostname.replace(/[[\\]]/g, ''), port, query: search.slice(1) }
  }`,
  '/parseqs.js': `export const encode = (query) => new URLSearchParams(query).toString().replaceAll('+', '%20')
    export const decode = (text) => Object.fromEntries(new URLSearchParams(text))`,
  '/has-cors.js': 'export const hasCORS = true',
  '/webtransport.js': 'export class WT {}',
  '/backo2.js': 'export class Backoff { reset() {} setMin() {} setMax() {} setJitter() {} }',
  '/tracing.ts': 'export const traced = (job, work) => work()',
  '/carrying.ts': 'export const carrying = (draft) => draft',
  // What other builds load when a program asks for it: a script has it within, as it is one file.
  '/parts.ts': `import * as storage from ${ours('browser/storage.ts')}
    import * as tabs from ${ours('browser/tabs/tabs.ts')}
    export const loadStorage = async () => storage
    export const loadTabs = async () => tabs`,
}

/** What the light script does without. */
const HEAVY = ['/browser/persistence.ts', '/browser/sharing.ts', '/browser/transactions.ts', '/outgoing/keeping.ts']
const LIGHT = join(HERE, 'light.ts')

/** `light`: without what outlives a page and what tabs share. */
export function slim(light: boolean) {
  const unused = new Set(Object.keys(INSTEAD))
  if (light) unused.delete('/parts.ts')
  return {
    name: 'slim',
    resolveId(id: string) {
      if (light && HEAVY.some((one) => id.endsWith(one))) return LIGHT
      const ending = Object.keys(INSTEAD).find((one) => `/${id}`.endsWith(one))
      if (ending === undefined) return undefined
      unused.delete(ending)
      return `\0instead${ending}`
    },
    load: (id: string) => (id.startsWith('\0instead') ? INSTEAD[id.slice('\0instead'.length)] : undefined),
    buildEnd(error?: Error) {
      if (error === undefined && unused.size > 0) throw new Error(`there is no ${[...unused].join(', ')} any more`)
    },
  }
}
