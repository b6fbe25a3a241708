/** Makes the script for browsers small: a plugin of the bundler that leaves out what it does not need. */

import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { EDITS, type Edits, SMALLER } from './edits.ts'
import { withoutPrivate } from './plain.ts'

const { resolve } = createRequire(import.meta.url)
const here = (file: string) => join(dirname(fileURLToPath(import.meta.url)), file)
const fileOf = (name: string, file: string) => join(dirname(resolve(`${name}/package.json`)), 'build/esm', file)

/** Modules in place of others, by the end of what imports call them. */
const INSTEAD: Readonly<Record<string, string>> = {
  ...SMALLER,
  // Their entries have a global cache, and all transports there are.
  '/socket.io-client': `export { Manager } from ${JSON.stringify(fileOf('socket.io-client', 'manager.js'))}
    export { WS as WebSocket } from ${JSON.stringify(fileOf('engine.io-client', 'transports/websocket.js'))}`,
  '/engine.io-client': `export { Polling as Fetch } from ${JSON.stringify(fileOf('engine.io-client', 'transports/polling.js'))}
    export { Socket } from ${JSON.stringify(fileOf('engine.io-client', 'socket.js'))}
    export { installTimerFunctions } from './util.js'
    export { nextTick } from './globals.node.js'`,
  '/transports/index.js': `import { WS } from ${JSON.stringify(fileOf('engine.io-client', 'transports/websocket.js'))}
    import { FetchPolling } from ${JSON.stringify(here('fetchPolling.ts'))}
    export const transports = { websocket: WS, polling: FetchPolling }`,
  '/socket.io-parser': `export { Decoder, Encoder } from ${JSON.stringify(here('parser.ts'))}`,
  '/component-emitter': `export { Emitter } from ${JSON.stringify(here('emitter.ts'))}`,
  // Browsers have no spans.
  '/tracing.ts': 'export const traced = (job, work) => work()',
  '/carrying.ts': 'export const carrying = (draft) => draft',
}

/** What the light script does without. */
const WHOLE = ['/browser/persistence.ts', '/browser/sharing.ts', '/browser/transactions.ts', '/outgoing/keeping.ts']

/** `light`: without what outlives a page and what tabs share. */
export function slim(light: boolean) {
  const unused = new Set([...Object.keys(INSTEAD), ...(light ? [] : Object.keys(EDITS))])
  return {
    name: 'slim',
    resolveId(id: string) {
      if (light && WHOLE.some((one) => id.endsWith(one))) return here('light.ts')
      const ending = Object.keys(INSTEAD).find((one) => `/${id}`.endsWith(one))
      if (ending === undefined) return undefined
      unused.delete(ending)
      return `\0instead${ending}`
    },
    load: (id: string) => (id.startsWith('\0instead') ? INSTEAD[id.slice('\0instead'.length)] : undefined),
    transform(code: string, id: string) {
      if (id.endsWith('.ts')) return withoutPrivate(whole(code), id)
      const [path, edits] = Object.entries(EDITS).find(([ending]) => id.endsWith(ending)) ?? []
      if (path === undefined || edits === undefined) return undefined
      unused.delete(path)
      return edited(path, code, edits)
    },
    buildEnd(error?: Error) {
      if (error === undefined && unused.size > 0) throw new Error(`there is no ${[...unused].join(', ')} any more`)
    },
  }
}

/** Throws where something is not there, as in another version of the package. */
function edited(path: string, code: string, { without = [], put = [] }: Edits): string {
  const missing = new Set(without)
  const file = ts.createSourceFile(path, code, ts.ScriptTarget.ES2022)
  const members = file.statements.filter(ts.isClassDeclaration).flatMap((one) => [...one.members])
  let text = code
  for (const member of members.reverse()) {
    const name = member.name?.getText(file)
    if (name === undefined || !without.includes(name)) continue
    missing.delete(name)
    text = text.slice(0, member.getFullStart()) + text.slice(member.end)
  }
  for (const [from, to] of put) {
    const changed = text.replaceAll(typeof from === 'string' ? from : new RegExp(from, 'gs'), () => to)
    if (changed === text) missing.add(String(from))
    text = changed
  }
  if (missing.size > 0) throw new Error(`${path} has no ${[...missing].join(', ')}: see build/script/edits.ts`)
  return text
}

/** What is loaded when it is needed is in the script from the beginning. */
function whole(code: string): string {
  const imports: string[] = []
  const text = code.replace(/const \{ (\w+) \} = await import\(('[^']+')\)/g, (_, name: string, from: string) => {
    imports.push(`import { ${name} as loaded${name} } from ${from}\n`)
    return `const ${name} = loaded${name}`
  })
  return imports.join('') + text
}
