/** Whom credentials name, and what they say of it. */

import { RESERVED, type Recognized } from '../core/access.ts'

export interface Identity extends Recognized {
  /** Milliseconds since 1970. */
  readonly issuedAt?: number | undefined
  readonly tokenId?: string | undefined
}

const MAX_SUBJECT = 256

/** What is wrong with the name of a subject. Cursors are kept under it, so no two may look alike to a store. */
export function subjectFault(subject: unknown): string | undefined {
  if (typeof subject !== 'string' || subject === '') return 'is missing'
  if (subject.length > MAX_SUBJECT) return `has more than ${MAX_SUBJECT} characters`
  return !/[\p{Cc}\p{Cs}]/u.test(subject) ? undefined : 'has characters that no name may have'
}

/** The same of whom a token names, which may be none of the hub's own. */
export function tokenSubjectFault(subject: string, keyNames: ReadonlySet<string>): string | undefined {
  const isOwn = RESERVED.has(subject) || keyNames.has(subject)
  return subjectFault(subject) ?? (isOwn ? "is a name of the hub's own" : undefined)
}
