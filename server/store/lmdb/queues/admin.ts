/** What operators and bindings do to a queue: remove, purge, redrive, pause, bind. */

import type { Position } from '../../../../shared/positions.ts'
import type { Plan } from '../engine/transaction.ts'
import { redrive, removeJob } from './deadLetters.ts'
import { halfOf, queueIn, queueMade, tellWork } from './storage/cache.ts'
import { numberIn } from './storage/jobs.ts'

export function planRemove(plan: Plan, name: string, id: string): boolean {
  const queue = queueIn(plan, name)
  if (queue === undefined) return false
  const half = halfOf(queue, name)
  const job = half.find(plan, id, numberIn(id, '-'))
  if (job === undefined || job.state === 'held') return false
  removeJob(plan, queue, half, job)
  tellWork(queue)
  return true
}

/** Goes through the jobs in the order of their coming, as far as they were there. */
export function planPurge(plan: Plan, name: string, query: { before: number; limit: number }): number {
  const queue = queueIn(plan, name)
  if (queue === undefined) return 0
  const half = halfOf(queue, name)
  let removed = 0
  for (const { jobs } of half.chunks()) {
    const old = jobs.filter(({ cameAt }) => cameAt <= query.before)
    if (jobs.length > 0 && old.length === 0) break
    for (const job of old) {
      if (job.state === 'held' || removed === query.limit) continue
      removeJob(plan, queue, half, job)
      removed++
    }
    if (removed === query.limit) break
  }
  tellWork(queue)
  return removed
}

export function planRedrive(plan: Plan, name: string, ids: readonly string[], ttlMs: number): number {
  const queue = queueIn(plan, name)
  if (queue === undefined) return 0
  let found = 0
  for (const id of ids) {
    const job = queue.dead.find(plan, id, numberIn(id, '-'))
    if (job === undefined || job.state === 'held' || job.dead?.reason === 'gap') continue
    redrive(plan, queue, job, ttlMs)
    found++
  }
  tellWork(queue)
  return found
}

export function planPause(plan: Plan, name: string, paused: boolean): boolean {
  const queue = paused ? queueMade(plan, name) : queueIn(plan, name)
  if (queue === undefined) return false
  const { books } = halfOf(queue, name)
  if (books.paused === paused) return false
  books.paused = paused
  plan.notifyQueue(queue.name, { kind: 'changed' })
  return true
}

export function planBind(
  plan: Plan,
  name: string,
  topic: string,
  position: Position | undefined,
): Position | undefined {
  const queue = position === undefined ? queueIn(plan, name) : queueMade(plan, name)
  if (queue === undefined) return undefined
  const { record } = queue
  const known = record.bindings.find((one) => one.topic === topic)
  if (position === undefined) {
    if (known === undefined) return undefined
    record.bindings = record.bindings.filter((one) => one !== known)
    plan.notifyQueue(queue.name, { kind: 'changed' })
    return undefined
  }
  if (known !== undefined) return { epoch: known.epoch, offset: known.offset }
  const { epoch, offset } = position
  record.bindings = [...record.bindings, { topic, epoch, offset }].sort((a, b) =>
    Buffer.compare(Buffer.from(a.topic), Buffer.from(b.topic)),
  )
  plan.notifyQueue(queue.name, { kind: 'changed' })
  return { epoch, offset }
}
