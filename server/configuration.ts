/**
 * Where the options of `reprise serve` come from: flags over environment over the YAML file over defaults, each with the
 * place it was read from, so that a wrong one is told where it stands. What the options mean is in options.ts.
 */

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, relative, resolve } from 'node:path'
import type { Document, LineCounter } from 'yaml'
import { z } from 'zod'
import { RepriseError } from '../shared/errors.ts'
import { suggestion } from './core/nearest.ts'
import { faultOf, fields, pathText } from './optionChecks.ts'
import {
  groupedFields,
  hubFields,
  isUrl,
  type ResolvedServeOptions,
  resolveServeOptions,
  type ServeOptions,
  serveFields,
} from './options.ts'

export interface Sources {
  /** As the command line gives them: by name in camel case. */
  readonly flags?: Readonly<Record<string, unknown>>
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly cwd?: string
}

export interface Configuration {
  readonly options: ResolvedServeOptions
  /** Where each option comes from: `--port`, `REPRISE_PORT`, `reprise.yaml:3` or `default`. */
  readonly sources: Readonly<Record<string, string>>
}

const ENV_PREFIX = 'REPRISE_'

/** Read by other commands and by this repository's tests, so they may stand in the same environment. */
const FOREIGN_ENV = [
  'REPRISE_URL',
  'REPRISE_TOKEN',
  'REPRISE_SEED',
  'REPRISE_BUILT',
  'REPRISE_SOAK',
  'REPRISE_TEST_EMBEDDED_ONLY',
]

/** Kubernetes describes a service named `reprise` to every pod beside it in variables of this form. */
const SERVICE_LINK = /^REPRISE_(SERVICE_(HOST|PORT)(_.*)?|PORT_\d+_(TCP|UDP|SCTP)(_.*)?)$/

const folder = z.string().min(1, 'is no folder')
const plainFields = { ...hubFields, ...serveFields, data: folder }
const lineFields = { ...plainFields, config: z.string().min(1, 'is no file') }
const flagSchema = fields(lineFields)
const fileSchema = fields({ ...plainFields, ...groupedFields })

interface Layer {
  readonly values: Readonly<Record<string, unknown>>
  /** How the source names an option. */
  readonly place: (option: string) => string
}

/** Reads all sources and checks them. Throws `bad_request` with one line that says what is wrong, and where. */
export function parseServeOptions(sources: Sources = {}): Configuration {
  const { flags = {}, env = {}, cwd = process.cwd() } = sources
  const flagLayer = readFlags(flags, cwd)
  const envLayer = readEnvironment(env, cwd)
  const configFile = flagLayer.values.config ?? envLayer.values.config
  const layers = [flagLayer, envLayer]
  if (typeof configFile === 'string') layers.push(readConfigFile(configFile, cwd))

  const merged: Record<string, unknown> = {}
  const places: Record<string, string> = {}
  for (const { values, place } of layers) {
    for (const [option, value] of Object.entries(values)) {
      if (value === undefined || option in merged) continue
      merged[option] = value
      places[option] = place(option)
    }
  }
  const options = placed(places, () => resolveServeOptions(merged as ServeOptions, cwd))
  return {
    options,
    sources: Object.fromEntries(Object.keys(options).map((option) => [option, places[option] ?? 'default'])),
  }
}

/** Loaded for a file alone: a hub without one starts a tenth sooner. */
function yaml(): typeof import('yaml') {
  return createRequire(import.meta.url)('yaml')
}

/** Checks a YAML file by itself. Throws `bad_request` with one line: `reprise.yaml:3: topics…`. */
export function readConfigFile(file: string, cwd: string): Layer {
  const short = relative(cwd, resolve(cwd, file))
  const shownFile = short === '' || short.startsWith('..') ? file : short
  const { LineCounter, parseDocument } = yaml()
  const lines = new LineCounter()
  const document = parseDocument(readText(resolve(cwd, file), shownFile), { lineCounter: lines, prettyErrors: false })
  const [broken] = document.errors
  if (broken !== undefined) {
    throw wrong(`${shownFile}:${lines.linePos(broken.pos[0]).line}`, `is not YAML: ${broken.message.split('\n')[0]}`)
  }
  const place = (path: readonly PropertyKey[]) => `${shownFile}:${lineOf(document, lines, path)}`
  let content: unknown
  try {
    content = document.toJS() ?? {}
  } catch (cause) {
    throw wrong(shownFile, `is not usable YAML: ${cause instanceof Error ? cause.message : String(cause)}`)
  }
  const result = fileSchema.safeParse(content)
  if (!result.success) {
    const { path, message } = faultOf(result.error)
    const where = message.startsWith('unknown option') ? path.slice(0, -1) : path
    throw wrong(place(path), [pathText(where), message].filter(Boolean).join(': '))
  }
  const base = dirname(resolve(cwd, file))
  return foldStore(result.data, (option) => place([option]), base)
}

