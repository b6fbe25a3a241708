/** Finds numbers of JSON text that a JavaScript number cannot hold: parsing the text would change them silently. */

import { RepriseError } from './errors.ts'

/**
 * A number with 16 digits and points, or with an exponent, may be changed; all others are exact. A look at most texts ends
 * here, at a fraction of what parsing costs: V8 is fastest with one way to begin and repetitions of up to three.
 */
const SUSPECT = /\d(?:[eE]|[\d.]{3}[\d.]{12})/
/** Of a number without a point and a sign: 15 digits. */
const SHORT = 15
const SMALL = 1e-290
const NUMBERS = /-?\d[\d.eE+-]*/g
/** Digits that `toPrecision` can be asked for. */
const MAX_PRECISION = 100
/** The largest whole number that is finite has 309 digits. */
const MAX_WHOLE_LENGTH = 310
const MAX_SHOWN = 40

/** The value of a JSON text. Throws for what is not JSON, and `bad_request` for a number that would not stay what it is. */
export function parseExact(json: string): unknown {
  const value: unknown = JSON.parse(json)
  const changed = changedNumber(json)
  if (changed !== undefined) throw new RepriseError('bad_request', changedNumberRule(changed))
  return value
}

/** The first number of the JSON text that would be changed by parsing, shortened; `undefined` where there is none. */
export function changedNumber(json: string): string | undefined {
  if (!SUSPECT.test(json)) return undefined
  let at = 0
  while (at < json.length) {
    const quote = json.indexOf('"', at)
    const end = quote < 0 ? json.length : quote
    const number = json
      .slice(at, end)
      .match(NUMBERS)
      ?.find((one) => !isKept(one))
    if (number !== undefined) return number.length > MAX_SHOWN ? `${number.slice(0, MAX_SHOWN)}…` : number
    if (quote < 0) return undefined
    at = endOfString(json, quote) + 1
  }
  return undefined
}

/** The sentence that refuses it. */
export function changedNumberRule(number: string): string {
  return `the number ${number} has no exact place in a double of 64 bits; send it as a string`
}

/** Index of the quote that ends the string which begins at `start`. */
function endOfString(json: string, start: number): number {
  for (let quote = json.indexOf('"', start + 1); quote >= 0; quote = json.indexOf('"', quote + 1)) {
    let slashes = 0
    while (json[quote - 1 - slashes] === '\\') slashes += 1
    if (slashes % 2 === 0) return quote
  }
  return json.length
}

/**
 * Whether the double that the text stands for says the same. A fraction has to at the text's own precision: some write
 * one digit more than they need.
 */
function isKept(text: string): boolean {
  const value = Number(text)
  // So few digits are always kept, but at the edges of what a double reaches.
  if (text.length <= SHORT && Math.abs(value) > SMALL && Math.abs(value) < Number.POSITIVE_INFINITY) return true
  if (text === String(value)) return true
  // Not a number at all: parsing says so.
  if (Number.isNaN(value)) return true
  if (!Number.isFinite(value)) return false
  const { digits, exponent } = decimal(text)
  if (digits === '' || value === 0) return digits === ''
  const shortest = decimal(String(value))
  if (shortest.digits === digits && shortest.exponent === exponent) return true
  if (!Number.isInteger(value)) {
    return digits.length <= MAX_PRECISION && decimal(value.toPrecision(digits.length)).digits === digits
  }
  return /^-?\d+$/.test(text) && text.length <= MAX_WHOLE_LENGTH && BigInt(text) === BigInt(value)
}

/** A number as 0.digits × 10^exponent, without its sign and the zeros around the digits. */
function decimal(text: string): { readonly digits: string; readonly exponent: number } {
  const [mantissa = '', power = '0'] = text.replace(/^-/, '').split(/e/i)
  const [whole = '', fraction = ''] = mantissa.split('.')
  const all = whole + fraction
  let first = 0
  while (all[first] === '0') first += 1
  let last = all.length
  while (last > first && all[last - 1] === '0') last -= 1
  return { digits: all.slice(first, last), exponent: whole.length - first + Number(power) }
}
