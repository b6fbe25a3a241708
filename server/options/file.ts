/**
 * Where the options of `reprise serve` come from: flags over environment over the YAML file over defaults, each with the
 * place it was read from, so that a wrong one is told where it stands. What the options mean is in hub.ts.
 */

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, relative, resolve } from 'node:path'
import type { Document, LineCounter } from 'yaml'
import { z } from 'zod'
import { messageOf, RepriseError } from '../../shared/errors.ts'
import { suggestion } from '../../shared/nearest.ts'
import { faultsIn, faultsOf, faultText, fields } from './checks.ts'
import {
  contradictions,
  groupedFields,
  hubFields,
  isUrl,
  type ResolvedServeOptions,
  resolveServeOptions,
  type ServeOptions,
  serveFields,
} from './hub.ts'
import { foldParts, hasParts, partFields } from './parts.ts'
import { type Variables, variablesIn, withAbsoluteSecrets } from './secret.ts'
import { tlsOptions } from './tls.ts'

export interface Sources {
  /** As the command line gives them: by name in camel case. */
  readonly flags?: Readonly<Record<string, unknown>>
  readonly env?: Variables
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
  'REPRISE_TEST_PICTURES',
]

/** Kubernetes describes a service named `reprise` to every pod beside it in variables of this form. */
const SERVICE_LINK = /^REPRISE_(SERVICE_(HOST|PORT)(_.*)?|PORT_\d+_(TCP|UDP|SCTP)(_.*)?)$/

const folder = z.string().min(1, 'is no folder')
const plainFields = { ...hubFields, ...serveFields, data: folder }
const lineFields = { ...plainFields, ...partFields, config: z.string().min(1, 'is no file') }
const flagSchema = fields(lineFields)
const fileSchema = fields({ ...plainFields, ...groupedFields, tls: tlsOptions })

interface Layer {
  readonly values: Readonly<Record<string, unknown>>
  /** How the source names an option. */
  readonly place: (option: string) => string
}

/** What is wrong with a configuration: the message is the first line, `faults` has all of them. */
export class ConfigurationError extends RepriseError {
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    const [first = 'is not valid', ...others] = faults
    const more = others.length === 0 ? '' : ` (and ${others.length} more: see "reprise config check")`
    super('bad_request', `${first}${more}`)
    this.faults = faults
  }
}

