/** The formats of schemas. What each costs is counted. */

import { createRequire } from 'node:module'
import type { Format } from 'ajv/dist/2020.js'
import { charge } from './work.ts'

/** Of each character of a text that a format is asked about. */
const WORK_A_FORMATTED = 4

let known: Readonly<Record<string, Format>> | undefined

export function formats(): Readonly<Record<string, Format>> {
  if (known !== undefined) return known
  const library = createRequire(import.meta.url)
  const { fullFormats } = library('ajv-formats/dist/formats.js') as { fullFormats: Readonly<Record<string, Format>> }
  // It takes the square of the text's length, and `uri` says the same.
  const { url: _, ...others } = fullFormats
  known = Object.fromEntries(Object.entries(others).map(([name, format]) => [name, charged(format)]))
  return known
}

function charged(format: Format): Format {
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
