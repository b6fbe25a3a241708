import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createContext, runInContext } from 'node:vm'
import { gzipSync } from 'node:zlib'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../build.ts'
import { writeClientPackage } from '../../client/bundle.ts'
import { ensureBuilt } from '../support/built.ts'
import { run } from '../support/process.ts'
import { tempFolder } from '../support/temp.ts'

interface Packed {
  readonly filename: string
  readonly files: readonly { readonly path: string }[]
}

const INSTALL = ['install', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error']
const NODE = process.execPath

/** Packs as a release does, but without building again. */
async function pack(folder: string): Promise<{ tarball: string; files: string[] }> {
  const target = await tempFolder()
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', target]
  const { stdout, stderr, code } = await run(['npm', ...args], { cwd: folder })
  if (code !== 0) throw new Error(stderr)
  const answer: unknown = JSON.parse(stdout)
  const [packed] = (Array.isArray(answer) ? answer : Object.values(answer as object)) as Packed[]
  if (packed === undefined) throw new Error(`npm pack said nothing: ${stdout}`)
  return { tarball: join(target, packed.filename), files: packed.files.map(({ path }) => path) }
}

/** An empty program that has installed the tarball from the registry, as a user does. */
async function install(tarball: string): Promise<string> {
  const folder = await tempFolder()
  await writeFile(join(folder, 'package.json'), '{ "name": "consumer", "private": true, "type": "module" }')
  const { code, stdout, stderr } = await run(['npm', ...INSTALL, tarball], { cwd: folder, deadlineMs: 170_000 })
  if (code !== 0) throw new Error(`npm install: ${stdout}${stderr}`)
  return folder
}

async function runModule(folder: string, name: string, text: string): Promise<string> {
  await writeFile(join(folder, name), text)
  const { code, stdout, stderr } = await run([NODE, join(folder, name)], { cwd: folder, deadlineMs: 30_000 })
  if (code !== 0) throw new Error(stderr)
  return stdout.trim()
}

/** What tsc says of a user's program; empty when it is well. The declarations themselves are checked too. */
async function typeErrors(folder: string, text: string, options: Record<string, unknown>): Promise<string> {
  const program = join(folder, `types-${String(options.module)}-${String(options.name)}`)
  await mkdir(program, { recursive: true })
  const { name: _, ...given } = options
  const compilerOptions = {
    strict: true,
    noEmit: true,
    target: 'ES2023',
    skipDefaultLibCheck: true,
    exactOptionalPropertyTypes: true,
    ...given,
  }
  await writeFile(join(program, 'program.ts'), text)
  await writeFile(join(program, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['program.ts'] }))
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
  return (await run([NODE, tsc, '-p', program, '--pretty', 'false'], { cwd: program })).stdout
}

async function complaints(folder: string): Promise<string[]> {
  const { messages, pkg } = await publint({ pkgDir: folder, strict: true, pack: 'npm' })
  return messages.map((message) => formatMessage(message, pkg, { color: false }) ?? message.code)
}

const BUNDLER = { module: 'ESNext', moduleResolution: 'bundler' }
const NODENEXT = { module: 'NodeNext' }

const CLIENT_PROGRAM = `
  import { connect, RepriseError } from 'PACKAGE'
  interface Order { readonly id: number }
  const hub = connect<{ topics: { orders: Order } }>('http://127.0.0.1:3000', { client: 'me' })
  const orders = hub.topic('orders')
  const receipt: { epoch: string; offset: number } = await orders.publish({ id: 1 })
  // @ts-expect-error an order has an id
  await orders.publish({ name: 'x' })
  const sub = orders.subscribe(async (event) => { const id: number = event.data.id; void id }, { from: 'start' })
  await sub.close()
  await hub.close()
  export const code = new RepriseError('gap', receipt.epoch).code
`

const SERVER_PROGRAM = `
  import { createServer } from 'node:http'
  import { createHub, RepriseError } from 'reprise'
  import { createTestHub } from 'reprise/testing'
  const hub = await createHub({})
  hub.attach(createServer())
  await hub.topic('orders').publish({ data: { id: 1 } })
  await hub.close()
  await using other = await createTestHub()
  export const url: string = other.url
  export { RepriseError }
`

