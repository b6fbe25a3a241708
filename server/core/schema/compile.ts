/**
 * From a JSON Schema (2020-12) to the check that it means. A check does only so much work: whoever may publish chooses the
 * data, and must not be able to keep the hub busy with it. Loaded and compiled only where a schema is set.
 */

import { createRequire } from 'node:module'
import type { AnySchemaObject, Ajv2020 as Compiler, ErrorObject, Format } from 'ajv/dist/2020.js'
import { messageOf, RepriseError } from '../../../shared/errors.ts'
import { nearest } from '../../../shared/nearest.ts'
import { linearPattern } from './pattern.ts'

/** Says what is wrong with the data, or nothing. `work` is what it may cost; what it did cost is taken from it. */
export type Check = (data: unknown, work: Work) => string | undefined

export interface Work {
  left: number
}

/** What is wrong with a schema, and where in it. */
export class SchemaFault extends Error {
  readonly path: readonly string[]

  constructor(path: readonly string[], message: string) {
    super(message)
    this.path = path
  }
}

class TooMuchWork extends Error {}

/** Characters of a path or a value that a sentence repeats. */
const MAX_SHOWN = 200
/** The keyword that counts; each schema within a schema gets it. */
const WORK = 'reprise:work'
/** Objects with more keys are kept in another way, in which each costs so many times as much. */
const MANY_KEYS = 500
const KEY_OF_MANY = 12
/** Of each character of a text that a format is asked about. */
const WORK_A_FORMATTED = 4
/** Bytes of a schema that are looked at for one piece of work. */
const BYTES_A_WORK = 64
/** A branch that does not fit leaves its errors, which are copied on the way up. */
const BRANCHES = ['anyOf', 'oneOf']
const WORK_A_BRANCH = 16
/** A reference is a call. */
const WORK_A_REFERENCE = 16
const DIALECT = 'https://json-schema.org/draft/2020-12/schema'
/** Keywords that hold schemas by name, and those that hold one or a list. */
const MAPS = ['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas', 'dependencies']
const PARTS = [
  ...['allOf', 'anyOf', 'oneOf', 'not', 'if', 'then', 'else'],
  ...['items', 'prefixItems', 'unevaluatedItems', 'contains'],
  ...['additionalProperties', 'unevaluatedProperties', 'propertyNames'],
]

/** One check at a time, as none of them waits. */
let budget: Work = { left: 0 }

function charge(work: number): void {
  budget.left -= work
  if (budget.left < 0) throw new TooMuchWork()
}

/** Throws a `SchemaFault`. */
export function compile(schema: boolean | Readonly<Record<string, unknown>>): Check {
  if (typeof schema === 'boolean') return () => (schema ? undefined : 'nothing fits it')
  const { $schema } = schema
  if ($schema !== undefined && $schema !== DIALECT && $schema !== `${DIALECT}#`) {
    throw new SchemaFault(['$schema'], `${short(JSON.stringify($schema))} is not ${DIALECT}`)
  }
  try {
    const meta = metaCompiler()
    if (meta.validateSchema(schema as AnySchemaObject) !== true) {
      const { path, text } = described(meta.errors ?? [])
      throw new SchemaFault(path, text)
    }
    const compiler = newCompiler()
    const validate = compiler.compile(prepared(schema, [], compiler) as AnySchemaObject)
    return (data, work) => {
      budget = work
      try {
        if (validate(data)) return undefined
        const { path, text } = described(validate.errors ?? [])
        return `${short(['data', ...path].join('/'))} ${text}`
      } catch (error) {
        if (error instanceof TooMuchWork) return 'data takes too much work to check'
        if (error instanceof RangeError) return 'data is nested too deep to check'
        throw error
      }
    }
  } catch (error) {
    if (error instanceof SchemaFault) throw error
    if (error instanceof RangeError) throw new SchemaFault([], 'is nested too deep')
    const missing = (error as { readonly missingRef?: unknown }).missingRef
    throw new SchemaFault(
      [],
      typeof missing === 'string'
        ? `$ref ${short(missing)} is not in the schema; others are not loaded`
        : messageOf(error).replace(/^strict mode: /, ''),
    )
  }
}

