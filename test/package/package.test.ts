import { mkdir, mkdtemp, readFile, symlink, writeFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { createContext, runInContext } from 'node:vm'
import { gzipSync } from 'node:zlib'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../build/build.ts'
import { writeClientPackage } from '../../build/clientBundle.ts'
import { ensureBuilt } from '../support/built.ts'
import { run, startChild } from '../support/hub/process.ts'
import { diskFolder } from '../support/temp.ts'
import { until } from '../support/until.ts'
import { CLIENT_PROGRAM, LOADER, REACT_PROGRAM, SERVER_PROGRAM } from './programs.ts'

interface Packed {
  readonly filename: string
  readonly files: readonly { readonly path: string }[]
}

const INSTALL = ['install', '--prefer-offline', '--no-audit', '--no-fund']
const NODE = process.execPath

/** Packs as a release does, but without building again. */
async function pack(folder: string): Promise<{ tarball: string; files: string[] }> {
  const target = await diskFolder()
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', target]
  const { stdout, stderr, code } = await run(['npm', ...args], { cwd: folder })
  if (code !== 0) throw new Error(stderr)
  const answer: unknown = JSON.parse(stdout)
  const [packed] = (Array.isArray(answer) ? answer : Object.values(answer as object)) as Packed[]
  if (packed === undefined) throw new Error(`npm pack said nothing: ${stdout}`)
  return { tarball: join(target, packed.filename), files: packed.files.map(({ path }) => path) }
}

/** An empty program that has installed the tarball from the registry, as a user does; and what npm said to it. */
async function install(tarball: string): Promise<{ folder: string; told: string }> {
  const folder = await diskFolder()
  await writeFile(join(folder, 'package.json'), '{ "name": "consumer", "private": true }')
  const { NODE_EXTRA_CA_CERTS } = process.env
  const options = { cwd: folder, env: { NODE_EXTRA_CA_CERTS }, deadlineMs: 170_000 }
  const { code, stdout, stderr } = await run(['npm', ...INSTALL, tarball], options)
  if (code !== 0) throw new Error(`npm install: ${stdout}${stderr}`)
  return { folder, told: `${stdout}${stderr}` }
}

async function runModule(folder: string, name: string, text: string): Promise<string> {
  await writeFile(join(folder, name), text)
  const { code, stdout, stderr } = await run([NODE, join(folder, name)], { cwd: folder, deadlineMs: 30_000 })
  if (code !== 0) throw new Error(stderr)
  return stdout.trim()
}

interface Program {
  readonly files: Record<string, string>
  readonly options: object
}

/**
 * What tsc says of a user's strict programs, which skip no check of declarations but those of the language itself, and
 * name no types; empty when all is well. One run for all of them: it reads each declaration once.
 */
async function typeErrors(folder: string, programs: readonly Program[]): Promise<string> {
  const strict = { strict: true, exactOptionalPropertyTypes: true, skipDefaultLibCheck: true }
  const folders = programs.map(async ({ files, options }) => {
    const program = await mkdtemp(join(folder, 'types-'))
    const compilerOptions = { ...strict, noEmit: true, target: 'ES2022', ...options }
    for (const [name, text] of Object.entries(files)) await writeFile(join(program, name), text)
    await writeFile(join(program, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: Object.keys(files) }))
    return program
  })
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
  const args = ['-b', ...(await Promise.all(folders)), '--pretty', 'false']
  return (await run([NODE, tsc, ...args], { cwd: folder, deadlineMs: 120_000 })).stdout
}

/** Types that the declarations of an entry use and do not export. */
async function unexported(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8')
  const declared = [...text.matchAll(/^(?:export )?(?:declare )?(?:interface|type|class) (\w+)/gm)].map(
    ([, name]) => name,
  )
  const exported = new Set(
    [...text.matchAll(/^export (?:declare )?(?:interface|type|class|function) (\w+)/gm)].map(([, name]) => name),
  )
  for (const [, list = ''] of text.matchAll(/^export (?:type )?\{([^}]*)\}/gm)) {
    for (const one of list.split(','))
      exported.add(
        one
          .trim()
          .replace(/^type /, '')
          .replace(/^.* as /, ''),
      )
  }
  return declared.filter((name) => name !== undefined && !exported.has(name)) as string[]
}