function readFlags(flags: Readonly<Record<string, unknown>>, cwd: string): Layer {
  const place = (option: string) => `--${kebab(option)}`
  const result = flagSchema.safeParse(flags)
  if (!result.success) {
    const { path, message } = faultOf(result.error)
    const option = String(path[0] ?? '')
    if (!Object.hasOwn(lineFields, option)) {
      throw wrong(place(option), `unknown option${suggestion(place(option), Object.keys(lineFields).map(place))}`)
    }
    throw wrong(place(option), message)
  }
  return foldStore(result.data, place, cwd)
}

function readEnvironment(env: Readonly<Record<string, string | undefined>>, cwd: string): Layer {
  const place = (option: string) => ENV_PREFIX + kebab(option).replaceAll('-', '_').toUpperCase()
  const byVariable = new Map(Object.keys(lineFields).map((option) => [place(option), option]))
  const values: Record<string, string> = {}
  for (const [variable, value] of Object.entries(env)) {
    // An empty variable is how compose files and units leave one out.
    if (!variable.startsWith(ENV_PREFIX) || value === undefined || value === '') continue
    if (FOREIGN_ENV.includes(variable) || SERVICE_LINK.test(variable)) continue
    const option = byVariable.get(variable)
    if (option === undefined) throw wrong(variable, `unknown variable${suggestion(variable, [...byVariable.keys()])}`)
    if (option === 'port' && /^(tcp|udp|sctp):\/\//.test(value)) continue
    values[option] = value
  }
  const result = flagSchema.safeParse(values)
  if (!result.success) {
    const { path, message } = faultOf(result.error)
    throw wrong(place(String(path[0])), message)
  }
  return foldStore(result.data, place, cwd)
}

/** `data` is the embedded store's folder, so it is a `store`; within one source the two must not contradict. */
function foldStore(values: Readonly<Record<string, unknown>>, name: (option: string) => string, base: string): Layer {
  const { data, ...rest } = values
  const absolute = (store: unknown) => (typeof store === 'string' && !isUrl(store) ? resolve(base, store) : store)
  const store = absolute(rest.store)
  if (data === undefined) return { values: store === undefined ? rest : { ...rest, store }, place: name }
  if (typeof data === 'string' && isUrl(data))
    throw wrong(name('data'), `is for a folder; a URL goes to ${flagWord(name, 'store')}`)
  const folderPath = absolute(data)
  if (store !== undefined && store !== folderPath) {
    throw wrong(
      name('data'),
      `contradicts ${flagWord(name, 'store')}: events are kept in one place; give one of the two`,
    )
  }
  return { values: { ...rest, store: folderPath }, place: (option) => name(option === 'store' ? 'data' : option) }
}

/** The option's name in the source's own words, without file and line. */
function flagWord(name: (option: string) => string, option: string): string {
  const word = name(option)
  return /^(--|REPRISE_)/.test(word) ? word : option
}

function readText(path: string, shownFile: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    const why =
      code === 'ENOENT'
        ? 'there is no such file'
        : code === 'EISDIR'
          ? 'is a folder, not a file'
          : `cannot be read (${code})`
    throw wrong(shownFile, why)
  }
}

/** Line of the deepest part of the path that the document has; the first line for what it lacks. */
function lineOf(document: Document, lines: LineCounter, path: readonly PropertyKey[]): number {
  const { isMap, isScalar } = yaml()
  let node: unknown = document.contents
  let offset = 0
  for (const part of path) {
    if (!isMap(node)) break
    const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part))
    if (pair === undefined) break
    if (isScalar(pair.key) && pair.key.range) offset = pair.key.range[0]
    node = pair.value
  }
  return lines.linePos(offset).line || 1
}

/** Faults that only the merged options show name the place of the option they begin with. */
function placed<T>(places: Readonly<Record<string, string>>, run: () => T): T {
  try {
    return run()
  } catch (error) {
    if (!(error instanceof RepriseError)) throw error
    const place = places[/^[a-zA-Z]+/.exec(error.message)?.[0] ?? '']
    throw place === undefined ? error : wrong(place, error.message)
  }
}

function kebab(option: string): string {
  return option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

function wrong(place: string, message: string): RepriseError {
  return new RepriseError('bad_request', `${place}: ${message}`)
}
