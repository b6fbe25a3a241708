/** How options are checked: the kinds of values, groups of them, and the one sentence that says what is wrong. */

import { z } from 'zod'
import { RepriseError } from '../shared/errors.ts'
import { suggestion } from './core/nearest.ts'
import { readBytes, readCount, readDurationMs } from './units.ts'

/** A number of bytes, or text such as `1GiB` or `500MB`. */
export type Size = number | string
/** A number of milliseconds, or text such as `7d`, `30s` or `250ms`. */
export type Duration = number | string

/** A value that `read` makes of anything; `rule` completes the sentence "… is not". */
export function value<T>(rule: string, read: (input: unknown) => T | undefined): z.ZodType<T> {
  return z.unknown().transform((input, context): T => {
    const result = read(input)
    if (result !== undefined) return result
    context.addIssue({ code: 'custom', message: `${shown(input)} is not ${rule}` })
    return z.NEVER
  })
}

/** Characters of what somebody wrote that a sentence repeats. */
const MAX_SHOWN = 80

/** An object that names what it knows when it meets what it does not. */
export function known<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') return `${shown(issue.input)} is not a group of options`
      const word = issue.keys[0] ?? ''
      return `unknown option ${word.slice(0, MAX_SHOWN)}${suggestion(word, Object.keys(shape))}`
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
export const duration = value('a duration: a number of milliseconds, or one with ms, s, m, h, d or w', readDurationMs)
export const positive = value('a whole number of 1 or more', (input) => readCount(input) || undefined)

/** For what is kept: `unlimited` sets no bound, and nothing at all cannot be kept. */
export function bound(rule: string, read: (input: unknown) => number | undefined): z.ZodType<number> {
  return value(`${rule}, or unlimited`, (input) =>
    input === 'unlimited' || input === Number.POSITIVE_INFINITY ? Number.POSITIVE_INFINITY : read(input) || undefined,
  )
}

const PATTERN = /^[A-Za-z0-9*][A-Za-z0-9._:*-]{0,127}$/
const PATTERN_RULE = 'not a name pattern: 1 to 128 of A-Z a-z 0-9 . _ : - and * for any run of characters'

export function byPattern<T extends z.ZodType>(values: T) {
  return z.record(z.string().regex(PATTERN, PATTERN_RULE), values, {
    error: (issue) => (issue.code === 'invalid_type' ? 'is not a list of name patterns with their options' : undefined),
  })
}

/** Throws `bad_request` with what a pattern is. */
export function checkPattern(pattern: string): void {
  if (PATTERN.test(pattern)) return
  throw new RepriseError('bad_request', `${JSON.stringify(pattern.slice(0, 40))} is ${PATTERN_RULE}`)
}

/** What is wrong with an option: where it stands, and the sentence. */
export interface Fault {
  readonly path: readonly PropertyKey[]
  readonly message: string
}

/** The first fault of a failed check; for an unknown key the path leads to that key. */
export function faultOf(error: z.ZodError): Fault {
  const issue = error.issues[0]
  if (issue === undefined) return { path: [], message: 'is not valid' }
  if (issue.code === 'unrecognized_keys') return { path: [...issue.path, issue.keys[0] ?? ''], message: issue.message }
  const [inner] = issue.code === 'invalid_key' ? issue.issues : []
  return { path: issue.path, message: inner?.message ?? issue.message }
}

/** `topics."orders.*".retain` from its parts. */
export function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((part) => (/^[A-Za-z0-9_]+$/.test(String(part)) ? String(part) : JSON.stringify(String(part))))
    .join('.')
}

/** The checked value. Throws `bad_request` with one sentence. */
export function parse<T extends z.ZodType>(schema: T, input: unknown, what: string): z.output<T> {
  const result = schema.safeParse(input)
  if (result.success) return result.data
  const { path, message } = faultOf(result.error)
  const where = message.startsWith('unknown option') ? path.slice(0, -1) : path
  throw new RepriseError('bad_request', `${[what, pathText(where)].filter(Boolean).join(': ')}: ${message}`)
}

/** A value in a sentence, without what a URL may hold of passwords. */
export function shown(input: unknown): string {
  if (typeof input === 'string') return JSON.stringify(input.slice(0, MAX_SHOWN).replace(/:\/\/[^/@]*@/, '://…@'))
  if (input === undefined) return 'nothing'
  return typeof input === 'object' && input !== null ? (Array.isArray(input) ? 'a list' : 'a group') : String(input)
}
