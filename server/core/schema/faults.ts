/** What is wrong with a schema, or with data that does not fit one, as sentences. */

import type { ErrorObject } from 'ajv/dist/2020.js'
import { cutText } from '../../../shared/queues/cutText.ts'

/** Characters of a path or a value that a sentence repeats. */
const MAX_SHOWN = 200

/** What is wrong with a schema, and where in it. */
export class SchemaFault extends Error {
  readonly path: readonly string[]

  constructor(path: readonly string[], message: string) {
    super(message)
    this.path = path
  }
}

/** What is wrong at the deepest place: where several things would have been right, all of them. */
export function described(errors: readonly ErrorObject[]): { readonly path: readonly string[]; readonly text: string } {
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

export function short(text: string): string {
  return cutText(text, MAX_SHOWN)
}