/** The anchors of a paper's headings, as GitHub makes them. */
function anchorsOf(text: string): string[] {
  const heads = [...text.matchAll(/^#+ (.*)$/gm)].map(([, head = '']) => head.toLowerCase())
  return heads.map((head) => head.replace(/[^\w\- ]/g, '').replaceAll(' ', '-'))
}

/** About a package as it was installed: all that is there was packed. */
async function complaints(folder: string): Promise<string[]> {
  const { messages, pkg } = await publint({ pkgDir: folder, strict: true, pack: false })
  return messages.map((message) => formatMessage(message, pkg, { color: false }) ?? message.code)
}

const BUNDLER = { module: 'ESNext', moduleResolution: 'bundler' }
const NODENEXT = { module: 'NodeNext' }
const BROWSER = { types: [], lib: ['ES2022', 'DOM'] }

/** React as a program has it, which has installed nothing of ours for that. */
async function addReact(folder: string): Promise<void> {
  await mkdir(join(folder, 'node_modules/@types'), { recursive: true })
  for (const name of ['react', 'react-dom', 'scheduler', 'csstype', '@types/react']) {
    await symlink(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name))
  }
}

describe('the package', () => {
  let tarball = ''
  let files: string[] = []
  let folder = ''
  let told = ''
  beforeAll(async () => {
    await ensureBuilt()
    ;({ tarball, files } = await pack(ROOT))
    ;({ folder, told } = await install(tarball))
    await addReact(folder)
  }, 240_000)

  it('holds what is built and the papers, no sources and no tests', () => {
    const strays = files.filter(
      (path) =>
        !/^(dist|docs|examples\/(grafana|helm|prometheus|python))\/|^(package\.json|(client\/)?README\.md|[CS][A-Z]+\.md|LICENSE|compose\.yaml|examples\/\w+\.(conf|service|sh))$/.test(
          path,
        ),
    )
    expect(strays).toEqual([])
    expect(files.filter((path) => /\.test\.|(^|\/)\.built$|(?<!\.d)\.ts$/.test(path))).toEqual([])
    for (const path of ['dist/cli/main.js', 'dist/server/index.js', 'LICENSE']) expect(files).toContain(path)
  })

  it('holds what its papers link to', async () => {
    const broken: string[] = []
    for (const paper of files.filter((path) => path.endsWith('.md'))) {
      const text = await readFile(join(ROOT, paper), 'utf8')
      for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target)) continue
        const [path = '', anchor] = target.split('#')
        const file = path === '' ? paper : posix.join(posix.dirname(paper), path)
        const heads =
          files.includes(file) && file.endsWith('.md') ? anchorsOf(await readFile(join(ROOT, file), 'utf8')) : []
        if (!files.includes(file) || (anchor !== undefined && !heads.includes(anchor)))
          broken.push(`${paper}: ${target}`)
      }
    }
    expect(broken).toEqual([])
  })

  it('has a manifest that keeps its promises', async () => {
    expect(await complaints(join(folder, 'node_modules/reprise'))).toEqual([])
  })

  it('is installed without a word about itself', () => {
    expect(told).not.toMatch(/deprecated|EBADENGINE|ERESOLVE|peer|reprise@/)
  })

  it('gives import and require a hub, a client and a hub for tests that work together', async () => {
    const text = `
      const { createHub, RepriseError } = require('reprise')
      const { connect, RepriseError: ClientError } = require('reprise/client')
      const { createTestHub } = require('reprise/testing')
      async function main() {
        const test = await createTestHub()
        const hub = connect(test.url)
        await hub.topic('orders').publish({ id: 1 })
        const event = await new Promise((resolve) => hub.topic('orders').subscribe(resolve, { from: 'start' }))
        const error = await test.hub.topic('no name').publish(1).catch((error) => error)
        const page = await fetch(test.url + '/demo')
        console.log(JSON.stringify(event.data), error instanceof RepriseError, error instanceof ClientError, page.status)
        await hub.close()
        await test.close()
      }
      main().catch((error) => { console.error(error); process.exitCode = 1 })
    `
    const imported = text.replaceAll(/const (\{.*\}) = require\((.*)\)/g, (_, names: string, from: string) => {
      return `import ${names.replaceAll(':', ' as')} from ${from}`
    })
    await writeFile(join(folder, 'program.cjs'), text)
    const outputs = await Promise.all([
      runModule(folder, 'all.cjs', text),
      runModule(folder, 'all.mjs', imported),
      runModule(folder, 'loader.cjs', LOADER),
    ])
    expect(outputs).toEqual(Array(3).fill('{"id":1} true true 200'))
  }, 180_000)

  it('has one kind of error, however it was loaded', async () => {
    const text = `
      import { createRequire } from 'node:module'
      import * as imported from 'reprise'
      import * as client from 'reprise/client'
      const require = createRequire(import.meta.url)
      const copies = [imported, client, require('reprise'), require('reprise/client')]
      const errors = copies.map(({ RepriseError }) => new RepriseError('gap', 'x'))
      class Own extends imported.RepriseError {}
      console.log(copies.every(({ RepriseError }) => errors.every((error) => error instanceof RepriseError)),
        new Own('gap', 'x') instanceof Own, errors[0] instanceof Own, new Error() instanceof imported.RepriseError)
    `
    expect(await runModule(folder, 'errors.mjs', text)).toBe('true true false false')
  })

  it('starts a hub with few files of its own, and without what this hub does not need', async () => {
    // The first that a hub says is that it listens.
    const hook = `
      const { stdout: { write }, stderr } = process
      const tell = () => stderr.write(Object.keys(require.cache).join('\\n') + '\\n--\\n')
      process.stdout.write = function (...args) { process.stdout.write = write; tell(); return write.apply(this, args) }
      const look = setInterval(() => {
        if (!Object.keys(require.cache).some((path) => path.includes('/express/'))) return
        clearInterval(look)
        tell()
      }, 10)
    `
    await writeFile(join(folder, 'hook.cjs'), hook)
    const serve = ['node_modules/reprise/dist/cli/main.js', 'serve', '--port', '0', '--data', await diskFolder()]
    const hub = startChild([NODE, '--require', './hook.cjs', ...serve], { cwd: folder })
    const told = () => hub.stderr().split('\n--\n')
    // Express comes by itself, so that no request has to wait for it.
    await until(() => told().length > 2, { what: 'a hub to load what HTTP needs', deadlineMs: 30_000 })
    await hub.kill('SIGTERM')
    const [atStart = [], later = []] = told().map((paths) => paths.split('\n'))
    expect(atStart.filter((path) => /\/node_modules\/(express|body-parser|helmet|pino)\//.test(path))).toEqual([])
    const own = atStart.filter((path) => path.includes('/node_modules/reprise/dist/'))
    expect(own).toContainEqual(expect.stringContaining('/lmdb.'))
    expect(own.length).toBeLessThan(16)
    const others =
      /\/(ioredis|socket\.io-client|engine\.io-client|yaml|cli-progress|prom-client|@opentelemetry)\/|\/lib\/(redis|client)\./
    expect(later.filter((path) => others.test(path))).toEqual([])
  }, 180_000)

  it('names its sources in stack traces for whom asks', async () => {
    const text = `
      process.setSourceMapsEnabled(true)
      const { createHub } = require('reprise')
      try { createHub({ topics: 5 }) } catch ({ stack }) { console.log(stack) }
    `
    expect(await runModule(folder, 'stack.cjs', text)).toMatch(/at .*resolveHubOptions .*server\/options\/hub\.ts:\d+/)
  })

  it('gives import and require hooks, to a program that has React', async () => {
    const text = `
      const { createElement } = require('react')
      const { renderToString } = require('react-dom/server')
      const { connect } = require('reprise/client')
      const { HubProvider, useStatus, useTopic } = require('reprise/react')
      const Page = () => useTopic('orders', { reduce: (n) => n + 1, initial: 7 }).state + useStatus().state
      const hub = connect('http://127.0.0.1:9')
      console.log(renderToString(createElement(HubProvider, { hub }, createElement(Page))))
    `
    const outputs = await Promise.all([
      runModule(folder, 'react.cjs', text),
      runModule(folder, 'react.mjs', text.replaceAll(/const (\{.*\}) = require\((.*)\)/g, 'import $1 from $2')),
    ])
    expect(outputs).toEqual(['7idle', '7idle'])
    for (const kind of ['mjs', 'cjs']) {
      const hooks = await readFile(join(ROOT, `dist/sdk/reprise-client.react.${kind}`))
      expect(gzipSync(hooks).length).toBeLessThan(3 * 1024)
    }
  })

  it('has types for strict programs: modules, CommonJS and bundlers', async () => {
    const both = { 'module.mts': SERVER_PROGRAM, 'common.cts': SERVER_PROGRAM }
    const hooks = REACT_PROGRAM.replace("'PACKAGE'", "'reprise/client'").replaceAll('PACKAGE', 'reprise')
    const inBrowsers = { 'client.mts': CLIENT_PROGRAM.replace('PACKAGE', 'reprise/client'), 'hooks.mts': hooks }
    const errors = await typeErrors(folder, [
      { files: both, options: NODENEXT },
      // The same declarations, found in another way.
      { files: { 'module.ts': SERVER_PROGRAM }, options: { ...BUNDLER, skipLibCheck: true } },
      { files: inBrowsers, options: { ...BUNDLER, ...BROWSER } },
    ])
    expect(errors).toBe('')
  }, 180_000)

  it('exports every type that its declarations name', async () => {
    const declarations = [
      'server/index.d.ts',
      'server/index.d.cts',
      'server/testing.d.ts',
      'sdk/reprise-client.d.mts',
      'sdk/reprise-client.react.d.mts',
    ]
    for (const path of declarations) expect(await unexported(join(ROOT, 'dist', path)), path).toEqual([])
  })

  it('has a command, which loads nothing of the server for what it asks a hub', async () => {
    const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string }
    const { stdout, code, stderr } = await run(['npx', '--no-install', 'reprise', '--version'], { cwd: folder })
    expect({ code, stderr, stdout: stdout.trim() }).toMatchObject({ code: 0, stdout: version })
    const hook = `process.on('exit', () => console.log(Object.keys(require.cache).join('\\n')))`
    await writeFile(join(folder, 'loaded.cjs'), hook)
    const main = join(folder, 'node_modules/reprise/dist/cli/main.js')
    const asking = [main, 'topics', '--url', 'http://127.0.0.1:9']
    const loaded = (await run([NODE, '--require', './loaded.cjs', ...asking], { cwd: folder })).stdout.split('\n')
    expect(loaded).toContain(main)
    expect(loaded.filter((path) => /\/lib\/(core|options|zod|serve|store)\.|\/croner\//.test(path))).toEqual([])
  })
})

describe.each([
  ['the script', 'global', 44],
  ['the light script', 'light.global', 35],
])('%s', (_, ending, kilobytes) => {
  const path = join(ROOT, `dist/sdk/reprise-client.${ending}.js`)
  beforeAll(ensureBuilt, 180_000)

  it('defines window.Reprise and nothing else', async () => {
    const window: Record<string, unknown> = {
      setTimeout,
      clearTimeout,
      setInterval,
      clearInterval,
      performance,
      URL,
      TextEncoder,
    }
    window.window = window
    window.self = window
    const before = new Set(Object.keys(window))
    runInContext(await readFile(path, 'utf8'), createContext(window))
    expect(Object.keys(window).filter((name) => !before.has(name))).toEqual(['Reprise'])
    expect(window.Reprise).toMatchObject({ connect: expect.anything(), RepriseError: expect.anything() })
    const { connect } = window.Reprise as typeof import('../../client/index.ts')
    if (ending === 'global') return
    for (const options of [{ persist: true }, { share: true }]) {
      expect(() => connect('http://127.0.0.1:9', options)).toThrow('load reprise-client.global.js')
    }
    const hub = connect('http://127.0.0.1:9')
    const transaction = {} as IDBDatabase
    expect(() => hub.topic('t').subscribe(() => {}, { transaction })).toThrow('load reprise-client.global.js')
    void hub.close({ drainMs: 0 })
  })

  it('is small, compressed', async () => {
    expect(gzipSync(await readFile(path)).length).toBeLessThanOrEqual(kilobytes * 1024)
  })
})

describe('reprise-client', () => {
  let folder = ''
  let told = ''
  beforeAll(async () => {
    await ensureBuilt()
    const source = await diskFolder()
    await writeClientPackage(source, join(ROOT, 'dist/sdk'))
    ;({ folder, told } = await install((await pack(source)).tarball))
    await addReact(folder)
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
    expect(await complaints(join(folder, 'node_modules/reprise-client'))).toEqual([])
  })

  it('is installed without a warning', () => {
    expect(told).not.toMatch(/warn/i)
  })

  it('is there for modules, CommonJS and types', async () => {
    const imported = "import { connect } from 'reprise-client'\nconsole.log(typeof connect)"
    expect(await runModule(folder, 'client.mjs', imported)).toBe('function')
    const required = "console.log(typeof require('reprise-client').connect)"
    expect(await runModule(folder, 'client.cjs', required)).toBe('function')
    const text = CLIENT_PROGRAM.replace('PACKAGE', 'reprise-client')
    const hooks = REACT_PROGRAM.replaceAll('PACKAGE', 'reprise-client')
    const both = { 'module.mts': text, 'common.cts': text, 'hooks.mts': hooks, 'hooks.cts': hooks }
    // With the types of a browser; in the other test of them, with those of Node.
    expect(await typeErrors(folder, [{ files: both, options: { ...NODENEXT, ...BROWSER } }])).toBe('')
  }, 180_000)
})
