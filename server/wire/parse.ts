/** How what a client sent is read with a schema: what is wrong is told in one sentence, with its place. */

import type { z } from 'zod'
import { RepriseError } from '../../shared/errors.ts'

/** Names of the caller's that an error repeats: so many, and so much of each. What was sent may be megabytes of them. */
const MAX_SHOWN_KEYS = 3
export const MAX_SHOWN_LENGTH = 80

/** The value as the schema has it; `at` is its place in what came. Throws `bad_request`, or `unsupported` for a key that this hub does not know. */
export function parse<T>(schema: z.ZodType<T>, value: unknown, what: string, at: readonly PropertyKey[] = []): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const path = [...at, ...(issue?.path ?? [])]
  const where = path.length === 0 ? what : `${what}: ${pathText(path)}`
  if (issue?.code === 'unrecognized_keys') {
    const keys = issue.keys.slice(0, MAX_SHOWN_KEYS).map((key) => JSON.stringify(key.slice(0, MAX_SHOWN_LENGTH)))
    const more = issue.keys.length - keys.length
    const rest = more > 0 ? ` and ${more} more` : ''
    throw new RepriseError('unsupported', `${where}: this hub does not know ${keys.join(', ')}${rest}`)
  }
  throw new RepriseError('bad_request', `${where}: ${issue?.message ?? 'not valid'}`)
}

function pathText(path: readonly PropertyKey[]): string {
  let text = ''
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`
    else text += `${text === '' ? '' : '.'}${String(step).slice(0, MAX_SHOWN_LENGTH)}`
  }
  return text
}

/** One after the other, up to the first that is wrong: a schema of the list would collect what is wrong with each. */
export function parseEach<T>(
  values: readonly unknown[],
  isBare: (value: unknown) => boolean,
  schema: z.ZodType<T>,
  what: string,
): readonly T[] {
  return values.map((value, index) => (isBare(value) ? (value as T) : parse(schema, value, what, [index])))
}
