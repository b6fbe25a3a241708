/**
 * The check that the text of a schema's function is (source.ts). A check does only so much work: whoever may publish chooses
 * the data, and must not be able to keep the hub busy with it.
 */

import { createRequire } from 'node:module'
import type { ErrorObject } from 'ajv/dist/2020.js'
import { described, short } from './faults.ts'
import { formats } from './formats.ts'
import { linearPattern } from './pattern.ts'
import { NAMES, type Schema, sourceOf } from './source.ts'
import { charge, TooMuchWork, type Work, within } from './work.ts'

/** Says what is wrong with the data, or nothing. `work` is what it may cost; what it did cost is taken from it. */
export type Check = (data: unknown, work: Work) => string | undefined

interface Validate {
  (data: unknown): boolean
  readonly errors?: readonly ErrorObject[] | null
}

/** Objects with more keys are kept in another way, in which each costs so many times as much. */
const MANY_KEYS = 500
const KEY_OF_MANY = 12
const EQUAL = 'ajv/dist/runtime/equal'

/** In this thread, which does nothing else meanwhile. Throws a `SchemaFault`. */
export function compile(schema: boolean | Schema): Check {
  if (typeof schema === 'boolean') return () => (schema ? undefined : 'nothing fits it')
  return checkFrom(sourceOf(schema))
}

export function checkFrom(source: string): Check {
  const validate = validateOf(source)
  return (data, work) => {
    try {
      if (within(work, () => validate(data))) return undefined
      const { path, text } = described(validate.errors ?? [])
      return `${short(['data', ...path].join('/'))} ${text}`
    } catch (error) {
      if (error instanceof TooMuchWork) return 'data takes too much work to check'
      if (error instanceof RangeError) return 'data is nested too deep to check'
      throw error
    }
  }
}

function validateOf(source: string): Validate {
  // What the text asks for of it is one small function, and another that asks what is compared for its own methods.
  const library = createRequire(import.meta.url)
  const given = {
    [NAMES.pattern]: (pattern: string) => linearPattern(pattern, charge),
    [NAMES.work]: countWork,
    [NAMES.unique]: areUnique,
    [NAMES.multiple]: isMultiple,
    [NAMES.formats]: formats(),
    require: (name: string) => (name === EQUAL ? { default: areEqual } : library(name)),
    module: { exports: undefined as unknown },
  }
  new Function(...Object.keys(given), source)(...Object.values(given))
  return given.module.exports as Validate
}

function countWork(weight: number, data: unknown): void {
  let work = weight
  if (typeof data === 'string') work += data.length >> 3
  else if (typeof data === 'object' && data !== null && !Array.isArray(data)) {
    let keys = 0
    for (const _ in data) keys++
    work += keys > MANY_KEYS ? keys * KEY_OF_MANY : keys
  }
  charge(work)
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

/** Of decimal numbers, as people write them. */
function isMultiple(value: number, of: number): boolean {
  if (Number.isSafeInteger(value) && Number.isSafeInteger(of)) return value % of === 0
  const [a, b] = [decimalOf(value), decimalOf(of)]
  const places = Math.max(a.places, b.places)
  charge(1 + ((2 * places - a.places - b.places) >> 2))
  return scaled(a, places) % scaled(b, places) === 0n
}

interface Decimal {
  readonly digits: bigint
  /** Behind the point; fewer than none for large numbers. */
  readonly places: number
}

function decimalOf(value: number): Decimal {
  const [mantissa = '', exponent = '0'] = String(value).split('e')
  const [whole = '', fraction = ''] = mantissa.split('.')
  return { digits: BigInt(whole + fraction), places: fraction.length - Number(exponent) }
}

function scaled({ digits, places }: Decimal, to: number): bigint {
  return digits * 10n ** BigInt(to - places)
}

function areEqual(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b
  const [one, other] = [canonical(a), canonical(b)]
  charge(1 + ((one.length + other.length) >> 2))
  return one === other
}

/** The same text for equal values, in whatever order their properties are. */
function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([name, inner]) => `${JSON.stringify(name)}:${canonical(inner)}`).join()}}`
}