describe('the package', () => {
  let tarball = ''
  let files: string[] = []
  let folder = ''
  beforeAll(async () => {
    await ensureBuilt()
    ;({ tarball, files } = await pack(ROOT))
    folder = await install(tarball)
  }, 240_000)

  it('holds what is built and the papers, no sources and no tests', () => {
    const strays = files.filter(
      (path) => !/^(dist|docs)\/|^(package\.json|README\.md|CHANGELOG\.md|LICENSE)$/.test(path),
    )
    expect(strays).toEqual([])
    expect(files.filter((path) => /\.test\.|(^|\/)\.built$|(?<!\.d)\.ts$/.test(path))).toEqual([])
    for (const path of ['dist/cli/main.js', 'dist/server/index.js', 'LICENSE']) expect(files).toContain(path)
  })

  it('has a manifest that keeps its promises', async () => {
    expect(await complaints(ROOT)).toEqual([])
  })

  it('gives modules a hub, a client and a hub for tests that work together', async () => {
    const text = `
      import { createHub } from 'reprise'
      import { connect } from 'reprise/client'
      import { createTestHub } from 'reprise/testing'
      const test = await createTestHub()
      const hub = connect(test.url)
      const { offset } = await hub.topic('orders').publish({ id: 1 })
      const event = await new Promise((resolve) => hub.topic('orders').subscribe(resolve, { from: 'start' }))
      console.log(typeof createHub, offset, JSON.stringify(event.data))
      await hub.close()
      await test.close()
    `
    expect(await runModule(folder, 'all.mjs', text)).toBe('function 1 {"id":1}')
  })

  it('gives CommonJS the client', async () => {
    const text = "console.log(typeof require('reprise/client').connect)"
    expect(await runModule(folder, 'client.cjs', text)).toBe('function')
  })

  it('has types for modules, with NodeNext and with bundlers', async () => {
    const typeRoots = [join(ROOT, 'node_modules/@types')]
    const options = { types: ['node'], typeRoots, skipLibCheck: true, lib: ['ES2023', 'ESNext.Disposable', 'DOM'] }
    expect(await typeErrors(folder, SERVER_PROGRAM, { ...NODENEXT, ...options, name: 'server' })).toBe('')
    expect(await typeErrors(folder, SERVER_PROGRAM, { ...BUNDLER, ...options, name: 'server' })).toBe('')
  }, 60_000)

  it('has types of the client that need no Node', async () => {
    const text = CLIENT_PROGRAM.replace('PACKAGE', 'reprise/client')
    const options = { types: [], lib: ['ES2023', 'ESNext.Disposable', 'DOM', 'DOM.Iterable'], name: 'client' }
    expect(await typeErrors(folder, text, { ...NODENEXT, ...options })).toBe('')
    expect(await typeErrors(folder, text, { ...BUNDLER, ...options })).toBe('')
  }, 60_000)

  it('has a command', async () => {
    const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string }
    const { stdout, code, stderr } = await run(['npx', '--no-install', 'reprise', '--version'], { cwd: folder })
    expect({ code, stderr, stdout: stdout.trim() }).toMatchObject({ code: 0, stdout: version })
  })
})

describe('the script', () => {
  const path = join(ROOT, 'dist/sdk/reprise-client.global.js')
  beforeAll(ensureBuilt, 60_000)

  it('defines window.Reprise and nothing else', async () => {
    const window: Record<string, unknown> = { setTimeout, clearTimeout, setInterval, clearInterval, URL, TextEncoder }
    window.window = window
    window.self = window
    const before = new Set(Object.keys(window))
    runInContext(await readFile(path, 'utf8'), createContext(window))
    expect(Object.keys(window).filter((name) => !before.has(name))).toEqual(['Reprise'])
    expect(window.Reprise).toMatchObject({ connect: expect.anything(), RepriseError: expect.anything() })
  })

  it('has at most 26 KB, compressed', async () => {
    expect(gzipSync(await readFile(path)).length).toBeLessThanOrEqual(26 * 1024)
  })
})

describe('reprise-client', () => {
  let source = ''
  let folder = ''
  beforeAll(async () => {
    await ensureBuilt()
    source = await tempFolder()
    await writeClientPackage(source, join(ROOT, 'dist/sdk'))
    folder = await install((await pack(source)).tarball)
  }, 240_000)

  it('needs nothing of the server', async () => {
    const manifest = JSON.parse(await readFile(join(folder, 'node_modules/reprise-client/package.json'), 'utf8')) as {
      name: string
      version: string
      dependencies?: Record<string, string>
    }
    const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string }
    expect(manifest).toMatchObject({ name: 'reprise-client', version })
    expect(Object.keys(manifest.dependencies ?? {}).filter((name) => name !== 'socket.io-client')).toEqual([])
    const { stdout } = await run(['npm', 'ls', '--all', '--parseable'], { cwd: folder })
    expect(stdout).not.toMatch(/lmdb|ioredis|express|node_modules\/socket\.io$/m)
  })

  it('has a manifest that keeps its promises', async () => {
    expect(await complaints(source)).toEqual([])
  })

  it('is there for modules, CommonJS and types', async () => {
    const imported = "import { connect } from 'reprise-client'\nconsole.log(typeof connect)"
    expect(await runModule(folder, 'client.mjs', imported)).toBe('function')
    const required = "console.log(typeof require('reprise-client').connect)"
    expect(await runModule(folder, 'client.cjs', required)).toBe('function')
    const text = CLIENT_PROGRAM.replace('PACKAGE', 'reprise-client')
    const options = { types: [], lib: ['ES2023', 'ESNext.Disposable', 'DOM', 'DOM.Iterable'], name: 'client' }
    expect(await typeErrors(folder, text, { ...NODENEXT, ...options })).toBe('')
  }, 60_000)
})
