/**
 * Builds `dist`: server and command line by tsc, the server's twins for `require` and its declarations by tsdown, the SDK's
 * bundles, console and demo by vite.
 * Does nothing when the sources are what `dist` was built from (`--force` builds anyway).
 */

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
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
import { dirname, extname, join, relative } from 'node:path'
import { argv, execPath, pid, stderr } from 'node:process'
import { fileURLToPath } from 'node:url'

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))

const DIST = join(ROOT, 'dist')
const STAMP = '.built'
const COMPILED = ['shared', 'server', 'client', 'cli']
/** What programs import of the server. */
const ENTRIES = ['index', 'testing']
/** What declarations need of their reader's compiler, whatever its settings. */
const DECLARATION_HEAD = '/// <reference types="node" />\n/// <reference lib="esnext.disposable" />\n'
const QUIET = { cwd: ROOT, config: false, clean: false, logLevel: 'error', report: false } as const
const SOURCES = [...COMPILED, 'console']
const SETTINGS = [
  'build/build.ts',
  'build/clientBundle.ts',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
]

/** Whether `dist` was built from the sources as they are. */
export function isFresh(): boolean {
  const stamp = join(DIST, STAMP)
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === fingerprint()
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
    const parts = await Promise.allSettled([compile(out), twins(out), bundle(out), bundlePages(out)])
    for (const part of parts) if (part.status === 'rejected') throw part.reason
    await declare(out)
    copyAssets(out)
    const main = join(out, 'cli/main.js')
    if (existsSync(main)) chmodSync(main, 0o755)
    writeFileSync(join(out, STAMP), built)
    moveIntoPlace(out)
  } finally {
    clean()
    process.off('exit', clean)
  }
}

async function compile(out: string): Promise<void> {
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
  const child = spawn(execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', out], {
    cwd: ROOT,
    stdio: ['ignore', 2, 2],
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error('the sources have type errors')
}

/** The server's modules once more for `require`, each beside its twin, so that both find the same files. */
async function twins(out: string): Promise<void> {
  const { build } = await import('tsdown')
  await build({
    ...QUIET,
    entry: ENTRIES.map((name) => `server/${name}.ts`),
    outDir: out,
    format: ['cjs'],
    platform: 'node',
    target: 'es2023',
    unbundle: true,
    root: ROOT,
    deps: { skipNodeModulesBundle: true },
    dts: false,
    outExtensions: () => ({ js: '.cjs' }),
  })
}

/** One file of declarations for each entry, for `import` and for `require`, instead of one for each module. */
async function declare(out: string): Promise<void> {
  const { build } = await import('tsdown')
  const folder = join(out, 'types')
  await build({
    ...QUIET,
    entry: { index: join(out, 'server/index.d.ts') },
    outDir: folder,
    format: ['esm'],
    platform: 'node',
    deps: { skipNodeModulesBundle: true },
    dts: { dtsInput: true, emitDtsOnly: true },
    outExtensions: () => ({ dts: '.d.ts' }),
  })
  const index = readFileSync(join(folder, 'index.d.ts'), 'utf8')
  const testing = readFileSync(join(out, 'server/testing.d.ts'), 'utf8')
  for (const path of COMPILED.flatMap((name) => filesUnder(join(out, name)))) {
    if (path.endsWith('.d.ts')) rmSync(path)
  }
  rmSync(folder, { recursive: true })
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

/** What lies beside the sources and is no TypeScript (scripts of the Redis engine) lies beside the compiled files too. */
function copyAssets(out: string): void {
  for (const path of COMPILED.flatMap((folder) => filesUnder(join(ROOT, folder)))) {
    if (['.ts', '.json', '.md'].includes(extname(path))) continue
    const to = join(out, relative(ROOT, path))
    mkdirSync(dirname(to), { recursive: true })
    cpSync(path, to)
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
