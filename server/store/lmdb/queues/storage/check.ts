/**
 * Whether the indexes of a queue fit its figures. Looked at once for each queue and opening, when the queue is used first:
 * a job that no index names would wait for ever, and nobody would be told.
 */

import type { Environment } from '../../engine/environment.ts'
import { countOf, numberKey, under } from '../../engine/keys.ts'
import { TABLES } from '../../engine/tables.ts'
import { INDEXES } from './indexes.ts'
import type { JobSet } from './jobSet.ts'
import { chunkOfJob } from './jobs.ts'
import { pairsOf } from './sortedIndex.ts'

export function fits(environment: Environment, { counters, isDead }: JobSet): boolean {
  const prefix = numberKey(counters.number)
  const counts = new Map<number, number>()
  const lines = new Set<string>()
  const holding = new Set<number>()
  const lapsing = new Set<number>()
  const waiting = new Set<number>()
  const groups = new Map<number, number>()
  const turns = new Set<number>()
  for (const { key, value } of environment.records(TABLES.pairs, under(prefix))) {
    const kind = key[prefix.length] ?? 0
    const pairs = pairsOf(value)
    counts.set(kind, (counts.get(kind) ?? 0) + pairs.length)
    if (kind === INDEXES.line) lines.add(key.toString('latin1', 0, key.length - 12))
    if (kind === INDEXES.heldBy) for (const { a } of pairs) holding.add(chunkOfJob(a))
    const isWaiting = kind <= INDEXES.retrying || kind === INDEXES.grouped || kind === INDEXES.waiting
    if (isWaiting) for (const { b } of pairs) waiting.add(chunkOfJob(b))
    if (kind === INDEXES.held) for (const { b } of pairs) lapsing.add(b)
    if (kind === INDEXES.turns || kind === INDEXES.resting) for (const { b } of pairs) turns.add(b)
    if (kind === INDEXES.group) {
      const id = key.readUIntBE(prefix.length + 1, 6)
      groups.set(id, (groups.get(id) ?? 0) + pairs.length)
    }
  }
  const stored = new Set(environment.keys(TABLES.jobs, under(prefix)).map(countOf))
  const of = (kind: number): number => counts.get(kind) ?? 0
  const ready = of(INDEXES.ready) + of(INDEXES.suspects) + of(INDEXES.blocked) + of(INDEXES.grouped)
  const known = environment.records(TABLES.groups, under(prefix))
  let inGroups = 0
  for (const { key, value } of known) {
    if (value.count !== (groups.get(countOf(key)) ?? 0)) return false
    inGroups += value.count
  }
  // In a line all but the first wait for it.
  const waits = isDead || of(INDEXES.line) - lines.size === of(INDEXES.blocked)
  return (
    ready === counters.ready &&
    of(INDEXES.suspects) === counters.suspects &&
    of(INDEXES.scheduled) + of(INDEXES.retrying) === counters.delayed &&
    of(INDEXES.retryingBySequence) === of(INDEXES.retrying) &&
    of(INDEXES.heldBy) === counters.held &&
    of(INDEXES.waiting) === (counters.waiting ?? 0) &&
    waits &&
    inGroups === (counters.inGroups ?? 0) &&
    inGroups === of(INDEXES.grouped) &&
    inGroups === of(INDEXES.group) &&
    [...groups.keys()].every((id) => turns.has(id)) &&
    [...holding].every((chunk) => lapsing.has(chunk)) &&
    [...holding, ...waiting].every((chunk) => stored.has(chunk))
  )
}
