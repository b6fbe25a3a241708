/** The schema of a topic or queue: read from settings, and asked whether the data of drafts fits. */

import { RepriseError } from '../../../shared/errors.ts'
import type { Body } from '../../store/contract/store.ts'
import { bodyBytes, plainData } from '../body.ts'
import { type Check, compile, SchemaFault, type Work } from './compile.ts'

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
    checks.set(schema, compile(schema))
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
export function boundParts(settings: unknown, most: number): void {
  const { schema } = (typeof settings === 'object' && settings !== null ? settings : {}) as {
    readonly schema?: unknown
  }
  const rest = [schema]
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
    return compile(schema)
  } catch (error) {
    if (!(error instanceof SchemaFault)) throw error
    const why = `the stored schema is none that this hub can use: ${error.message}`
    return () => {
      throw new RepriseError('unsupported', why)
    }
  }
}
