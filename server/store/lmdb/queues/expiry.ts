/** What of queues is forgotten by time: settled leases, consumers that are gone, answers, finished jobs. */

import { DUE } from '../engine/expiry.ts'
import { TABLES } from '../engine/tables.ts'
import type { Transaction } from '../engine/transaction.ts'
import { queueOfHolder } from './storage/consumerRecords.ts'

/** Looks at one entry of what falls due; answers whether it left more to do at once. */
export function sweepQueue(transaction: Transaction, kind: number, at: number, key: Buffer): boolean {
  if (kind === DUE.answer) {
    const record = transaction.get(TABLES.answers, key)
    if (record?.replyBy === at) transaction.remove(TABLES.answers, key)
    return false
  }
  const name = kind === DUE.consumer ? queueOfHolder(key) : key.toString()
  const queue = transaction.queue(name)
  if (queue === undefined) return false
  if (kind === DUE.finished) return queue.record.main.forgetAt === at && queue.finished.sweep(transaction)
  const jobSet = queue.jobSet(name)
  if (kind === DUE.consumer) {
    const record = transaction.get(TABLES.consumers, key)
    if (record?.dueAt === at) jobSet.consumers.sweep(transaction, record)
    return false
  }
  return jobSet.counters.sweepAt === at && jobSet.settled.sweep(transaction, jobSet.counters, name)
}