interface Libraries {
  readonly Ajv2020: typeof Compiler
  readonly addFormats: (compiler: Compiler) => Compiler
}

let libraries: Libraries | undefined
let meta: Compiler | undefined

function load(): Libraries {
  if (libraries !== undefined) return libraries
  // Not named `require`, which the bundle takes for its own.
  const library = createRequire(import.meta.url)
  const { Ajv2020 } = library('ajv/dist/2020.js') as { Ajv2020: typeof Compiler }
  const { default: addFormats } = library('ajv-formats') as { default: Libraries['addFormats'] }
  libraries = { Ajv2020, addFormats }
  return libraries
}

/** Knows what a schema looks like. */
function metaCompiler(): Compiler {
  const { Ajv2020, addFormats } = load()
  meta ??= addFormats(new Ajv2020({ logger: false }))
  return meta
}

/** Each schema has its own, so that none can refer to another. */
function newCompiler(): Compiler {
  const { Ajv2020, addFormats } = load()
  const compiler = new Ajv2020({
    meta: false,
    validateSchema: false,
    strictTypes: false,
    strictTuples: false,
    allowMatchingProperties: true,
    // Written out at each place, a few definitions can become any size.
    inlineRefs: false,
    // What every object inherits, such as `constructor`, is no property of the data.
    ownProperties: true,
    logger: false,
    // Its own passes over the code take longer than they save.
    code: {
      optimize: false,
      regExp: Object.assign((source: string) => linearPattern(source, charge), { code: 'linearPattern' }),
    },
  })
  addFormats(compiler)
  // It takes the square of the text's length, and `uri` says the same.
  delete compiler.formats.url
  for (const [name, format] of Object.entries(compiler.formats)) compiler.addFormat(name, charged(format))
  compiler.removeKeyword('uniqueItems')
  compiler.addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    error: { message: 'must NOT have duplicate items' },
    // The library's own compares each with each.
    validate: (isWanted: boolean, items: readonly unknown[]) => !isWanted || areUnique(items),
  })
  compiler.addKeyword({ keyword: WORK, before: '$ref', schemaType: 'number', validate: countWork })
  return compiler
}

/** A format whose checks are counted. */
function charged(format: Compiler['formats'][string] | Format): Format {
  if (format instanceof RegExp) return charged((text) => format.test(text))
  if (typeof format === 'function') {
    return (text: string) => {
      charge(text.length * WORK_A_FORMATTED)
      return format(text)
    }
  }
  if (typeof format !== 'object' || format.type === 'number') return format as Format
  return { ...format, validate: charged(format.validate as Format) } as Format
}

function countWork(weight: number, data: unknown): boolean {
  let work = weight
  if (typeof data === 'string') work += data.length >> 3
  else if (typeof data === 'object' && data !== null && !Array.isArray(data)) {
    let keys = 0
    for (const _ in data) keys++
    work += keys > MANY_KEYS ? keys * KEY_OF_MANY : keys
  }
  charge(work)
  return true
}

function areUnique(items: readonly unknown[]): boolean {
  const seen = new Set<string>()
  for (const item of items) {
    const text = canonical(item)
    charge(1 + (text.length >> 2))
    seen.add(text)
  }
  return seen.size === items.length
}

