/** What consumers told of a job, in a record beside it: it goes where the job goes. How it is written is in store/progress.ts. */

import type { PayloadChange, Report, Told } from '../../../../contract/store.ts'
import { readProgress, repackProgress, withReport } from '../../../../jobs/progress.ts'
import type { Environment } from '../../../engine/environment.ts'
import { blockKey } from '../../../engine/keys.ts'
import { TABLES } from '../../../engine/tables.ts'
import type { Transaction } from '../../../engine/transaction.ts'
import type { JobSet } from '../jobSet.ts'
import type { Job } from '../jobs.ts'

function keyOf({ counters: { number } }: JobSet, { n }: Pick<Job, 'n'>): Buffer {
  return blockKey(number, n)
}

export function addReport(transaction: Transaction, jobSet: JobSet, job: Job, report: Report): void {
  const key = keyOf(jobSet, job)
  const before = job.hasProgress ? transaction.get(TABLES.progress, key) : undefined
  transaction.put(TABLES.progress, key, withReport(before, report, transaction.now))
  if (job.hasProgress) return
  job.hasProgress = true
  jobSet.touch(job)
}

/** What it has is taken from it, as it leaves its queue. */
export function takeProgress(transaction: Transaction, jobSet: JobSet, job: Job): Buffer | undefined {
  if (!job.hasProgress) return undefined
  const key = keyOf(jobSet, job)
  const packed = transaction.get(TABLES.progress, key)
  transaction.remove(TABLES.progress, key)
  return packed
}

/** And given to it in the queue that it has come into. */
export function giveProgress(transaction: Transaction, jobSet: JobSet, job: Job, packed: Buffer | undefined): void {
  job.hasProgress = packed !== undefined
  if (packed !== undefined) transaction.put(TABLES.progress, keyOf(jobSet, job), packed)
}

/** As it is stored. */
export function storedProgress(environment: Environment, queueNumber: number, { n, hasProgress }: Job): Told {
  return hasProgress ? readProgress(environment.get(TABLES.progress, blockKey(queueNumber, n))) : {}
}

/** Values and lines in other bytes; which of these jobs have some. */
export function rewriteProgress(transaction: Transaction, jobSet: JobSet, jobs: readonly Job[], change: PayloadChange) {
  let bytes = 0
  const changed = jobs.filter((job) => {
    const packed = job.hasProgress ? transaction.get(TABLES.progress, keyOf(jobSet, job)) : undefined
    if (packed === undefined) return false
    bytes += packed.length
    const other = repackProgress(packed, change)
    if (other === undefined) return false
    transaction.put(TABLES.progress, keyOf(jobSet, job), other)
    return true
  })
  return { changed, bytes }
}
