/** Which jobs somebody looks for, and how many are looked through for it. */

import type { JobInfo } from '../../store/contract/store.ts'

/** What one call looks through: so many jobs, large ones fewer, read in parts. */
export const LOOK = { jobs: 1_000, bytes: 8_388_608, part: 50 } as const

/** All that is set has to fit. */
export interface JobFilter {
  readonly ids?: readonly string[] | undefined
  readonly key?: string | undefined
  /** Of dead letters, as are the following: why they are there. */
  readonly reason?: string | undefined
  /** A part of the error's text. */
  readonly error?: string | undefined
  /** Dead-lettered at this time or later, and before that one. */
  readonly since?: number | undefined
  readonly before?: number | undefined
}

export function isFitting({ id, key, dead }: JobInfo, filter: JobFilter): boolean {
  if (filter.ids !== undefined && !filter.ids.includes(id)) return false
  if (filter.key !== undefined && key !== filter.key) return false
  if (filter.reason !== undefined && dead?.reason !== filter.reason) return false
  if (filter.error !== undefined && dead?.error?.includes(filter.error) !== true) return false
  if (filter.since !== undefined && (dead === undefined || dead.at < filter.since)) return false
  return filter.before === undefined || (dead !== undefined && dead.at < filter.before)
}