/** The same text for equal values, in whatever order their properties are. */
function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([name, inner]) => `${JSON.stringify(name)}:${canonical(inner)}`).join()}}`
}

/** A copy in which every schema counts its work. Throws for what no check would be made of, with its place. */
function prepared(schema: object, path: readonly string[], compiler: Compiler, ownWork = 1): object {
  const copy: Record<string, unknown> = {}
  for (const [keyword, value] of Object.entries(schema)) {
    const at = [...path, keyword]
    checkKeyword(keyword, value, at, compiler)
    let made: unknown = value
    if (MAPS.includes(keyword)) {
      made = mapped(value as object, (name, inner) => preparedPart(inner, [...at, name], compiler))
    } else if (PARTS.includes(keyword)) {
      made = preparedPart(value, at, compiler, BRANCHES.includes(keyword) ? WORK_A_BRANCH : undefined)
    }
    put(copy, keyword, made)
  }
  const calls = '$ref' in schema || '$dynamicRef' in schema ? WORK_A_REFERENCE : 0
  const weight = ownWork + calls + Math.floor(JSON.stringify(schema).length / BYTES_A_WORK)
  return Object.keys(copy).length === 0 ? copy : { ...copy, [WORK]: weight }
}

function preparedPart(value: unknown, path: readonly string[], compiler: Compiler, ownWork?: number): unknown {
  if (Array.isArray(value)) return value.map((one, i) => preparedPart(one, [...path, String(i)], compiler, ownWork))
  return typeof value === 'object' && value !== null ? prepared(value, path, compiler, ownWork) : value
}

function checkKeyword(keyword: string, value: unknown, path: readonly string[], { RULES }: Compiler): void {
  if (RULES.keywords[keyword] !== true || keyword === '$async' || keyword === WORK) {
    const near = nearest(keyword, Object.keys(RULES.keywords))
    const hint = near === undefined ? '' : `; did you mean ${near}?`
    throw new SchemaFault(path, `unknown keyword ${short(keyword)}${hint}`)
  }
  const patterns = keyword === 'patternProperties' ? Object.keys(value as object) : keyword === 'pattern' ? [value] : []
  for (const pattern of patterns) {
    try {
      linearPattern(String(pattern), charge)
    } catch (error) {
      if (error instanceof RepriseError) throw new SchemaFault(path, `${short(String(pattern))} ${error.message}`)
      throw error
    }
  }
}

function mapped(map: object, change: (name: string, value: unknown) => unknown): object {
  const copy: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(map)) put(copy, name, change(name, value))
  return copy
}

/** A plain assignment to `__proto__` would vanish. */
function put(object: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true })
}

/** What is wrong at the deepest place: where several things would have been right, all of them. */
function described(errors: readonly ErrorObject[]): { readonly path: readonly string[]; readonly text: string } {
  const last = errors.at(-1)
  const isWhole = last === undefined || last.keyword === 'contains' || last.keyword === 'not'
  const depth = (error: ErrorObject) => error.instancePath.split('/').length
  const deepest = isWhole ? depth(last ?? ({ instancePath: '' } as ErrorObject)) : Math.max(...errors.map(depth))
  const there = isWhole ? errors.slice(-1) : errors.filter((error) => depth(error) === deepest)
  const causes = there.filter(({ keyword }) => !['anyOf', 'oneOf', 'if', 'propertyNames'].includes(keyword))
  const told = causes.length === 0 ? there.slice(-1) : causes
  const texts = [...new Set(told.map(sentence))].slice(0, 3)
  const path = (told[0]?.instancePath ?? '').split('/').slice(1)
  return { path: path.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~')), text: texts.join(' or ') }
}

function sentence({ keyword, message = 'does not fit', params, propertyName }: ErrorObject): string {
  const { additionalProperty, unevaluatedProperty, allowedValues, allowedValue } = params
  const named = additionalProperty ?? unevaluatedProperty
  const values = keyword === 'const' ? [allowedValue] : keyword === 'enum' ? (allowedValues as unknown[]) : undefined
  const more = named === undefined ? values?.map((value) => JSON.stringify(value)).join(', ') : String(named)
  const name = propertyName === undefined ? '' : `property name ${short(JSON.stringify(propertyName))} `
  return short(name + message) + (more === undefined ? '' : `: ${short(more)}`)
}

function short(text: string): string {
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
}
