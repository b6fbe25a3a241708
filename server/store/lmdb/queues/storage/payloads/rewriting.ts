/**
 * Bodies and error texts of jobs in other bytes. Neighbours share a block of bodies, so those of a chunk are written
 * together: a block then never has the key of one that others still need.
 */

import { encodeBody, readKnownBody } from '../../../../codec.ts'
import type { PayloadChange } from '../../../../contract/store.ts'
import type { Transaction } from '../../../engine/transaction.ts'
import type { JobSet } from '../jobSet.ts'
import type { Job } from '../jobs.ts'
import { rewriteProgress } from './progress.ts'

/** How many jobs were looked at and changed, and the bytes of their bodies. */
export function rewriteChunk(transaction: Transaction, jobSet: JobSet, chunk: number, change: PayloadChange) {
  const jobs = jobSet.jobsIn(chunk)
  // What this commit brings is as it shall be.
  const stored = jobs.filter(({ block }) => block > 0)
  let bytes = 0
  const records = stored.map((job) => {
    const raw = Buffer.from(jobSet.bodies.raw(job))
    const body = readKnownBody(raw)
    const other = body && change.body(body, 'job')
    bytes += raw.length
    return { job, raw: other === undefined ? raw : encodeBody(other), isOther: other !== undefined }
  })
  const told = jobs.filter((job) => rewriteTexts(jobSet, job, change))
  const progress = rewriteProgress(transaction, jobSet, jobs, change)
  bytes += progress.bytes
  const changed = new Set([...told, ...progress.changed])
  if (records.some(({ isOther }) => isOther)) {
    for (const block of new Set(stored.map(({ block }) => block))) jobSet.bodies.removeBlock(transaction, block)
    for (const { job, raw, isOther } of records) {
      jobSet.counters.bytes += raw.length - job.bytes
      job.bytes = raw.length
      job.block = 0
      jobSet.bodies.add(job.n, { raw, bytes: raw.length })
      jobSet.touch(job)
      if (isOther) changed.add(job)
    }
  }
  return { seen: jobs.length, changed: changed.size, bytes }
}

function rewriteTexts(jobSet: JobSet, job: Job, change: PayloadChange): boolean {
  const error = job.dead?.error === undefined ? undefined : change.text(job.dead.error)
  const whys = job.history.map(({ why }) => (why === undefined ? undefined : change.text(why)))
  if (error === undefined && whys.every((why) => why === undefined)) return false
  if (job.dead !== undefined && error !== undefined) job.dead = { ...job.dead, error }
  job.history = job.history.map((entry, i) => {
    const why = whys[i]
    return why === undefined ? entry : { ...entry, why }
  })
  jobSet.touch(job)
  return true
}
