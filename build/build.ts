/**
 * Builds `dist`: server, command line, their declarations and the SDK by tsdown, console and demo by vite. Types are
 * checked by `npm run check`.
 * Does nothing when the sources are what `dist` was built from (`--force` builds anyway).
 */

import { createHash } from 'node:crypto'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, extname, join, relative } from 'node:path'
import { argv, pid, stderr } from 'node:process'
import { fileURLToPath } from 'node:url'

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))

const DIST = join(ROOT, 'dist')
const STAMP = '.built'
/** What programs import of the server. */
const ENTRIES = { 'server/index': 'server/index.ts', 'server/testing': 'server/testing.ts' }
/** Where the parts lie that entries share or load later. */
const PARTS = 'lib'
/** What declarations need of their reader's compiler, whatever its settings. */
const DECLARATION_HEAD = '/// <reference types="node" />\n/// <reference lib="esnext.disposable" />\n'
const QUIET = { cwd: ROOT, config: false, clean: false, logLevel: 'error', report: false } as const
const SOURCES = ['shared', 'server', 'client', 'cli', 'console', 'build']
const BUILT_IN = [
  ...['zod', 'jose', 'idb', 'preact', '@preact/signals', '@preact/signals-core', 'uplot'],
  ...['socket.io-client', 'socket.io-parser', 'engine.io-client', 'engine.io-parser', '@socket.io/component-emitter'],
]
const SETTINGS = ['package.json', 'package-lock.json', 'tsconfig.json']

/** Whether `dist` was built from the sources as they are. */
export function isFresh(): boolean {
  const stamp = join(DIST, STAMP)
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === fingerprint()
}

/** Parts of `dist` are built by themselves: it is of no one state of the sources any more. */
export function markStale(): void {
  rmSync(join(DIST, STAMP), { force: true })
}

export async function build(): Promise<void> {
  const built = fingerprint()
  // Built beside and moved into place, so that a hub that runs from `dist` never meets half of it.
  const out = join(ROOT, `.build-${pid}`)
  const clean = (): void => rmSync(out, { recursive: true, force: true })
  // Also where a bundler's stray rejection ends the process.
  process.once('exit', clean)
  clean()
  mkdirSync(out)
  try {
    const parts = await Promise.allSettled([bundleModules(out), declare(out), bundle(out), bundlePages(out)])
    for (const part of parts) if (part.status === 'rejected') throw part.reason
    copyScripts(out)
    copyLicenses(out)
    chmodSync(join(out, 'cli/main.js'), 0o755)
    writeFileSync(join(out, STAMP), built)
    moveIntoPlace(out)
  } finally {
    clean()
    process.off('exit', clean)
  }
}

/**
 * Server and command line as few files, for `import` and `require` alike: what is loaded at a start takes its time by the
 * file, not by the line. What not every start needs (an engine, the SDK, a command's work) is a file of its own. Nothing
 * is renamed or made small, so that stack traces can be read.
 */
