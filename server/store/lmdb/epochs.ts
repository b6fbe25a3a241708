/** The store's own epochs and how epochs are named; a topic's own are begun where it is worked on. */

import { randomInt } from 'node:crypto'
import type { Bounds } from '../contract.ts'
import type { Plan } from './plan.ts'
import { STORE_KEY, type StoreRecord, TABLES } from './tables.ts'

/** A lineage keeps this many epochs. */
export const MAX_EPOCHS = 1_000

export function newEpoch(): string {
  return randomInt(2 ** 47)
    .toString(36)
    .padStart(8, '0')
    .slice(-8)
}

export function storeRecord(plan: Plan): StoreRecord {
  const record = plan.get(TABLES.store, STORE_KEY)
  if (record === undefined) throw new Error('the store has lost its own record')
  return record
}

/** The store begins an epoch of its own, unless `onlyOnce` and this opening has begun one already. */
export function beginStoreEpoch(plan: Plan, onlyOnce: boolean): StoreRecord {
  const record = storeRecord(plan)
  if (onlyOnce && record.opening === plan.opening) return record
  const next = { ...record, epochs: [...record.epochs, newEpoch()].slice(-MAX_EPOCHS), opening: plan.opening }
  plan.put(TABLES.store, STORE_KEY, next)
  return next
}

export function unbornBounds(store: StoreRecord): Bounds {
  const lineage = store.epochs.map((epoch) => ({ epoch, startsAfter: 0 }))
  return { epoch: store.epochs.at(-1) ?? '', lineage, first: 1, head: 0 }
}
