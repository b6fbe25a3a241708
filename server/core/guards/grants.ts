/** Grants: what is wrong with those that somebody wrote, and how they are asked. Patterns are read once, and `{sub}` is the subject. */

import { ACTIONS, type Action, type Grant } from '../access.ts'
import { matcher, PATTERN, PATTERN_RULE } from '../patterns.ts'

const SUBJECT = '{sub}'

/** What is wrong with a pattern of a grant. */
function patternFault(pattern: string): string | undefined {
  if (!PATTERN.test(pattern.replaceAll(SUBJECT, 's'))) return PATTERN_RULE
  // `user.{sub}*` of ann would fit the names of anna.
  if (pattern.includes(`${SUBJECT}*`) || pattern.includes(`*${SUBJECT}`))
    return 'a {sub} next to a *: put a . between them'
  return undefined
}

/** Asked whether an action on a name is granted to the subject. */
export function compile(grants: readonly Grant[], subject: string): (action: Action, name: string) => boolean {
  const rules = new Map<Action, ((name: string) => boolean)[]>()
  for (const { actions, names } of grants) {
    const fitting = names.flatMap((name) => matcherOf(name, subject) ?? [])
    for (const action of actions.includes('*') ? ACTIONS : actions) {
      if (action !== '*') rules.set(action, [...(rules.get(action) ?? []), ...fitting])
    }
  }
  return (action, name) => rules.get(action)?.some((fits) => fits(name)) ?? false
}

/**
 * A subject must not become a pattern itself, nor reach into the names of another one: it fits nothing where it has
 * characters that no name has, or the one that ends `{sub}` in the pattern, or the one before it where a `*` stands further
 * before. With `user.{sub}.*`, the names of `ann.lee` would be among those of `ann`; with `*.{sub}`, those of `lee.ann`.
 */
function matcherOf(pattern: string, subject: string): ((name: string) => boolean) | undefined {
  const parts = pattern.split(SUBJECT)
  if (parts.length === 1) return matcher(pattern)
  if (!/^[A-Za-z0-9._:-]+$/.test(subject)) return undefined
  for (const [after = ''] of parts.slice(1)) if (after !== '' && subject.includes(after)) return undefined
  for (const [i, before] of parts.slice(0, -1).entries()) {
    const last = before.at(-1)
    const isWild = parts.slice(0, i + 1).some((part) => part.includes('*'))
    if (isWild && last !== undefined && subject.includes(last)) return undefined
  }
  return matcher(parts.join(subject))
}

/** What is wrong with grants. */
export function grantsFault(grants: unknown): string | undefined {
  if (!Array.isArray(grants)) return 'is no list of { actions, names }'
  for (const grant of grants as readonly unknown[]) {
    if (!isGroup(grant) || !isTexts(grant.actions) || !isTexts(grant.names)) return 'is no list of { actions, names }'
    for (const action of grant.actions) {
      if (action !== '*' && !ACTIONS.some((known) => known === action)) {
        return `${JSON.stringify(action.slice(0, 40))} is no action; there are ${ACTIONS.join(', ')}, and * for all`
      }
    }
    for (const name of grant.names) {
      const fault = patternFault(name)
      if (fault !== undefined) return `${JSON.stringify(name.slice(0, 80))} is ${fault}`
    }
  }
  return undefined
}

export function isGroup(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}
