/** What trims and drops left behind, of topics and of queues: removed in bounded parts after the commit that made it garbage. */

import type { Changes } from './changes.ts'
import { ALL, blockKey, numberKey, under } from './keys.ts'
import { type GarbageRecord, TABLES, type Table } from './tables.ts'

/** Tables whose keys begin with the number of a topic or a queue, blocks apart. */
const { ids, idLog, idOwners, producers, producerLog, producerNames } = TABLES
const { jobs, jobBodies, jobIds, pairs, groups, finished, finishedParts, progress } = TABLES
const { life, children, carried, settled, answers } = TABLES
const NUMBERED = [
  ...[ids, idLog, idOwners, producers, producerLog, producerNames],
  ...[jobs, jobBodies, jobIds, pairs, groups, finished, finishedParts, progress],
  ...[life, children, carried, settled, answers],
] as Table<unknown>[]

export function leaveGarbage(changes: Changes, number: number, garbage: GarbageRecord): void {
  const key = numberKey(number)
  const known = changes.get(TABLES.garbage, key)
  changes.put(TABLES.garbage, key, {
    below: Math.max(garbage.below, known?.below ?? 0),
    dropped: garbage.dropped || known?.dropped === true,
  })
}

/** Removes at most `part` records of what is left; `true` when there may be more. */
export function collectGarbage(changes: Changes, part: number): boolean {
  const [key] = changes.environment.keys(TABLES.garbage, { ...ALL, limit: 1 })
  const garbage = key === undefined ? undefined : changes.get(TABLES.garbage, key)
  if (key === undefined || garbage === undefined) return false
  const number = key.readUInt32BE()
  let room = part
  const range = { start: blockKey(number, 0), end: blockKey(number, garbage.below), limit: room }
  const dead = changes.environment.keys(TABLES.blocks, range)
  for (const block of dead) changes.remove(TABLES.blocks, block)
  room -= dead.length
  if (garbage.dropped) {
    for (const table of NUMBERED) if (room > 0) room -= removeSome(changes, table, key, room)
  }
  if (room > 0) changes.remove(TABLES.garbage, key)
  return true
}

function removeSome(changes: Changes, table: Table<unknown>, prefix: Buffer, limit: number): number {
  const keys = changes.environment.keys(table, { ...under(prefix), limit })
  for (const key of keys) changes.remove(table, key)
  return keys.length
}
