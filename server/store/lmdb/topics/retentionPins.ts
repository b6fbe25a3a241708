/** Who holds events of a topic back from being trimmed. Owns what is kept of it; trimming asks for the lowest. */

import type { Environment } from '../engine/environment.ts'
import { nameKey } from '../engine/keys.ts'
import { TABLES } from '../engine/tables.ts'
import type { Transaction } from '../engine/transaction.ts'

/** `undefined` ends a hold. */
export function hold(transaction: Transaction, topic: string, name: string, offset: number | undefined): void {
  const key = nameKey(topic)
  const { [name]: known, ...others } = transaction.get(TABLES.holds, key) ?? {}
  if (known === offset) return
  const holds = offset === undefined ? others : { ...others, [name]: offset }
  if (Object.keys(holds).length === 0) transaction.remove(TABLES.holds, key)
  else transaction.put(TABLES.holds, key, holds)
}

export function lowestHold(transaction: Transaction, topic: string): number | undefined {
  const offsets = Object.values(transaction.get(TABLES.holds, nameKey(topic)) ?? {})
  return offsets.length === 0 ? undefined : Math.min(...offsets)
}

/** By name. */
export function holdsOf(environment: Environment, topic: string): { name: string; offset: number }[] {
  return Object.entries(environment.get(TABLES.holds, nameKey(topic)) ?? {})
    .map(([name, offset]) => ({ name, offset }))
    .sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)))
}
