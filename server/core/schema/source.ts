/**
 * From a JSON Schema (2020-12) to the text of a function that checks data. It takes time and memory, so it is done beside
 * the hub's own thread where the hub is at work (reader.ts).
 */

import { createRequire } from 'node:module'
import type { AnySchemaObject, Ajv2020 as Compiler } from 'ajv/dist/2020.js'
import type * as Codegen from 'ajv/dist/compile/codegen/index.js'
import { messageOf, RepriseError } from '../../../shared/errors.ts'
import { nearest } from '../../../shared/nearest.ts'
import { described, SchemaFault, short } from './faults.ts'
import { formats } from './formats.ts'
import { sizeOf } from './pattern.ts'
import { within } from './work.ts'

export type Schema = Readonly<Record<string, unknown>>

/** The keyword that counts; each schema within a schema gets it. */
const WORK = 'reprise:work'
/** Bytes of a schema that are looked at for one piece of work. */
const BYTES_A_WORK = 64
/** A branch that does not fit leaves its errors, which are copied on the way up. */
const BRANCHES = ['anyOf', 'oneOf']
const WORK_A_BRANCH = 16
/** A reference is a call. */
const WORK_A_REFERENCE = 16
/** Of all patterns together: each is made when the check is. */
const MAX_PATTERNS = 10_000
const DIALECT = 'https://json-schema.org/draft/2020-12/schema'
/** Keywords that hold schemas by name, and those that hold one or a list. */
const MAPS = ['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas', 'dependencies']
const PARTS = [
  ...['allOf', 'anyOf', 'oneOf', 'not', 'if', 'then', 'else'],
  ...['items', 'prefixItems', 'unevaluatedItems', 'contains'],
  ...['additionalProperties', 'unevaluatedProperties', 'propertyNames'],
]

/** As a name, not within a text. */
const PROTOTYPE = /(?<!\\)"__proto__":/

/** What the text takes from where it is run: `check.ts` has it. */
export const NAMES = {
  pattern: 'linearPattern',
  work: 'countWork',
  unique: 'areUnique',
  multiple: 'isMultiple',
  formats: 'formats',
} as const

/** Throws a `SchemaFault`. */
export function sourceOf(schema: Schema): string {
  const { $schema } = schema
  if ($schema !== undefined && $schema !== DIALECT && $schema !== `${DIALECT}#`) {
    throw new SchemaFault(['$schema'], `${short(JSON.stringify($schema))} is not ${DIALECT}`)
  }
  if (PROTOTYPE.test(JSON.stringify(schema))) {
    throw new SchemaFault([], 'has the name __proto__, of which no check can be made')
  }
  // What fails here is nothing of the schema.
  const { meta, newCompiler, standalone } = load()
  try {
    if (within({ left: Number.POSITIVE_INFINITY }, () => meta.validateSchema(schema as AnySchemaObject)) !== true) {
      const { path, text } = described(meta.errors ?? [])
      throw new SchemaFault(path, text)
    }
    const compiler = newCompiler()
    const patterns = new Map<string, number>()
    const whole = prepared(schema, [], { compiler, patterns, text: JSON.stringify(schema) })
    return standalone(compiler, compiler.compile(whole as AnySchemaObject))
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

/** What is known while one is made. */
interface Making {
  readonly compiler: Compiler
  /** How large each of its patterns is. */
  readonly patterns: Map<string, number>
  /** The whole schema. */
  readonly text: string
}

interface Libraries {
  /** Knows what a schema looks like. */
  readonly meta: Compiler
  /** Each schema has its own, so that none can refer to another. */
  readonly newCompiler: () => Compiler
  readonly standalone: (compiler: Compiler, validate: unknown) => string
}

let libraries: Libraries | undefined

function load(): Libraries {
  if (libraries !== undefined) return libraries
  // Not named `require`, which the bundle takes for its own.
  const library = createRequire(import.meta.url)
  const { Ajv2020 } = library('ajv/dist/2020.js') as { Ajv2020: typeof Compiler }
  const { _, str, Name } = library('ajv/dist/compile/codegen') as typeof Codegen
  const { default: standalone } = library('ajv/dist/standalone') as { default: Libraries['standalone'] }
  const called = (name: string) => ({ ref: name, code: _`${new Name(name)}` })
  const withFormats = (compiler: Compiler): Compiler => {
    for (const [name, format] of Object.entries(formats())) compiler.addFormat(name, format)
    return compiler
  }

  function newCompiler(): Compiler {
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
      code: {
        source: true,
        // Its own passes over the code take longer than they save.
        optimize: false,
        formats: _`${new Name(NAMES.formats)}`,
        regExp: Object.assign((source: string) => new RegExp(source, 'u'), { code: NAMES.pattern }),
      },
    })
    // The library follows it, and has it for none of its keywords.
    compiler.addKeyword('$anchor')
    compiler.removeKeyword('uniqueItems')
    compiler.addKeyword({
      keyword: 'uniqueItems',
      type: 'array',
      schemaType: 'boolean',
      error: { message: 'must NOT have duplicate items' },
      // The library's own compares each with each.
      code(cxt) {
        if (cxt.schema === true) cxt.pass(_`${cxt.gen.scopeValue('func', called(NAMES.unique))}(${cxt.data})`)
      },
    })
    compiler.removeKeyword('multipleOf')
    compiler.addKeyword({
      keyword: 'multipleOf',
      type: 'number',
      schemaType: 'number',
      error: { message: ({ schema }) => str`must be multiple of ${schema}` },
      // The library's own divides doubles, of which 19.99 is no multiple of 0.01.
      code(cxt) {
        cxt.pass(_`${cxt.gen.scopeValue('func', called(NAMES.multiple))}(${cxt.data}, ${cxt.schema})`)
      },
    })
    compiler.addKeyword({
      keyword: WORK,
      before: '$ref',
      schemaType: 'number',
      code({ gen, schema, data }) {
        gen.code(_`${gen.scopeValue('func', called(NAMES.work))}(${schema}, ${data})`)
      },
    })
    return withFormats(compiler)
  }

  libraries = { meta: withFormats(new Ajv2020({ logger: false })), newCompiler, standalone }
  return libraries
}

