/** What trims and drops left behind: removed in bounded parts after the commit that made it garbage. */

import { afterPrefix, blockKey, numberKey } from './keys.ts'
import { type GarbageRecord, TABLES, type Table } from './tables.ts'
import type { Plan } from './transaction.ts'

export function leaveGarbage(plan: Plan, topicNumber: number, garbage: GarbageRecord): void {
  const key = numberKey(topicNumber)
  const known = plan.get(TABLES.garbage, key)
  plan.put(TABLES.garbage, key, {
    below: Math.max(garbage.below, known?.below ?? 0),
    dropped: garbage.dropped || known?.dropped === true,
  })
}

/** Removes at most `part` records of what is left; `true` when there may be more. */
export function collectGarbage(plan: Plan, part: number): boolean {
  const all = { start: Buffer.of(0), end: afterPrefix(Buffer.alloc(0)), limit: 1 }
  const [key] = plan.environment.keys(TABLES.garbage, all)
  const garbage = key === undefined ? undefined : plan.get(TABLES.garbage, key)
  if (key === undefined || garbage === undefined) return false
  const number = key.readUInt32BE()
  let room = part
  const dead = plan.environment.keys(TABLES.blocks, {
    start: blockKey(number, 0),
    end: blockKey(number, garbage.below),
    limit: room,
  })
  for (const block of dead) plan.remove(TABLES.blocks, block)
  room -= dead.length
  if (garbage.dropped) {
    const { ids, idLog, idOwners, producers, producerLog } = TABLES
    for (const table of [ids, idLog, idOwners, producers, producerLog] as Table<unknown>[]) {
      if (room > 0) room -= removeSome(plan, table, key, room)
    }
  }
  if (room > 0) plan.remove(TABLES.garbage, key)
  return true
}

function removeSome(plan: Plan, table: Table<unknown>, prefix: Buffer, limit: number): number {
  const keys = plan.environment.keys(table, { start: prefix, end: afterPrefix(prefix), limit })
  for (const key of keys) plan.remove(table, key)
  return keys.length
}
