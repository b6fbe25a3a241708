/** Bundles the SDK: for packages (ESM, CommonJS, declarations) and for a `<script>`; and lays out its own package. */

import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'tsdown'
import { slim } from './script/slim.ts'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const NAME = 'reprise-client'

/** What the declarations need of their reader's compiler, with and without the types of browsers or Node. */
const DECLARATION_HEAD = `/// <reference lib="esnext.disposable" />
declare global { interface AbortSignal {} }`

/** What is for programs that use React. */
const REACT = `${NAME}.react`

/** What is loaded with the first `persist`, with the first `share`, and with either. */
const PARTS = ['storage', 'tabs', 'names']

/**
 * Writes `reprise-client.mjs`, `.cjs`, `.d.mts`, `.d.cts` (Socket.IO's client stays outside), its parts such as
 * `reprise-client.storage.mjs` and `.cjs`, which they load when a program asks for it, `.global.js` with all within, and
 * `.light.global.js` with less.
 */
export async function bundleClient(outDir: string): Promise<void> {
  const common = {
    cwd: ROOT,
    config: false,
    entry: { [NAME]: join(ROOT, 'client/index.ts') },
    outDir,
    clean: false,
    target: 'es2022',
    logLevel: 'error',
    report: false,
  } as const
  await build({
    ...common,
    format: ['esm', 'cjs'],
    platform: 'neutral',
    deps: { neverBundle: ['socket.io-client'], alwaysBundle: ['idb'] },
    outputOptions: ({ format }) => ({
      chunkFileNames: `${NAME}.[name].${format === 'cjs' ? 'cjs' : 'mjs'}`,
      codeSplitting: { groups: [{ name: 'names', test: /browser\/(names|occupancy)\.ts$/ }] },
    }),
    dts: true,
    banner: { dts: DECLARATION_HEAD },
    outExtensions: ({ format }) => (format === 'cjs' ? { js: '.cjs', dts: '.d.cts' } : { js: '.mjs', dts: '.d.mts' }),
  })
  await bundleReact(outDir)
  for (const [ending, light] of [['global', false] as const, ['light.global', true] as const]) {
    await build({
      ...common,
      format: 'iife',
      globalName: 'Reprise',
      platform: 'browser',
      deps: { alwaysBundle: [/.*/] },
      dts: false,
      minify: true,
      plugins: [slim(light)],
      outputOptions: { entryFileNames: `${NAME}.${ending}.js`, codeSplitting: false },
    })
  }
}

/**
 * Writes `reprise-client.react.mjs`, `.cjs`, `.d.mts` and `.d.cts`: hooks, which use a hub's handle and nothing of the SDK but
 * its types.
 */
async function bundleReact(outDir: string): Promise<void> {
  for (const [kind, format] of [['mjs', 'esm'] as const, ['cjs', 'cjs'] as const]) {
    const types = { id: `./${NAME}.${kind}`, external: true }
    await build({
      cwd: ROOT,
      config: false,
      entry: { [REACT]: join(ROOT, 'client/react/index.ts') },
      outDir,
      clean: false,
      target: 'es2022',
      logLevel: 'error',
      report: false,
      format,
      platform: 'neutral',
      minify: true,
      deps: { neverBundle: ['react'] },
      plugins: [
        {
          name: 'types',
          resolveId: { order: 'pre', handler: (id: string) => (id === '../index.ts' ? types : undefined) },
        },
      ],
      dts: true,
      // For frameworks that ask each module where it runs.
      banner: { js: "'use client'" },
      outExtensions: () => ({ js: `.${kind}`, dts: kind === 'cjs' ? '.d.cts' : '.d.mts' }),
    })
  }
}

/** Lays out the package `reprise-client` in `folder`, ready for `npm pack`, from the bundles in `bundles`. */
export async function writeClientPackage(folder: string, bundles: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  const typed = ['', 'react.'].flatMap((part) => ['mjs', 'cjs', 'd.mts', 'd.cts'].map((kind) => part + kind))
  const parts = PARTS.flatMap((part) => [`${part}.mjs`, `${part}.cjs`])
  for (const ending of [...typed, 'global.js', 'light.global.js', ...parts]) {
    await cp(join(bundles, `${NAME}.${ending}`), join(folder, `${NAME}.${ending}`))
  }
  const main = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'))
  const manifest = {
    name: NAME,
    version: main.version,
    description: 'The client of the Reprise hub: topics that come again in order after every absence, over Socket.IO.',
    license: main.license,
    type: 'module',
    engines: main.engines,
    main: `./${NAME}.cjs`,
    module: `./${NAME}.mjs`,
    types: `./${NAME}.d.cts`,
    typesVersions: { '*': { react: [`./${REACT}.d.cts`] } },
    unpkg: `./${NAME}.global.js`,
    jsdelivr: `./${NAME}.global.js`,
    exports: {
      '.': {
        import: { types: `./${NAME}.d.mts`, default: `./${NAME}.mjs` },
        require: { types: `./${NAME}.d.cts`, default: `./${NAME}.cjs` },
      },
      './react': {
        import: { types: `./${REACT}.d.mts`, default: `./${REACT}.mjs` },
        require: { types: `./${REACT}.d.cts`, default: `./${REACT}.cjs` },
      },
      './script': `./${NAME}.global.js`,
      './light-script': `./${NAME}.light.global.js`,
      './package.json': './package.json',
    },
    sideEffects: false,
    files: [`${NAME}.*`],
    dependencies: { 'socket.io-client': main.dependencies['socket.io-client'] },
    peerDependencies: { react: main.peerDependencies.react },
    peerDependenciesMeta: { react: { optional: true } },
  }
  await writeFile(join(folder, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`)
  await cp(join(ROOT, 'LICENSE'), join(folder, 'LICENSE'))
  await cp(join(ROOT, 'client/README.md'), join(folder, 'README.md'))
}
