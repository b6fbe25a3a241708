/** Who is calling and what they may do. A `Caller` goes through every call of the core; it is made by the edge. */

import { RepriseError } from '../../shared/errors.ts'
import { matcher } from './patterns.ts'

export type Action = 'publish' | 'subscribe' | 'send' | 'consume' | 'request' | 'read' | 'admin'

/** Actions on all names that a pattern fits; `*` stands for any run of characters. */
export interface Grant {
  readonly actions: readonly Action[]
  readonly names: readonly string[]
}

export interface Caller {
  /** Whom the credentials name. Cursors, producers and ids belong to a subject. */
  readonly subject: string
  /** The client's own name within the subject; without it nothing is kept for it. */
  readonly client?: string
  readonly grants: readonly Grant[]
}

const EVERYTHING: readonly Grant[] = [
  { actions: ['publish', 'subscribe', 'send', 'consume', 'request', 'read', 'admin'], names: ['*'] },
]

/** The caller where no authentication is configured: everybody is the same subject and may do everything. */
export function anonymous(client?: string): Caller {
  const caller = { subject: 'anonymous', grants: EVERYTHING }
  return client === undefined ? caller : { ...caller, client }
}

/** Throws `forbidden` when no grant of the caller covers it. */
export function authorize(caller: Caller, action: Action, name: string): void {
  for (const grant of caller.grants) {
    if (grant.actions.includes(action) && grant.names.some((pattern) => pattern === '*' || matcher(pattern)(name)))
      return
  }
  throw new RepriseError('forbidden', `${caller.subject} may not ${action} ${name}`)
}
