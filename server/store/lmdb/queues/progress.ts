/** The step in which consumers tell how far they are with their jobs. What of it stays with a job is in storage/payloads. */

import type { Progress, QueuePolicy, Report } from '../../contract/store.ts'
import type { Transaction } from '../engine/transaction.ts'
import type { JobSet } from './storage/jobSet.ts'
import { numberIn } from './storage/jobs.ts'
import { addReport } from './storage/payloads/progress.ts'
import type { Queue } from './storage/queue.ts'
import { fireTimers } from './timers.ts'

export function progress(
  transaction: Transaction,
  name: string,
  reports: readonly Report[],
  policy: QueuePolicy,
): Progress[] {
  transaction.needRoom('the progress of jobs')
  const queue = transaction.queue(name)
  if (queue === undefined) return reports.map(() => 'lost')
  fireTimers(transaction, queue, policy)
  return reports.map((report) => keep(transaction, queue, queue.jobSet(name), report))
}

function keep(transaction: Transaction, queue: Queue, jobSet: JobSet, report: Report): Progress {
  const { id, lease, value } = report
  const job = jobSet.job(numberIn(lease, '.'))
  if (job === undefined || job.lease !== lease || job.id !== id) return 'lost'
  addReport(transaction, jobSet, job, report)
  if (value !== undefined && !jobSet.isDead) {
    queue.life.tell('progress', id, { attempt: job.attempts + 1, body: value })
  }
  return 'ok'
}
