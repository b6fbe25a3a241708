/** Query parameters by their schemas. A parameter that nobody knows is refused: what it was to say would be lost. */

import type { z } from 'zod'
import { RepriseError } from '../../../shared/errors.ts'
import { suggestion } from '../../../shared/nearest.ts'

export type QueryShape = Readonly<Record<string, z.ZodType<unknown, string>>>

/** Every parameter may be left out. */
export type Query<Shape extends QueryShape> = { readonly [Name in keyof Shape]?: z.output<Shape[Name]> }

/** Throws `bad_request` with the parameter's name and what it has to be. */
export function parseQuery<Shape extends QueryShape>(shape: Shape, search: URLSearchParams): Query<Shape> {
  const known = Object.keys(shape)
  const found: Record<string, unknown> = {}
  for (const name of new Set(search.keys())) {
    const schema = Object.hasOwn(shape, name) ? shape[name] : undefined
    if (schema === undefined) {
      const hint = known.length === 0 ? '; there are none here' : suggestion(name, known)
      throw new RepriseError('bad_request', `unknown query parameter ${JSON.stringify(name)}${hint}`)
    }
    const values = search.getAll(name)
    const [value = ''] = values
    if (values.length > 1) throw new RepriseError('bad_request', `the query has ${name} ${values.length} times`)
    const result = schema.safeParse(value)
    if (!result.success) {
      const why = result.error.issues[0]?.message ?? 'is not valid'
      // Some rules begin with the name already.
      const rule = why.startsWith(`${name} is `) ? why : `${name}${/^(is|has to) /.test(why) ? ' ' : ': '}${why}`
      throw new RepriseError('bad_request', `query: ${rule}; not ${shown(value)}`)
    }
    found[name] = result.data
  }
  return found as Query<Shape>
}

/** The part behind the question mark, of the request as it is. */
export function searchOf(url = '/'): URLSearchParams {
  const mark = url.indexOf('?')
  return new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1))
}

function shown(value: string): string {
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value)
}