/** Reads all sources and checks them. Throws `bad_request` with one line that says what is wrong, and where. */
export function parseServeOptions(sources: Sources = {}): Configuration {
  const { flags = {}, env = {}, cwd = process.cwd() } = sources
  const flagLayer = readFlags(flags, cwd)
  const { checkUnknown, ...envLayer } = readEnvironment(env, cwd)
  const configFile = flagLayer.values.config ?? envLayer.values.config
  const layers = [flagLayer, envLayer]
  if (typeof configFile === 'string') layers.push(readConfigFile(configFile, cwd))
  checkUnknown(variablesIn(layers.map(({ values }) => values)))

  const merged: Record<string, unknown> = {}
  const places: Record<string, string> = {}
  for (const { values, place } of layers) {
    for (const [option, value] of Object.entries(values)) {
      if (value === undefined || (option in merged && !hasParts(option))) continue
      // Of these parts each may come from another source.
      merged[option] = hasParts(option) ? { ...(value as object), ...(merged[option] as object | undefined) } : value
      places[option] ??= place(option)
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

/** All that is wrong with a file, a line each: `reprise.yaml:3: topics…`. Empty where a hub can run with it. */
export function checkConfigFile(file: string, cwd: string): readonly string[] {
  try {
    const { content, faults, place, base } = readYaml(file, cwd)
    // What is wrong by itself is left out, so that the rest is looked at as well.
    const { data, store, ...others } = content
    const stored = faultsIn(() => foldStore({ data, store }, place, base))
    const together = contradictions(withAbsoluteSecrets(others, base)).map(
      (fault) => `${place(optionOf(fault))}: ${fault}`,
    )
    return [...faults, ...stored, ...together].sort((a, b) => lineIn(a) - lineIn(b))
  } catch (error) {
    if (error instanceof ConfigurationError) return error.faults
    if (error instanceof RepriseError) return [error.message]
    throw error
  }
}

/** Throws a `ConfigurationError`. */
function readConfigFile(file: string, cwd: string): Layer {
  const { content, faults, place, base } = readYaml(file, cwd)
  if (faults.length > 0) throw new ConfigurationError(faults)
  return foldStore(content, place, base)
}

/** The options that are right, and what is wrong with the others. Throws where the file is none. */
function readYaml(file: string, cwd: string) {
  const short = relative(cwd, resolve(cwd, file))
  const shownFile = short === '' || short.startsWith('..') ? file : short
  const { LineCounter, parseDocument } = yaml()
  const lines = new LineCounter()
  const document = parseDocument(readText(resolve(cwd, file), shownFile), { lineCounter: lines, prettyErrors: false })
  if (document.errors.length > 0) {
    const faults = document.errors.map(({ pos, message }) => {
      return `${shownFile}:${lines.linePos(pos[0]).line}: is not YAML: ${message.split('\n')[0]}`
    })
    throw new ConfigurationError(faults)
  }
  const place = (path: readonly PropertyKey[]) => `${shownFile}:${lineOf(document, lines, path)}`
  let content: unknown
  try {
    content = document.toJS() ?? {}
  } catch (cause) {
    throw wrong(shownFile, `is not usable YAML: ${messageOf(cause)}`)
  }
  const atLine = (option: string) => place([option])
  const base = dirname(resolve(cwd, file))
  const result = fileSchema.safeParse(content)
  if (result.success) return { content: result.data, faults: [], place: atLine, base }
  const told = faultsOf(result.error).map((fault) => ({ fault, line: lineOf(document, lines, fault.path) }))
  told.sort((a, b) => a.line - b.line)
  const paths = told.map(({ fault }) => fault.path)
  const right = fileSchema.safeParse(without(content, paths))
  return {
    // Where something is only missing, its whole option is left out.
    content: right.success
      ? right.data
      : fileSchema.parse(
          without(
            content,
            paths.map(([option = '']) => [option]),
          ),
        ),
    faults: told.map(({ fault, line }) => `${shownFile}:${line}: ${faultText(fault)}`),
    place: atLine,
    base,
  }
}

/** A copy of the content that lacks what stands at these paths. */
function without(content: unknown, paths: readonly (readonly PropertyKey[])[]): unknown {
  const rest: Record<PropertyKey, unknown> = isGroup(content) ? structuredClone({ ...content }) : {}
  for (const path of paths) {
    let group = rest
    for (const [depth, key] of path.entries()) {
      const inner = group[key]
      if (depth < path.length - 1 && isGroup(inner)) group = inner as typeof rest
      else {
        delete group[key]
        break
      }
    }
  }
  return rest
}

function lineIn(fault: string): number {
  return Number(/:(\d+): /.exec(fault)?.[1] ?? 0)
}

function isGroup(content: unknown): content is Readonly<Record<string, unknown>> {
  return typeof content === 'object' && content !== null && !Array.isArray(content)
}

function readFlags(flags: Readonly<Record<string, unknown>>, cwd: string): Layer {
  const place = (option: string) => `--${kebab(option)}`
  const result = flagSchema.safeParse(flags)
  if (!result.success) {
    const [{ path, message }] = faultsOf(result.error)
    const option = String(path[0] ?? '')
    if (!Object.hasOwn(lineFields, option)) {
      throw wrong(place(option), `unknown option${suggestion(place(option), Object.keys(lineFields).map(place))}`)
    }
    throw wrong(place(option), message)
  }
  return foldStore(result.data, place, cwd)
}

/** A variable that an option refers to may have any name: which ones are unknown is known when all options are. */
function readEnvironment(
  env: Variables,
  cwd: string,
): Layer & { readonly checkUnknown: (named: ReadonlySet<string>) => void } {
  const place = (option: string) => ENV_PREFIX + kebab(option).replaceAll('-', '_').toUpperCase()
  const byVariable = new Map(Object.keys(lineFields).map((option) => [place(option), option]))
  const values: Record<string, string> = {}
  const unknown: string[] = []
  for (const [variable, value] of Object.entries(env)) {
    // An empty variable is how compose files and units leave one out.
    if (!variable.startsWith(ENV_PREFIX) || value === undefined || value === '') continue
    if (FOREIGN_ENV.includes(variable) || SERVICE_LINK.test(variable)) continue
    const option = byVariable.get(variable)
    if (option === undefined) unknown.push(variable)
    else if (option !== 'port' || !/^(tcp|udp|sctp):\/\//.test(value)) values[option] = value
  }
  const result = flagSchema.safeParse(values)
  if (!result.success) {
    const [{ path, message }] = faultsOf(result.error)
    throw wrong(place(String(path[0])), message)
  }
  return {
    ...foldStore(result.data, place, cwd),
    checkUnknown(named) {
      const variable = unknown.find((variable) => !named.has(variable))
      if (variable === undefined) return
      throw wrong(variable, `unknown variable${suggestion(variable, [...byVariable.keys()])}`)
    },
  }
}

/** `data` is the embedded store's folder, so it is a `store`; within one source the two must not contradict. */
function foldStore(given: Readonly<Record<string, unknown>>, place: (option: string) => string, base: string): Layer {
  const [values, name] = foldParts(given, place)
  const { data, ...rest } = withAbsoluteSecrets(values, base)
  const absolute = (store: unknown) => (typeof store === 'string' && !isUrl(store) ? resolve(base, store) : store)
  const store = absolute(rest.store)
  if (data === undefined) return { values: store === undefined ? rest : { ...rest, store }, place: name }
  // A file is named by the line alone.
  const subject = flagWord(name, 'data') === name('data') ? '' : 'data '
  if (typeof data === 'string' && isUrl(data))
    throw wrong(name('data'), `${subject}is for a folder; a URL goes to ${flagWord(name, 'store')}`)
  const folderPath = absolute(data)
  if (store !== undefined && store !== folderPath) {
    throw wrong(
      name('data'),
      `${subject}contradicts ${flagWord(name, 'store')}: events are kept in one place; give one of the two`,
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

/** Faults that only the merged options show name the place of the option that they are about. */
function placed<T>(places: Readonly<Record<string, string>>, run: () => T): T {
  try {
    return run()
  } catch (error) {
    if (!(error instanceof RepriseError)) throw error
    const place = places[optionOf(error.message)]
    throw place === undefined ? error : wrong(place, error.message)
  }
}

function optionOf(sentence: string): string {
  return /^[a-zA-Z]+/.exec(sentence)?.[0] ?? ''
}

function kebab(option: string): string {
  return option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

function wrong(place: string, message: string): RepriseError {
  return new RepriseError('bad_request', `${place}: ${message}`)
}
