/** How options are checked: the kinds of values, groups of them, and the one sentence that says what is wrong. */

import { z } from 'zod'
import { RepriseError } from '../../shared/errors.ts'
import { suggestion } from '../../shared/nearest.ts'
import { DURATION_RULE, readBytes, readCount, readDurationMs } from '../../shared/units.ts'
import { PATTERN, PATTERN_RULE } from '../core/patterns.ts'
import { type JsonSchema, readSchema } from '../core/schema/schema.ts'

/** A number of bytes, or text such as `1GiB` or `500MB`. */
export type Size = number | string

/** `unlimited`: no bound. */
export type Count = number | 'unlimited'
/** A number of milliseconds, or text such as `7d`, `30s` or `250ms`. */
export type Duration = number | string

/** One for all that begin with it: each schema takes its part of every start. */
const anything = z.unknown()

/** A value that `read` makes of anything; `rule` completes the sentence "… is not". */
export function value<T>(rule: string, read: (input: unknown) => T | undefined): z.ZodType<T> {
  return anything.transform((input, context): T => {
    const result = read(input)
    if (result !== undefined) return result
    context.addIssue({ code: 'custom', message: `${shown(input)} is not ${rule}` })
    return z.NEVER
  })
}

/** Characters of what somebody wrote that a sentence repeats. */
const MAX_SHOWN = 80
/** A list that has more is only called one. */
const MAX_LISTED = 5
/** Unknown options of one group that are told. */
const MAX_KEYS = 50

/** An object that names what it knows when it meets what it does not. */
export function known<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') return `${shown(issue.input)} is not a group of options`
      // One line a key; a body may be megabytes of them.
      return issue.keys
        .slice(0, MAX_KEYS)
        .map((key) => oneLine(key.slice(0, MAX_SHOWN)))
        .map((key) => `unknown option ${key}${suggestion(key, Object.keys(shape))}`)
        .join('\n')
    },
  })
}

/** Fields as they are written down: each may be left out, or be `undefined` in a program's object. */
export function fields<Shape extends z.ZodRawShape>(shape: Shape) {
  const optionals = Object.fromEntries(Object.entries(shape).map(([name, field]) => [name, z.optional(field)]))
  return known(optionals as { [Name in keyof Shape]: z.ZodOptional<Shape[Name]> })
}

export const optional = z.exactOptional

export const bytes = value('a size: a number of bytes, or one with KB, MB, GB, KiB, MiB or GiB', readBytes)
export const duration = value(DURATION_RULE, readDurationMs)
export const host = value('a host name or address', (input) =>
  typeof input === 'string' && /^[A-Za-z0-9.:_%[\]-]+$/.test(input) ? input.replace(/^\[(.*)\]$/, '$1') : undefined,
)
export const positive = value('a whole number of 1 or more', (input) => readCount(input) || undefined)

export function readPort(input: unknown): number | undefined {
  const port = readCount(input)
  return port === undefined || port > 65_535 ? undefined : port
}

/** For what is kept: `unlimited` sets no bound, and nothing at all cannot be kept. */
export function bound(rule: string, read: (input: unknown) => number | undefined): z.ZodType<number> {
  return value(`${rule}, or unlimited`, (input) =>
    input === 'unlimited' || input === Number.POSITIVE_INFINITY ? Number.POSITIVE_INFINITY : read(input) || undefined,
  )
}

/** A JSON Schema that can be used; what is wrong with one is told at its place in it. */
export const jsonSchema = anything.transform((input, context): JsonSchema => {
  const read = readSchema(input)
  if ('schema' in read) return read.schema
  context.addIssue({ code: 'custom', path: [...read.path], message: read.message })
  return z.NEVER
})

export function byPattern<T extends z.ZodType>(values: T) {
  const patterns = z.record(z.string().regex(PATTERN, PATTERN_RULE), values, {
    error: (issue) => (issue.code === 'invalid_type' ? 'is not a list of name patterns with their options' : undefined),
  })
  // The library passes over this name in silence.
  const named = anything.superRefine((input, context) => {
    if (typeof input === 'object' && input !== null && Object.hasOwn(input, '__proto__')) {
      context.addIssue({ code: 'custom', path: ['__proto__'], message: PATTERN_RULE })
    }
  })
  return named.pipe(patterns)
}

/** What is wrong with an option: where it stands, and the sentence. */
export interface Fault {
  readonly path: readonly PropertyKey[]
  readonly message: string
}

/** The faults of a failed check, at least one; for an unknown key the path leads to that key. */
export function faultsOf(error: z.ZodError): readonly [Fault, ...Fault[]] {
  const [first, ...others] = error.issues.flatMap((issue): Fault[] => {
    if (issue.code === 'unrecognized_keys') {
      const known = issue.message.split('\n')
      return issue.keys
        .slice(0, MAX_KEYS)
        .map((key, index) => ({ path: [...issue.path, key], message: known[index] ?? '' }))
    }
    const [inner] = issue.code === 'invalid_key' ? issue.issues : []
    return [{ path: issue.path, message: inner?.message ?? issue.message }]
  })
  return [first ?? { path: [], message: 'is not valid' }, ...others]
}

/** `topics."orders.*".retain: unknown option aeg`: where it stands, as an unknown key names itself. */
export function faultText({ path, message }: Fault): string {
  const where = message.startsWith('unknown option') ? path.slice(0, -1) : path
  return [pathText(where), message].filter(Boolean).join(': ')
}

/** `topics."orders.*".retain` from its parts. */
function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((part) => (/^[A-Za-z0-9_]+$/.test(String(part)) ? String(part) : JSON.stringify(String(part))))
    .join('.')
}

/** What `read` refuses, as a list of faults. */
export function faultsIn(read: () => unknown): readonly string[] {
  try {
    read()
    return []
  } catch (error) {
    if (error instanceof RepriseError) return [error.message]
    throw error
  }
}

/** The checked value. Throws `bad_request` with one sentence. */
export function parse<T extends z.ZodType>(schema: T, input: unknown, what: string): z.output<T> {
  const result = schema.safeParse(input)
  if (result.success) return result.data
  const [fault] = faultsOf(result.error)
  throw new RepriseError('bad_request', [what, faultText(fault)].filter(Boolean).join(': '))
}

function oneLine(text: string): string {
  return text.replace(/\s/g, ' ')
}

function isShortList(input: unknown): input is readonly unknown[] {
  return Array.isArray(input) && input.length > 0 && input.length <= MAX_LISTED && !input.some(isPart)
}

function isPart(input: unknown): boolean {
  return typeof input === 'object' && input !== null
}

/** A value in a sentence, without what a URL may hold of passwords. */
export function shown(input: unknown): string {
  if (typeof input === 'string') return JSON.stringify(input.slice(0, MAX_SHOWN).replace(/:\/\/[^/@]*@/, '://…@'))
  if (input === undefined) return 'nothing'
  if (isShortList(input)) return `[${input.map(shown).join(', ')}]`
  return typeof input === 'object' && input !== null ? (Array.isArray(input) ? 'a list' : 'a group') : String(input)
}
