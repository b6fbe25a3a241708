/**
 * Whether too many jobs of a queue end among its dead letters: how its jobs ended in the last minute, in parts of ten
 * seconds. The script of a queue in Redis counts likewise, in deadLetters.lua.
 */

import type { Breaker } from './contract/store.ts'

const PART_MS = 10_000
const PARTS = 6

export interface Outcomes {
  /** The part in which something was counted last. */
  readonly part: number
  /** By part, in turns. */
  readonly done: readonly number[]
  readonly dead: readonly number[]
}

export interface Ended {
  readonly done: number
  readonly dead: number
}

/** With what ended now; what is older than a minute is gone. */
export function withEnded(before: Outcomes | undefined, now: number, ended: Ended): Outcomes {
  const last = before?.part ?? 0
  const part = Math.max(Math.floor(now / PART_MS), last)
  const passed = Math.min(part - last, PARTS)
  const fresh = new Set(Array.from({ length: before === undefined ? PARTS : passed }, (_, i) => (part - i) % PARTS))
  const next = (counts: readonly number[] = [], more: number): number[] =>
    Array.from({ length: PARTS }, (_, i) => (fresh.has(i) ? 0 : (counts[i] ?? 0)) + (i === part % PARTS ? more : 0))
  return { part, done: next(before?.done, ended.done), dead: next(before?.dead, ended.dead) }
}

/** What ended within the minute, where that is too much of dead letters. */
export function overIn({ done, dead }: Outcomes, { share, min }: Breaker): Ended | undefined {
  const sum = (counts: readonly number[]): number => counts.reduce((all, count) => all + count, 0)
  const ended = { done: sum(done), dead: sum(dead) }
  return ended.dead >= min && ended.dead > share * (ended.done + ended.dead) ? ended : undefined
}
