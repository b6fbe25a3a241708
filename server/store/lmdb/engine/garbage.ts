/** What trims and drops left behind: removed in bounded parts after the commit that made it garbage. */

import { afterPrefix, blockKey, numberKey } from './keys.ts'
import { type GarbageRecord, TABLES, type Table } from './tables.ts'
import type { Transaction } from './transaction.ts'

export function leaveGarbage(transaction: Transaction, topicNumber: number, garbage: GarbageRecord): void {
  const key = numberKey(topicNumber)
  const known = transaction.get(TABLES.garbage, key)
  transaction.put(TABLES.garbage, key, {
    below: Math.max(garbage.below, known?.below ?? 0),
    dropped: garbage.dropped || known?.dropped === true,
  })
}

/** Removes at most `part` records of what is left; `true` when there may be more. */
export function collectGarbage(transaction: Transaction, part: number): boolean {
  const all = { start: Buffer.of(0), end: afterPrefix(Buffer.alloc(0)), limit: 1 }
  const [key] = transaction.environment.keys(TABLES.garbage, all)
  const garbage = key === undefined ? undefined : transaction.get(TABLES.garbage, key)
  if (key === undefined || garbage === undefined) return false
  const number = key.readUInt32BE()
  let room = part
  const dead = transaction.environment.keys(TABLES.blocks, {
    start: blockKey(number, 0),
    end: blockKey(number, garbage.below),
    limit: room,
  })
  for (const block of dead) transaction.remove(TABLES.blocks, block)
  room -= dead.length
  if (garbage.dropped) {
    const { ids, idLog, idOwners, producers, producerLog } = TABLES
    for (const table of [ids, idLog, idOwners, producers, producerLog] as Table<unknown>[]) {
      if (room > 0) room -= removeSome(transaction, table, key, room)
    }
  }
  if (room > 0) transaction.remove(TABLES.garbage, key)
  return true
}

function removeSome(transaction: Transaction, table: Table<unknown>, prefix: Buffer, limit: number): number {
  const keys = transaction.environment.keys(table, { start: prefix, end: afterPrefix(prefix), limit })
  for (const key of keys) transaction.remove(table, key)
  return keys.length
}
