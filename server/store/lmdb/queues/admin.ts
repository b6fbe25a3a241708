/** What operators and bindings do to a queue: purge, run now, redrive, pause, bind, drop. */

import type { Position } from '../../../../shared/positions.ts'
import type { Dropped, Keeping, PurgeQuery } from '../../contract/store.ts'
import type { Transaction } from '../engine/transaction.ts'
import { removeJob, revive } from './deadLetters.ts'
import { trimFinished } from './finished.ts'
import { type Job, note } from './storage/jobs.ts'
import { jobsIn } from './storage/records.ts'

export function purge(transaction: Transaction, name: string, query: PurgeQuery, keep?: Keeping): number {
  const queue = transaction.queue(name)
  if (queue === undefined) return 0
  queue.life.checkRoom()
  const jobSet = queue.jobSet(name)
  let removed = 0
  const remove = (job: Job | undefined): void => {
    // It may have gone with its child.
    if (job === undefined || job.state === 'held' || jobSet.job(job.n) !== job) return
    removeJob(transaction, queue, jobSet, job, keep)
    removed++
  }
  if ('ids' in query) {
    for (const id of query.ids) remove(jobSet.find(transaction, id))
    trimFinished(transaction, queue, keep)
    return removed
  }
  // In the order of their coming, as far as they were there.
  for (const jobs of jobSet.chunks()) {
    const old = jobs.filter(({ cameAt }) => cameAt <= query.before)
    if (jobs.length > 0 && old.length === 0) break
    for (const job of old) if (removed < query.limit) remove(job)
    if (removed === query.limit) break
  }
  trimFinished(transaction, queue, keep)
  return removed
}

export function runNow(transaction: Transaction, name: string, ids: readonly string[]): number {
  const queue = transaction.queue(name)
  if (queue === undefined) return 0
  const jobSet = queue.jobSet(name)
  const { now } = transaction
  let found = 0
  for (const id of ids) {
    const job = jobSet.find(transaction, id)
    if (job?.state !== 'delayed') continue
    note(job, now, 'run')
    jobSet.change(job, () => {
      if (job.sequence === 0) jobSet.sequence(job)
      job.state = 'ready'
      job.dueAt = Math.min(job.dueAt, now)
    })
    found++
  }
  return found
}

export function redrive(transaction: Transaction, name: string, ids: readonly string[], ttlMs: number): number {
  const queue = transaction.queue(name)
  if (queue === undefined) return 0
  queue.life.checkRoom()
  let found = 0
  for (const id of ids) {
    const job = queue.dead.find(transaction, id)
    if (job === undefined || job.state === 'held' || job.dead?.reason === 'gap') continue
    revive(transaction, queue, job, ttlMs)
    found++
  }
  return found
}

export function pause(transaction: Transaction, name: string, paused: boolean): boolean {
  const queue = paused ? transaction.queueMade(name) : transaction.queue(name)
  if (queue === undefined) return false
  const { counters } = queue.jobSet(name)
  if (counters.paused === paused) return false
  counters.paused = paused
  if (!paused && counters === queue.record.main) {
    delete queue.record.tripped
    delete queue.record.outcomes
  }
  transaction.notifyQueue(queue.name, { kind: 'changed' })
  return true
}

export function bind(
  transaction: Transaction,
  name: string,
  topic: string,
  position: Position | undefined,
): Position | undefined {
  const queue = position === undefined ? transaction.queue(name) : transaction.queueMade(name)
  if (queue === undefined) return undefined
  const { record } = queue
  const known = record.bindings.find((one) => one.topic === topic)
  if (position === undefined) {
    if (known === undefined) return undefined
    record.bindings = record.bindings.filter((one) => one !== known)
    transaction.notifyQueue(queue.name, { kind: 'changed' })
    return undefined
  }
  if (known !== undefined) return { epoch: known.epoch, offset: known.offset }
  const { epoch, offset } = position
  record.bindings = [...record.bindings, { topic, epoch, offset }].sort((a, b) =>
    Buffer.compare(Buffer.from(a.topic), Buffer.from(b.topic)),
  )
  transaction.notifyQueue(queue.name, { kind: 'changed' })
  return { epoch, offset }
}

export function drop(transaction: Transaction, name: string): Dropped | undefined {
  const queue = transaction.queue(name)
  if (queue === undefined) return undefined
  const { record, main, dead, life } = queue
  const use = {
    jobs: jobsIn(record.main),
    dead: jobsIn(record.dead),
    consumers: main.consumers.attached(transaction.now) + dead.consumers.attached(transaction.now),
    bindings: record.bindings.length,
    schedules: record.schedules ?? 0,
    life: life.size.events,
  }
  if (Object.values(use).some((count) => count > 0)) return { use }
  transaction.dropQueue(queue)
  return { more: false }
}
