/** The step that forgets what is over its time: a bounded part of what has fallen due. */

import type { Swept } from '../contract/store.ts'
import { sweepIds } from './dedup/ids.ts'
import { sweepProducer } from './dedup/producers.ts'
import { DUE } from './engine/expiry.ts'
import { dueKey, partsOfDue } from './engine/keys.ts'
import { TABLES } from './engine/tables.ts'
import type { Transaction } from './engine/transaction.ts'
import { sweepQueue } from './queues/expiry.ts'
import { sweepCursor } from './topics/cursors.ts'

/** Records looked at in one part, each a unit of work, and what a chunk of ids weighs: its ids lie all over their table. */
const PART = 200
const CHUNK_WORK = 25
const SETTLED_CHUNKS = 64

export function sweep(transaction: Transaction): Swept {
  let [ids, producers, cursors] = [0, 0, 0]
  const end = dueKey(transaction.now + 1, 0, Buffer.alloc(0))
  const due = transaction.environment.keys(TABLES.due, { start: Buffer.of(0), end, limit: PART })
  let unfinished = false
  let work = 0
  let looked = 0
  for (const entry of due) {
    // An owner of many ids takes the room of many records.
    if (work >= PART) break
    looked++
    const { at, kind, key } = partsOfDue(entry)
    transaction.remove(TABLES.due, entry)
    work++
    if (kind === DUE.ids) {
      const record = transaction.get(TABLES.idOwners, key)
      if (record?.dueAt === at) {
        const swept = sweepIds(transaction, key, record, Math.max(1, Math.floor((PART - work) / CHUNK_WORK)))
        ids += swept.ids
        unfinished ||= swept.more
        work += swept.chunks * CHUNK_WORK
      }
    } else if (kind === DUE.producer) {
      const record = transaction.get(TABLES.producers, key)
      if (record?.dueAt === at && sweepProducer(transaction, key, record)) producers++
    } else if (kind === DUE.cursor) {
      const record = transaction.get(TABLES.cursors, key)
      if (record?.dueAt === at && sweepCursor(transaction, key, record)) cursors++
    } else if (kind === DUE.note) {
      if (transaction.get(TABLES.notes, key)?.dueAt === at) transaction.remove(TABLES.notes, key)
    } else if (sweepQueue(transaction, kind, at, key)) {
      unfinished = true
      work += SETTLED_CHUNKS
    }
  }
  const more = unfinished || looked < due.length || due.length === PART
  return { ids, producers, cursors, more }
}
