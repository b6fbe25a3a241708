/** Jobs whose bodies cannot be read: nobody is given them. */

import type { Body, HeldJob, Settlement } from '../../../store/contract/store.ts'

/** A job that a consumer can be given. */
export type ReadableJob = HeldJob & { readonly body: Body }

/** How long a damaged dead letter is not looked at again: it is gone before that. */
const NEVER_MS = 366 * 24 * 3_600_000

export function isReadable(job: HeldJob): job is ReadableJob {
  return job.body !== undefined
}

/** They go to the dead letters, and there they stay. */
export function endingsOf(jobs: readonly HeldJob[], inDeadLetters: boolean): Settlement[] {
  const ending = inDeadLetters ? ({ as: 'retry', delayMs: NEVER_MS } as const) : ({ as: 'dead' } as const)
  return jobs.filter((job) => !isReadable(job)).map(({ id, lease }) => ({ id, lease, error: 'damaged', ...ending }))
}
