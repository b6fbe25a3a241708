/** The store's own epochs; a topic's own are begun where it is worked on. */

import type { DroppedLog } from '../../../../shared/positions.ts'
import type { Bounds } from '../../contract/store.ts'
import { newEpoch } from '../../token.ts'
import type { Changes } from './changes.ts'
import { type DroppedRecord, STORE_KEY, type StoreRecord, TABLES } from './tables.ts'

/** A lineage keeps this many epochs. */
export const MAX_EPOCHS = 1_000
/** Of all dropped logs of a topic together. */
const MAX_DROPPED_EPOCHS = 100

export function storeRecord(changes: Changes): StoreRecord {
  const record = changes.get(TABLES.store, STORE_KEY)
  if (record === undefined) throw new Error('the store has lost its own record')
  return record
}

/** The store begins an epoch of its own, unless `onlyOnce` and this opening has begun one already. */
export function beginStoreEpoch(changes: Changes, onlyOnce: boolean): StoreRecord {
  const record = storeRecord(changes)
  if (onlyOnce && record.opening === changes.opening) return record
  const next = { ...record, epochs: [...record.epochs, newEpoch()].slice(-MAX_EPOCHS), opening: changes.opening }
  changes.put(TABLES.store, STORE_KEY, next)
  return next
}

/** Of a topic that is not there: it begins with the store's epochs that none of its dropped logs has had. */
export function unbornBounds({ epochs }: StoreRecord, dropped: DroppedRecord | undefined): Bounds {
  const own = dropped === undefined ? epochs : epochs.slice(epochs.indexOf(dropped.upTo) + 1)
  const lineage = own.map((epoch) => ({ epoch, startsAfter: 0 }))
  return { epoch: epochs.at(-1) ?? '', lineage, first: 1, head: 0, ...droppedOf(dropped) }
}

/** As bounds have it. */
export function droppedOf(record: DroppedRecord | undefined): Pick<Bounds, 'dropped'> {
  return record === undefined ? {} : { dropped: record.logs }
}

/** The store has begun an epoch that the log has not had. */
export function withDropped(
  record: DroppedRecord | undefined,
  { epochs }: StoreRecord,
  { lineage, head }: DroppedLog,
): DroppedRecord {
  const had = new Set(lineage.map(({ epoch }) => epoch))
  const upTo = epochs.findLast((epoch) => had.has(epoch)) ?? ''
  let room = MAX_DROPPED_EPOCHS
  const logs: DroppedLog[] = []
  for (const log of [...(record?.logs ?? []), { lineage, head }].reverse()) {
    if (room === 0) break
    const kept = log.lineage.slice(-room)
    logs.unshift({ lineage: kept, head: log.head })
    room -= kept.length
  }
  return { logs, upTo }
}
