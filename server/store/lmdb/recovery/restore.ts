/**
 * What follows from pages that a data file has lost: records that others lead to are made anew from these, as far as they
 * can be, and all queues are looked through.
 */

import { newEpoch } from '../../token.ts'
import { DUE, fallDue } from '../engine/expiry.ts'
import { ALL, numberKey } from '../engine/keys.ts'
import { STORE_KEY, TABLES, type Table } from '../engine/tables.ts'
import type { Transaction } from '../engine/transaction.ts'
import { lostQueues, mendRecord } from '../queues/mend.ts'
import { restoreScheduleTimes } from '../queues/schedules.ts'
import type { QueueRecord } from '../queues/storage/records.ts'

/** Numbers that are left out where it is not known which were given: nobody has to wonder whose they are. */
const MARGIN = 1_000_000

/** One transaction, before any other. */
export function restore(transaction: Transaction): void {
  restoreStore(transaction)
  restoreLineages(transaction)
  restoreDue(transaction)
  restoreScheduleTimes(transaction)
  const queues = new Map<string, QueueRecord>()
  for (const { key, value } of transaction.environment.records(TABLES.queues, ALL)) queues.set(key.toString(), value)
  for (const [name, record] of lostQueues(transaction, queues)) queues.set(name, record)
  for (const [name, record] of queues) mendRecord(transaction, name, record)
}

function restoreStore(transaction: Transaction): void {
  const { environment } = transaction
  if (environment.get(TABLES.store, STORE_KEY) !== undefined) return
  let lastTopicNumber = 0
  let lastSession = 0
  for (const table of [TABLES.lineages, TABLES.blocks, TABLES.jobs, TABLES.garbage] as Table<unknown>[]) {
    const key = environment.lastUpTo(table, ALL.start, ALL.end)?.key
    if (key !== undefined) lastTopicNumber = Math.max(lastTopicNumber, key.readUInt32BE())
  }
  for (const { value } of environment.records(TABLES.topics, ALL)) {
    lastTopicNumber = Math.max(lastTopicNumber, value.number)
  }
  for (const { value } of environment.records(TABLES.queues, ALL)) {
    lastTopicNumber = Math.max(lastTopicNumber, value.dead.number)
  }
  for (const { value } of environment.records(TABLES.cursors, ALL)) lastSession = Math.max(lastSession, value.session)
  transaction.put(TABLES.store, STORE_KEY, {
    epochs: [newEpoch()],
    opening: '',
    lastTopicNumber: lastTopicNumber + 1_000,
    lastSession: lastSession + MARGIN,
  })
}

/** Of a topic whose lineage is lost its present epoch is known; what was before is told as lost. */
function restoreLineages(transaction: Transaction): void {
  for (const { value } of transaction.environment.records(TABLES.topics, ALL)) {
    const key = numberKey(value.number)
    if (transaction.get(TABLES.lineages, key) !== undefined) continue
    transaction.put(TABLES.lineages, key, [{ epoch: value.epoch, startsAfter: 0 }])
  }
}

/** An entry for each record that expires. */
function restoreDue(transaction: Transaction): void {
  const { environment } = transaction
  const tables = [
    [TABLES.idOwners, DUE.ids],
    [TABLES.producers, DUE.producer],
    [TABLES.cursors, DUE.cursor],
    [TABLES.notes, DUE.note],
    [TABLES.consumers, DUE.consumer],
  ] as const
  for (const [table, kind] of tables) {
    for (const { key, value } of environment.records<{ readonly dueAt: number }>(table as Table<never>, ALL)) {
      fallDue(transaction, value.dueAt, kind, key)
    }
  }
  for (const { key, value } of environment.records(TABLES.answers, ALL))
    fallDue(transaction, value.replyBy, DUE.answer, key)
  for (const { key, value } of environment.records(TABLES.queues, ALL)) {
    if (value.main.sweepAt > 0) fallDue(transaction, value.main.sweepAt, DUE.settled, key)
    if (value.main.forgetAt !== undefined) fallDue(transaction, value.main.forgetAt, DUE.finished, key)
    const letters = Buffer.from(`${key.toString()}/dead`)
    if (value.dead.sweepAt > 0) fallDue(transaction, value.dead.sweepAt, DUE.settled, letters)
  }
}
