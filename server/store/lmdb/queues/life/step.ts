/** The step that gives up what was moved of a queue's life, and reads what is next. */

import type { LifeStep, PayloadChange, StoredLife } from '../../../contract/store.ts'
import { firstOf, LIFE_MS, repackLife, unpackLife, type Waiting } from '../../../life/life.ts'
import { newEpoch } from '../../../token.ts'
import { blockKey, countOf, numberKey, under } from '../../engine/keys.ts'
import { TABLES } from '../../engine/tables.ts'
import type { Transaction } from '../../engine/transaction.ts'
import type { Queue } from '../storage/queue.ts'

/** What one step reads, about. */
const BYTES = 1_048_576

/** Forgets what was moved, and answers what is next. */
export function lifeStep(transaction: Transaction, queue: Queue | undefined, step: LifeStep): StoredLife | undefined {
  const life = queue?.record.life
  if (queue === undefined || life === undefined) return undefined
  const { main } = queue.record
  const base = life.base ?? 0
  const wasFull = queue.life.room === 0
  if (step.generation === life.generation) {
    const before = life.first
    const moved = step.carried ?? base + (step.moved ?? 0)
    life.first = Math.max(life.first, Math.min(life.next, moved + 1))
    // Errands have no numbers in the topic.
    if (step.carried !== undefined) life.base = base + life.first - before
    if (step.isUnknown === true) {
      life.row ??= life.generation
      life.generation = newEpoch() + newEpoch()
      life.base = life.first - 1
    }
  }
  const prefix = numberKey(main.number)
  const waiting: Waiting[] = []
  let bytes = 0
  for (const { key, value } of transaction.environment.records(TABLES.life, under(prefix))) {
    const first = countOf(key)
    const all = unpackLife(value)
    if (first + all.length <= life.first) {
      transaction.remove(TABLES.life, key)
      life.bytes = Math.max(0, (life.bytes ?? 0) - value.length)
      continue
    }
    // What stood before it is damaged, and is not told.
    if (waiting.length === 0) life.first = Math.max(life.first, first)
    if (first > life.first + waiting.length) break
    for (let i = Math.max(0, life.first - first); i < all.length; i++) waiting.push(all[i] as Waiting)
    bytes += value.length
    if (waiting.length >= step.limit || bytes > BYTES) break
  }
  if (waiting.length === 0) forgetRest(transaction, life, prefix)
  if (wasFull && queue.life.room > 0) {
    transaction.notifyQueue(queue.name, { kind: 'changed' })
    for (const jobSet of [queue.main, queue.dead]) jobSet.expiresFrom = 0
  }
  main.lifeAt = life.first === life.next ? 0 : transaction.now + LIFE_MS
  const seq = life.first - (life.base ?? 0)
  const { records, errands: list } = firstOf(waiting.slice(0, step.limit))
  const errands = { row: life.row ?? life.generation, first: life.first, list }
  return { generation: life.generation, seq, records, ...(list.length > 0 && { errands }) }
}

/** Nothing more can be read: what is left is damaged. */
function forgetRest(
  transaction: Transaction,
  life: { first: number; readonly next: number; bytes?: number },
  prefix: Buffer,
): void {
  life.first = life.next
  life.bytes = 0
  for (const key of transaction.environment.keys(TABLES.life, under(prefix))) {
    transaction.remove(TABLES.life, key)
  }
}

/** Payloads of what waits, in other bytes: so many records from a number on, and where it goes on. */
export function rewriteLife(
  transaction: Transaction,
  { record }: Queue,
  from: number,
  limit: number,
  most: number,
  change: PayloadChange,
): { readonly next?: number; readonly seen: number; readonly changed: number } {
  const { life, main } = record
  if (life === undefined) return { seen: 0, changed: 0 }
  const range = { ...under(numberKey(main.number), blockKey(main.number, from)), limit: limit + 1 }
  let [seen, changed, bytes] = [0, 0, 0]
  for (const { key, value } of transaction.environment.records(TABLES.life, range)) {
    if (seen === limit || bytes > most) return { next: countOf(key), seen: 0, changed }
    seen++
    bytes += value.length
    // What is moved in this very commit is not put back.
    if (transaction.get(TABLES.life, key) === undefined) continue
    const other = repackLife(value, change)
    if (other === undefined) continue
    transaction.put(TABLES.life, key, other)
    life.bytes = (life.bytes ?? 0) + other.length - value.length
    changed++
  }
  return { seen: 0, changed }
}
