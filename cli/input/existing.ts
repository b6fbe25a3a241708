/** A name that the hub does not know is told, with the known one that may have been meant. Nothing is created by it. */

import { hasCode, RepriseError } from '../../shared/errors.ts'
import { nearest } from '../../shared/nearest.ts'
import { getPages } from '../pages.ts'
import { type Fields, getJson, queueRoute, type RemoteOptions, topicRoute } from '../remote.ts'

export type Kind = 'topic' | 'queue'

/** Names that are compared with the one that was given. */
const MAX_COMPARED = 5_000
const DEAD = /\/dead$/

/** Where it is under `/v1`. */
export function routeOf(kind: Kind, name: string): string {
  return kind === 'queue' ? queueRoute(name) : topicRoute(name)
}

/** What the hub knows of it. Throws `not_found` with the nearest name. For `<queue>/dead` the queue counts. */
export async function existing(remote: RemoteOptions, kind: Kind, name: string): Promise<Fields> {
  const known = kind === 'queue' ? name.replace(DEAD, '') : name
  try {
    return await getJson(remote, routeOf(kind, known))
  } catch (error) {
    if (!hasCode(error, 'not_found')) throw error
    const near = await nearestName(remote, kind, known)
    throw near === undefined
      ? error
      : new RepriseError('not_found', `${error.message}; did you mean ${near}?`, { cause: error })
  }
}

/** The same where the name may come to life later: the sentence to tell, or `undefined` where all is well. */
export async function missing(remote: RemoteOptions, kind: Kind, name: string): Promise<string | undefined> {
  try {
    await existing(remote, kind, name)
    return undefined
  } catch (error) {
    return hasCode(error, 'not_found') ? error.message : undefined
  }
}

/** Who may not list the names is told none. */
async function nearestName(remote: RemoteOptions, kind: Kind, name: string): Promise<string | undefined> {
  const names: string[] = []
  try {
    for await (const page of getPages(remote, `/${kind}s`, `${kind}s`)) {
      names.push(...page.map((one) => String(one[kind])))
      if (names.length >= MAX_COMPARED) break
    }
  } catch (error) {
    if (!(error instanceof RepriseError)) throw error
  }
  return nearest(name, names)
}
