/** What the hub says of each code. README and docs/protocol.md are held against it. Not for the SDK, which is small. */

import { type ErrorCode, RETRYABLE } from './errors.ts'

/** What the hub says of a code. */
export interface ErrorKind {
  /** Status of the HTTP answer. */
  readonly http: number
  /** Whether the same call may succeed later without being changed. */
  readonly retryable: boolean
  /** When it is answered. */
  readonly when: string
}

/** Status and occasion of each. */
const TOLD: Readonly<Record<ErrorCode, readonly [http: number, when: string]>> = {
  bad_request: [400, 'malformed, wrong type, impossible value'],
  unauthorized: [401, 'no or bad token'],
  forbidden: [403, 'not granted; also for things that the caller may not know about'],
  not_found: [404, 'no such thing'],
  conflict: [409, 'contradicts what is stored'],
  stale_epoch: [409, 'a position of another epoch'],
  taken_over: [409, 'a newer session of this client took over'],
  gap: [410, "`onGap: 'fail'` met a gap"],
  failed: [502, 'the requested job was dead-lettered or removed'],
  too_large: [413, 'over a size limit'],
  unsupported: [426, 'wire version, draft feature or option this hub does not speak'],
  too_many: [429, 'rate or fill limit; `retryAfterMs`'],
  internal: [500, 'a bug; logged with its cause'],
  unavailable: [503, 'store away, hub draining'],
  timeout: [504, 'no answer in time'],
  storage_full: [507, 'disk or memory of the store is full'],
}

/** All codes, as the papers show them. */
export const ERRORS = Object.fromEntries(
  Object.entries(RETRYABLE).map(([code, retryable]) => {
    const [http, when] = TOLD[code as ErrorCode]
    return [code, { http, retryable, when }]
  }),
) as Readonly<Record<ErrorCode, ErrorKind>>
