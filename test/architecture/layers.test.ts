import { describe, expect, it } from 'vitest'
import { brokenLayers, LIGHT, PRODUCT } from './layers.ts'
import { exists, findCycles, readSource, readSources } from './sources.ts'

const sources = readSources()
const product = sources.filter(({ path }) => PRODUCT.some((folder) => path.startsWith(`${folder}/`)))

describe('the parts', () => {
  it('import only what lies below them, and drivers only at home', () => {
    expect(sources.flatMap(brokenLayers)).toEqual([])
  })

  it('name files that exist, with their ending', () => {
    const lost = sources.flatMap(({ path, imports }) =>
      imports.filter((one) => one.path !== undefined && !exists(one.path)).map((one) => `${path}: ${one.specifier}`),
    )
    expect(lost).toEqual([])
  })

  it('that the command line may name without loading the server import nothing themselves', () => {
    const light = sources.filter(({ path }) => LIGHT.includes(path))
    const imported = light.flatMap(({ imports }) => imports).filter(({ specifier }) => !specifier.startsWith('node:'))
    expect(imported.map(({ path }) => path).filter(isOutsideShared)).toEqual([])
  })

  it('have no cycles, not even of types', () => {
    expect(findCycles(sources)).toEqual([])
  })

  it('end the process in cli/ only', () => {
    expect(touching('process.exit', (path) => path.startsWith('cli/'))).toEqual([])
  })

  it('read the environment in server/options/ and cli/ only', () => {
    expect(touching('process.env', (path) => path.startsWith('server/options/') || path.startsWith('cli/'))).toEqual([])
  })

  function isOutsideShared(path: string | undefined): boolean {
    return path === undefined || !path.startsWith('shared/')
  }

  function touching(what: string, allowed: (path: string) => boolean): string[] {
    return product
      .filter(({ path }) => !allowed(path))
      .flatMap(({ path, touches }) => touches.filter((one) => one.what === what).map(({ line }) => `${path}:${line}`))
  }
})

describe('the rules themselves', () => {
  const broken = (path: string, text: string) => brokenLayers(readSource(path, text)).length

  it('see every way to import', () => {
    expect(broken('server/core/a.ts', "import { open } from 'lmdb'")).toBe(1)
    expect(broken('server/core/a.ts', "import type { Hub } from '../hub.ts'")).toBe(1)
    expect(broken('server/core/a.ts', "export * from '../socket/gateway.ts'")).toBe(1)
    expect(broken('server/core/a.ts', "type A = import('../http/app.ts').App")).toBe(1)
    expect(broken('server/core/a.ts', "await import('socket.io')")).toBe(1)
    expect(broken('server/core/a.ts', "import { createServer } from 'node:http'")).toBe(1)
    expect(broken('shared/a.ts', "import { readFile } from 'node:fs'")).toBe(1)
    expect(broken('client/a.ts', "import type { Store } from '../server/store/contract/store.ts'")).toBe(1)
    expect(broken('bench/a.ts', "import { main } from '../cli/main.ts'")).toBe(1)
    expect(broken('cli/commands/pub.ts', "await import('../../server/index.ts')")).toBe(1)
    expect(broken('cli/commands/serve.ts', "import { createHub } from '../../server/index.ts'")).toBe(1)
    expect(broken('server/store/lmdb/a.ts', "import { x } from '../redis/b.ts'")).toBe(1)
  })

  it('let through what is allowed', () => {
    expect(broken('server/core/topics/a.ts', "import type { Store } from '../../store/contract/store.ts'")).toBe(0)
    expect(
      broken('server/socket/a.ts', "import { Server } from 'socket.io'\nimport { x } from '../wire/calls.ts'"),
    ).toBe(0)
    expect(broken('server/store/lmdb/a.ts', "import { open } from 'lmdb'\nimport { x } from '../codec.ts'")).toBe(0)
    expect(broken('cli/commands/serve.ts', "await import('../../server/index.ts')")).toBe(0)
    expect(broken('server/hub.ts', "import { x } from './store/open.ts'")).toBe(0)
  })

  it('see rings, the environment and exits', () => {
    const ring = [readSource('a.ts', "import './b.ts'"), readSource('b.ts', "import type { A } from './a.ts'")]
    expect(findCycles(ring)).toEqual(['a.ts → b.ts → a.ts'])
    const text = "import { env } from 'node:process'\nprocess.exit(1)\nprocess['env']\nconst { exit } = process"
    expect(readSource('a.ts', text).touches.map(({ line }) => line)).toEqual([1, 2, 3, 4])
  })
})
