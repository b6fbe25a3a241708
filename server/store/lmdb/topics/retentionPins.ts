/** Who holds events of a topic back from being trimmed. Owns what is kept of it; trimming asks for the lowest. */

import type { Changes } from '../engine/changes.ts'
import type { Environment } from '../engine/environment.ts'
import { nameKey } from '../engine/keys.ts'
import { TABLES } from '../engine/tables.ts'

/** `undefined` ends a hold. */
export function hold(changes: Changes, topic: string, name: string, offset: number | undefined): void {
  const key = nameKey(topic)
  const { [name]: known, ...others } = changes.get(TABLES.holds, key) ?? {}
  if (known === offset) return
  const holds = offset === undefined ? others : { ...others, [name]: offset }
  if (Object.keys(holds).length === 0) changes.remove(TABLES.holds, key)
  else changes.put(TABLES.holds, key, holds)
}

export function lowestHold(changes: Changes, topic: string): number | undefined {
  const offsets = Object.values(changes.get(TABLES.holds, nameKey(topic)) ?? {})
  return offsets.length === 0 ? undefined : Math.min(...offsets)
}

/** By name. */
export function holdsOf(environment: Environment, topic: string): { name: string; offset: number }[] {
  return Object.entries(environment.get(TABLES.holds, nameKey(topic)) ?? {})
    .map(([name, offset]) => ({ name, offset }))
    .sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)))
}
