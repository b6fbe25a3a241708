/** The schema of a topic or queue: read from settings, and asked whether the data of drafts fits. */

import { RepriseError } from '../../../shared/errors.ts'
import type { Body } from '../../store/contract/store.ts'
import { bodyBytes, plainData } from '../body.ts'
import { type Check, checkFrom, compile } from './check.ts'
import { SchemaFault } from './faults.ts'
import type { Work } from './work.ts'

/** JSON Schema 2020-12: keywords, or `true` for anything. */
export type JsonSchema = boolean | Readonly<Record<string, unknown>>

export type ReadSchema =
  | { readonly schema: JsonSchema }
  | { readonly path: readonly string[]; readonly message: string }

const MAX_BYTES = 32_768
/** What a call's data may cost to check: so much, and more for each of its bytes. A piece of it takes some 30 ns. */
const WORK = 50_000
const WORK_A_BYTE = 3

const checks = new WeakMap<object, Check>()
/** What was read beside the hub's own work, by the text of the schema: the last ones. */
const prepared = new Map<string, Check | SchemaFault>()
const MAX_PREPARED = 100
/** Schemas of callers that wait to be read. */
const MAX_LINE = 20
const LINE_RETRY_MS = 1_000

/**
 * Reads the schema of settings beside the hub's own work, so that it is there at once when they are taken. What is wrong
 * with it is told then. Throws `too_many` where more than `line` others wait for that.
 */
export async function prepareSchema(settings: unknown, line = Number.POSITIVE_INFINITY): Promise<void> {
  const { schema } = groupOf(settings)
  if (typeof schema !== 'object' || schema === null || checks.has(schema)) return
  const text = textOf(schema)
  if (text === undefined || Buffer.byteLength(text) > MAX_BYTES) return
  const read = prepared.get(text) ?? (await readBeside(text, line))
  if (typeof read === 'function') checks.set(schema, read)
}

/** The same of settings that a caller has sent, when its schema is known to have no more parts than that. */
export async function prepareGiven(settings: unknown, mostParts: number): Promise<void> {
  boundParts(settings, mostParts)
  await prepareSchema(settings, MAX_LINE)
}

/** Resolves with nothing where there is no thread for it: then it is read in this one. */
async function readBeside(text: string, line: number): Promise<Check | SchemaFault | undefined> {
  const { inLine, sourceBeside } = await import('./reader.ts')
  if (inLine() > line) {
    throw new RepriseError('too_many', `${inLine()} schemas wait to be read`, { retryAfterMs: LINE_RETRY_MS })
  }
  const read = await sourceBeside(text).then(checkFrom, (error: unknown) => error)
  if (typeof read !== 'function' && !(read instanceof SchemaFault)) return undefined
  for (const oldest of prepared.keys()) {
    if (prepared.size < MAX_PREPARED) break
    prepared.delete(oldest)
  }
  prepared.set(text, read as Check | SchemaFault)
  return read as Check | SchemaFault
}

function compileText(text: string, schema: Exclude<JsonSchema, boolean>): Check {
  const known = prepared.get(text)
  if (known instanceof SchemaFault) throw known
  return known ?? compile(schema)
}

/** Data that is nested too deep has none. */
function textOf(schema: object): string | undefined {
  try {
    return JSON.stringify(schema)
  } catch {
    return undefined
  }
}

function groupOf(settings: unknown): { readonly schema?: unknown } {
  return typeof settings === 'object' && settings !== null ? settings : {}
}

/** A copy that nobody changes, or what is wrong with it and where. What was read once is taken as it is. */
export function readSchema(input: unknown): ReadSchema {
  if (typeof input === 'boolean') return { schema: input }
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    return { path: [], message: 'is no JSON Schema: a group of keywords, or true' }
  }
  if (checks.has(input)) return { schema: input as JsonSchema }
  try {
    const text = JSON.stringify(input)
    const bytes = Buffer.byteLength(text)
    if (bytes > MAX_BYTES) return { path: [], message: `has ${bytes} bytes as JSON; at most ${MAX_BYTES}` }
    const schema = JSON.parse(text) as Readonly<Record<string, unknown>>
    checks.set(schema, compileText(text, schema))
    return { schema }
  } catch (error) {
    if (error instanceof SchemaFault) return { path: error.path, message: error.message }
    if (error instanceof TypeError || error instanceof RangeError) return { path: [], message: 'is not JSON' }
    throw error
  }
}

/**
 * Refuses settings whose schema has more objects within than `most`, before one is compiled: that holds up everything else,
 * for up to a millisecond each. Throws `bad_request`.
 */
function boundParts(settings: unknown, most: number): void {
  const rest = [groupOf(settings).schema]
  for (let parts = 0; rest.length > 0; ) {
    const value = rest.pop()
    if (typeof value !== 'object' || value === null) continue
    if (!Array.isArray(value) && ++parts > most) {
      const text = `settings: schema: has more than ${most} parts, which is the limit (limits.schemaParts)`
      throw new RepriseError('bad_request', `${text}; the configuration file may have a larger one`)
    }
    for (const inner of Object.values(value)) rest.push(inner)
  }
}

/** Of what is stored; whether it is one that can be used turns out when it is. */
export function isSchema(document: unknown): document is JsonSchema {
  return (
    typeof document === 'boolean' || (typeof document === 'object' && document !== null && !Array.isArray(document))
  )
}

/** Throws `bad_request` for the first draft whose data does not fit; `what` has the schema. */
export function checkBodies(schema: JsonSchema | undefined, bodies: readonly (Body | undefined)[], what: string): void {
  if (schema === undefined || schema === true) return
  const check = checkOf(schema)
  const work = workFor(bodies.filter((body) => body !== undefined))
  for (const [index, body] of bodies.entries()) {
    if (body === undefined) continue
    const fault = check(plainData(body), work)
    if (fault === undefined) continue
    throw new RepriseError('bad_request', `draft ${index} does not fit the schema of ${what}: ${fault}`)
  }
}

/** What is wrong with the data, if anything. */
export function misfit(schema: JsonSchema | undefined, body: Body): string | undefined {
  if (schema === undefined || schema === true) return undefined
  return checkOf(schema)(plainData(body), workFor([body]))
}

function workFor(bodies: readonly Body[]): Work {
  return { left: bodies.reduce((sum, body) => sum + bodyBytes(body) * WORK_A_BYTE, WORK) }
}

function checkOf(schema: JsonSchema): Check {
  if (typeof schema === 'boolean') return compile(schema)
  const known = checks.get(schema)
  if (known !== undefined) return known
  const check = compiled(schema)
  checks.set(schema, check)
  return check
}

/** Another version of the hub may have stored what is no schema to this one: then nothing is let through. */
function compiled(schema: Exclude<JsonSchema, boolean>): Check {
  try {
    return compileText(JSON.stringify(schema), schema)
  } catch (error) {
    if (!(error instanceof SchemaFault)) throw error
    const why = `the stored schema is none that this hub can use: ${error.message}`
    return () => {
      throw new RepriseError('unsupported', why)
    }
  }
}
