/**
 * The latest of what a person who runs the hub may act on, for the console. Kept from the start, as what was lost last
 * night is asked in the morning; it costs something only when something happens.
 */

import type { Happening } from '../../shared/console/protocol.ts'
import type { TelemetryEvent } from '../core/telemetry.ts'
import { WORDS } from './words.ts'

/** Of each kind, so that a flood of one does not push out the others. */
const MAX_OF_A_KIND = 150
/** What is alike within this time is told as one. */
const ALIKE_MS = 60_000

type Kept = { -readonly [Name in keyof Happening]: Happening[Name] }

export class Activity {
  readonly #kinds = new Map<string, Kept[]>()
  readonly #now: () => number
  #newest = 0

  constructor(now: () => number = Date.now) {
    this.#now = now
  }

  /** The number of the newest. */
  get newest(): number {
    return this.#newest
  }

  add({ kind, ...details }: TelemetryEvent): void {
    const kept = this.#kinds.get(kind) ?? []
    this.#kinds.set(kind, kept)
    const at = this.#now()
    const what = likeness(kind, details)
    const index = kept.findLastIndex((one) => likeness(kind, one.details) === what)
    const alike = kept[index]
    // A new number: whoever has asked before hears of it again.
    this.#newest += 1
    if (alike !== undefined && at - alike.since < ALIKE_MS) {
      kept.splice(index, 1)
      kept.push({ ...alike, number: this.#newest, at, times: alike.times + 1, details: summed(alike.details, details) })
      return
    }
    if (kept.length >= MAX_OF_A_KIND) kept.shift()
    const [level, text] = WORDS[kind]
    kept.push({ number: this.#newest, kind, level, text, at, since: at, times: 1, details })
  }

  /** Newest first: of those after `after`, what `may` allows. */
  list(after: number, limit: number, may: (happening: Happening) => boolean): readonly Happening[] {
    const found = [...this.#kinds.values()].flat().filter((one) => one.number > after && may(one))
    return found.sort((one, other) => other.number - one.number).slice(0, limit)
  }
}

/** Whose it is and why, without how much. */
function likeness(
  kind: string,
  { topic, queue, client, reason, code, what }: Readonly<Record<string, unknown>>,
): string {
  // What callers are refused with names what they asked for, which they choose.
  return JSON.stringify(kind === 'refused' ? [code, what] : [topic, queue, client, reason, what])
}

/** The newer details, with all jobs and all missing events of both. */
function summed(before: Happening['details'], now: Happening['details']): Happening['details'] {
  const sums = ['jobs', 'count'].flatMap((name) => {
    const [one, other] = [before[name], now[name]]
    return typeof one === 'number' && typeof other === 'number' ? [[name, one + other]] : []
  })
  const from = 'from' in before && 'from' in now ? { from: before.from } : {}
  return { ...now, ...from, ...Object.fromEntries(sums) }
}
