/** What of queues is forgotten by time: settled leases, holders that are gone, answers. */

import { DUE } from '../engine/expiry.ts'
import { TABLES } from '../engine/tables.ts'
import type { Plan } from '../engine/transaction.ts'
import { halfOf, queueIn } from './storage/cache.ts'
import { queueOfHolder } from './storage/consumerRecords.ts'

/** Looks at one entry of what falls due; answers whether it left more to do at once. */
export function sweepQueue(plan: Plan, kind: number, at: number, key: Buffer): boolean {
  if (kind === DUE.answer) {
    const record = plan.get(TABLES.answers, key)
    if (record?.replyBy === at) plan.remove(TABLES.answers, key)
    return false
  }
  const name = kind === DUE.holder ? queueOfHolder(key) : key.toString()
  const queue = queueIn(plan, name)
  if (queue === undefined) return false
  const half = halfOf(queue, name)
  if (kind === DUE.holder) {
    const record = plan.get(TABLES.holders, key)
    if (record?.dueAt === at) half.holders.sweep(plan, record)
    return false
  }
  return half.books.sweepAt === at && half.settled.sweep(plan, half.books, name)
}
