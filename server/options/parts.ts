/**
 * Options with parts as flags and variables have them, each part by itself: `tls.cert` is `--tls-cert` and
 * `REPRISE_TLS_CERT`. Of the parts each may come from another source.
 */

import type { z } from 'zod'
import { limitFields } from './limits.ts'
import { tlsFields } from './tls.ts'

const GROUPS: Readonly<Record<string, Readonly<Record<string, z.ZodType>>>> = { tls: tlsFields, limits: limitFields }

type Values = Readonly<Record<string, unknown>>
type Place = (option: string) => string

export function hasParts(option: string): boolean {
  return Object.hasOwn(GROUPS, option)
}

function lineName(group: string, part: string): string {
  return `${group}${part.charAt(0).toUpperCase()}${part.slice(1)}`
}

export const partFields: Readonly<Record<string, z.ZodType>> = Object.fromEntries(
  Object.entries(GROUPS).flatMap(([group, parts]) =>
    Object.entries(parts).map(([part, field]) => [lineName(group, part), field]),
  ),
)

/** One option of what flags or variables have each by itself; its place is that of the first of them. */
export function foldParts(values: Values, place: Place): [values: Values, place: Place] {
  const rest: Record<string, unknown> = { ...values }
  const first = new Map<string, string>()
  for (const [group, parts] of Object.entries(GROUPS)) {
    for (const part of Object.keys(parts)) {
      const name = lineName(group, part)
      const { [name]: value } = values
      delete rest[name]
      if (value === undefined) continue
      rest[group] = { ...(rest[group] as object | undefined), [part]: value }
      if (!first.has(group)) first.set(group, name)
    }
  }
  return [rest, (option) => place(first.get(option) ?? option)]
}
