/** Whom credentials name, and what they say of it. */

import type { Grant } from '../core/access.ts'

export interface Identity {
  readonly subject: string
  readonly grants: readonly Grant[]
  /** The only client name that may be used with them. */
  readonly client?: string | undefined
  /** Milliseconds since 1970. */
  readonly expiresAt?: number | undefined
  readonly issuedAt?: number | undefined
  readonly tokenId?: string | undefined
}

export const ANONYMOUS = 'anonymous'

/** Subjects of the hub's own, which no token may name. */
export const RESERVED: ReadonlySet<string> = new Set([ANONYMOUS, 'program'])