async function bundleModules(out: string): Promise<void> {
  const { build } = await import('tsdown')
  const node = { ...QUIET, outDir: out, format: 'cjs', platform: 'node', target: 'es2023', dts: false } as const
  // A thread of its own, which loads nothing of the hub.
  await build({
    ...node,
    entry: { [`${PARTS}/schemaWorker`]: 'server/core/schema/worker.ts' },
    deps: { skipNodeModulesBundle: true },
    outputOptions: { entryFileNames: '[name].cjs' },
  })
  const bundles = await build({
    ...node,
    entry: { 'cli/main': 'cli/main.ts', ...ENTRIES },
    sourcemap: true,
    // As a library it loads its texts in all languages with it, a file each.
    // jose is a module, which Node 20 before 20.19 does not `require`.
    deps: { alwaysBundle: [/^(zod|jose|idb)/], neverBundle: (id) => !/^(\.|\/|zod|jose|idb)/.test(id) },
    outputOptions: {
      entryFileNames: ({ name }) => (name === 'cli/main' ? `${name}.js` : `${name}.cjs`),
      chunkFileNames: `${PARTS}/[name].cjs`,
      codeSplitting: {
        groups: [
          { name: 'zod', test: /node_modules\/zod/ },
          // With the version, which commands tell that load nothing of the server.
          { name: 'shared', test: /\/shared\/|\/server\/version/ },
          { name: 'options', test: /\/server\/options\// },
          // What engines share is not a part of one of them.
          { name: 'store', test: /\/store\/([^/]+|contract\/\w+|sealing\/keys)\.ts$/ },
          { name: 'sealing', test: /\/store\/sealing\// },
          // A hub's start needs nearly all of these, and what is loaded later needs some.
          {
            name: 'core',
            test: /\/server\/(core|telemetry\/(counts|histogram)|auth\/(credentials|identity|keys))/,
          },
          { name: 'lmdb', test: /\/store\/lmdb\// },
          { name: 'redis', test: /\/store\/redis\// },
        ],
      },
    },
  })
  // Node takes a `.js` of this package for a module otherwise.
  writeFileSync(join(out, 'cli/package.json'), '{ "type": "commonjs" }\n')
  for (const name of Object.keys(ENTRIES)) {
    const twin = bundles.flatMap(({ chunks }) => chunks).find(({ fileName }) => fileName === `${name}.cjs`)
    if (twin === undefined || !('exports' in twin)) throw new Error(`${name}.cjs was not built`)
    writeFileSync(join(out, `${name}.js`), `export { ${twin.exports.join(', ')} } from './${basename(name)}.cjs'\n`)
  }
}

/** One file of declarations for each entry, for `import` and for `require`. */
async function declare(out: string): Promise<void> {
  const { build } = await import('tsdown')
  const folder = join(out, 'types')
  await build({
    ...QUIET,
    entry: { index: 'server/index.ts' },
    outDir: folder,
    format: ['esm'],
    platform: 'node',
    deps: { skipNodeModulesBundle: true },
    dts: { emitDtsOnly: true },
    outExtensions: () => ({ dts: '.d.ts' }),
  })
  const index = readFileSync(join(folder, 'index.d.ts'), 'utf8')
  rmSync(folder, { recursive: true })
  // It names types of the other only, which it must not hold a second time.
  const { default: ts } = await import('typescript')
  const path = join(ROOT, 'server/testing.ts')
  const { outputText: testing } = ts.transpileDeclaration(readFileSync(path, 'utf8'), {
    fileName: path,
    compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.NodeNext },
  })
  mkdirSync(join(out, 'server'), { recursive: true })
  for (const [name, text] of Object.entries({ index, testing })) {
    for (const kind of ['', 'c']) {
      const imports = text.replace(/'\.\/index\.ts'/g, `'./index.${kind}js'`)
      writeFileSync(join(out, `server/${name}.d.${kind}ts`), DECLARATION_HEAD + imports)
    }
  }
}

async function bundle(out: string): Promise<void> {
  const { bundleClient } = await import('./clientBundle.ts')
  await bundleClient(join(out, 'sdk'))
}

async function bundlePages(out: string): Promise<void> {
  const configFile = join(ROOT, 'console/vite.config.ts')
  if (!existsSync(configFile)) return
  const vite = await import('vite')
  await vite.build({ configFile, logLevel: 'warn', build: { outDir: join(out, 'console'), emptyOutDir: true } })
}

/** The scripts of the Redis engine lie beside the part that loads them, in the folders that they have there. */
function copyScripts(out: string): void {
  const engine = join(ROOT, 'server/store/redis')
  for (const path of filesUnder(engine)) {
    if (extname(path) !== '.lua') continue
    const to = join(out, PARTS, 'redis', relative(engine, path))
    mkdirSync(dirname(to), { recursive: true })
    cpSync(path, to)
  }
}

/** Of what is built into the files, which their licenses ask for. */
function copyLicenses(out: string): void {
  const folder = join(out, 'licenses')
  mkdirSync(folder)
  for (const name of BUILT_IN) {
    const from = join(ROOT, 'node_modules', name)
    const file = readdirSync(from).find((one) => /^licen[cs]e/i.test(one))
    if (file === undefined) throw new Error(`${name} has no license`)
    cpSync(join(from, file), join(folder, `${name.replace('@', '').replace('/', '-')}.txt`))
  }
}

function moveIntoPlace(out: string): void {
  const old = `${out}-old`
  for (let attempt = 1; ; attempt++) {
    try {
      if (existsSync(DIST)) renameSync(DIST, old)
      renameSync(out, DIST)
      break
    } catch (error) {
      // Another build moved its own into place in between.
      if (attempt === 5) throw error
    } finally {
      rmSync(old, { recursive: true, force: true })
    }
  }
}

function fingerprint(): string {
  const paths = [
    ...SETTINGS.map((name) => join(ROOT, name)),
    ...SOURCES.flatMap((name) => filesUnder(join(ROOT, name))),
  ]
  const hash = createHash('sha256')
  for (const path of paths)
    hash
      .update(`${relative(ROOT, path)}\0`)
      .update(readFileSync(path))
      .update('\0')
  return hash.digest('hex')
}

function filesUnder(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}

if (argv[1] !== undefined && fileURLToPath(import.meta.url) === argv[1]) {
  if (isFresh() && !argv.includes('--force')) {
    stderr.write('dist is up to date\n')
  } else {
    const started = performance.now()
    try {
      await build()
      stderr.write(`built dist in ${((performance.now() - started) / 1000).toFixed(1)} s\n`)
    } catch (error) {
      stderr.write(`dist was not built: ${error instanceof Error ? error.message : String(error)}\n`)
      process.exitCode = 1
    }
  }
}