/** A copy in which every schema counts its work. Throws for what no check would be made of, with its place. */
function prepared(schema: object, path: readonly string[], making: Making, ownWork = 1): object {
  const copy: Record<string, unknown> = {}
  for (const [keyword, value] of Object.entries(schema)) {
    const at = [...path, keyword]
    checkKeyword(keyword, value, at, making)
    let made: unknown = value
    if (MAPS.includes(keyword)) {
      made = mapped(value as object, (name, inner) => preparedPart(inner, [...at, name], making))
    } else if (PARTS.includes(keyword)) {
      made = preparedPart(value, at, making, BRANCHES.includes(keyword) ? WORK_A_BRANCH : undefined)
    }
    put(copy, keyword, made)
  }
  const calls = '$ref' in schema || '$dynamicRef' in schema ? WORK_A_REFERENCE : 0
  const weight = ownWork + calls + Math.floor(JSON.stringify(schema).length / BYTES_A_WORK)
  return Object.keys(copy).length === 0 ? copy : { ...copy, [WORK]: weight }
}

function preparedPart(value: unknown, path: readonly string[], making: Making, ownWork?: number): unknown {
  if (Array.isArray(value)) return value.map((one, i) => preparedPart(one, [...path, String(i)], making, ownWork))
  return typeof value === 'object' && value !== null ? prepared(value, path, making, ownWork) : value
}

function checkKeyword(keyword: string, value: unknown, path: readonly string[], making: Making): void {
  const { compiler, patterns, text } = making
  const { RULES } = compiler
  if (RULES.keywords[keyword] !== true || keyword === '$async' || keyword === WORK) {
    const near = nearest(
      keyword,
      Object.keys(RULES.keywords).filter((name) => name !== '$async' && name !== WORK),
    )
    const hint = near === undefined ? '' : `; did you mean ${near}?`
    throw new SchemaFault(path, `unknown keyword ${short(keyword)}${hint}`)
  }
  if (keyword === 'format' && !Object.hasOwn(compiler.formats, String(value))) {
    throw new SchemaFault(path, `unknown format ${short(JSON.stringify(value))}`)
  }
  // The library would take the whole schema for it.
  if (
    keyword === '$dynamicRef' &&
    value !== '#' &&
    !text.includes(`"$dynamicAnchor":${JSON.stringify(anchorOf(value))}`)
  ) {
    throw new SchemaFault(path, `${short(JSON.stringify(value))} is the $dynamicAnchor of nothing in the schema`)
  }
  const here = keyword === 'patternProperties' ? Object.keys(value as object) : keyword === 'pattern' ? [value] : []
  for (const pattern of here.map(String)) {
    if (patterns.has(pattern)) continue
    try {
      patterns.set(pattern, sizeOf(pattern))
    } catch (error) {
      if (error instanceof RepriseError) throw new SchemaFault(path, `${short(pattern)} ${error.message}`)
      throw error
    }
    const size = [...patterns.values()].reduce((sum, one) => sum + one, 0)
    if (size > MAX_PATTERNS) {
      throw new SchemaFault(
        path,
        `the patterns of the schema, written out, are over ${MAX_PATTERNS} characters together`,
      )
    }
  }
}

function anchorOf(reference: unknown): string {
  return String(reference).replace(/^#/, '')
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
