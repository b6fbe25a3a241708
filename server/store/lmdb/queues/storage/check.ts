/**
 * Whether the indexes of a queue fit its figures. Looked at once for each queue and opening, when the queue is used first:
 * a job that no index names would wait for ever, and nobody would be told.
 */

import type { Environment } from '../../engine/environment.ts'
import { afterPrefix, countOf, numberKey } from '../../engine/keys.ts'
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
  for (const { key, value } of environment.records(TABLES.pairs, { start: prefix, end: afterPrefix(prefix) })) {
    const kind = key[prefix.length] ?? 0
    const pairs = pairsOf(value)
    counts.set(kind, (counts.get(kind) ?? 0) + pairs.length)
    if (kind === INDEXES.line) lines.add(key.toString('latin1', 0, key.length - 12))
    if (kind === INDEXES.heldBy) for (const { a } of pairs) holding.add(chunkOfJob(a))
    if (kind <= INDEXES.retrying) for (const { b } of pairs) waiting.add(chunkOfJob(b))
    if (kind === INDEXES.held) for (const { b } of pairs) lapsing.add(b)
  }
  const stored = new Set(environment.keys(TABLES.jobs, { start: prefix, end: afterPrefix(prefix) }).map(countOf))
  const of = (kind: number): number => counts.get(kind) ?? 0
  const ready = of(INDEXES.ready) + of(INDEXES.suspects) + of(INDEXES.blocked)
  // In a line all but the first wait for it.
  const waits = isDead || of(INDEXES.line) - lines.size === of(INDEXES.blocked)
  return (
    ready === counters.ready &&
    of(INDEXES.suspects) === counters.suspects &&
    of(INDEXES.scheduled) + of(INDEXES.retrying) === counters.delayed &&
    of(INDEXES.retryingBySequence) === of(INDEXES.retrying) &&
    of(INDEXES.heldBy) === counters.held &&
    waits &&
    [...holding].every((chunk) => lapsing.has(chunk)) &&
    [...holding, ...waiting].every((chunk) => stored.has(chunk))
  )
}
