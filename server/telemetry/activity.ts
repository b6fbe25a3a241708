/**
 * The latest of what a person who runs the hub may act on, for the console. Kept from the start, as what was lost last
 * night is asked in the morning; it costs something only when something happens.
 */

import type { Happening, HappeningKind } from '../../shared/console/happenings.ts'
import type { TelemetryEvent } from '../core/telemetry.ts'
import { WORDS } from './words.ts'

/** Of each kind, so that a flood of one does not push out the others. */
const MAX_OF_A_KIND = 150
/** What is alike within this time is told as one. */
const ALIKE_MS = 60_000
/** Characters of each text: callers choose what some of them say. */
const MAX_TEXT = 300

interface Kind {
  /** The oldest first. */
  readonly kept: Set<Happening>
  /** The latest of those that are alike: a flood of them costs a look each. */
  readonly latest: Map<string, Happening>
}

export class Activity {
  readonly #kinds = new Map<string, Kind>()
  #newest = 0

  /** The number of the newest. */
  get newest(): number {
    return this.#newest
  }

  add({ kind, ...told }: TelemetryEvent): void {
    const details = shortened(told)
    // One flood does not hide what else is refused.
    const { kept, latest } = this.#kind('code' in details ? `${kind} ${details.code}` : kind)
    const at = Date.now()
    const what = likeness(kind, details)
    const alike = latest.get(what)
    const keep = (happening: Happening): void => {
      kept.add(happening)
      latest.set(what, happening)
    }
    // A new number: whoever has asked before hears of it again.
    const number = ++this.#newest
    if (alike !== undefined && at - alike.since < ALIKE_MS) {
      kept.delete(alike)
      keep({ ...alike, number, at, times: alike.times + 1, details: summed(alike.details, details) })
      return
    }
    const [oldest] = kept
    if (oldest !== undefined && kept.size >= MAX_OF_A_KIND) {
      kept.delete(oldest)
      const old = likeness(kind, oldest.details)
      if (latest.get(old) === oldest) latest.delete(old)
    }
    const [level, text] = WORDS[kind]
    keep({ number, kind, level, text, at, since: at, times: 1, details })
  }

  #kind(name: string): Kind {
    const known = this.#kinds.get(name)
    if (known !== undefined) return known
    const kind = { kept: new Set<Happening>(), latest: new Map<string, Happening>() }
    this.#kinds.set(name, kind)
    return kind
  }

  /** Newest first: of those after `after`, what `may` allows; of all kinds where none is named. */
  list(
    after: number,
    limit: number,
    may: (happening: Happening) => boolean,
    kinds?: readonly HappeningKind[],
  ): readonly Happening[] {
    const found = [...this.#kinds.values()]
      .flatMap(({ kept }) => [...kept])
      .filter((one) => one.number > after && (kinds === undefined || kinds.includes(one.kind)) && may(one))
    return found.sort((one, other) => other.number - one.number).slice(0, limit)
  }
}

function shortened<Details extends object>(details: Details): Details {
  const isLong = (value: unknown): value is string => typeof value === 'string' && value.length > MAX_TEXT
  if (!Object.values(details).some(isLong)) return details
  const entries = Object.entries(details).map(([name, value]) => {
    return [name, isLong(value) ? `${value.slice(0, MAX_TEXT)}…` : value]
  })
  return Object.fromEntries(entries) as Details
}

/** Whose it is and why, without how much. */
function likeness(
  kind: string,
  { topic, queue, client, subject, reason, code, what }: Readonly<Record<string, unknown>>,
): string {
  // What callers are refused with names what they asked for, which they choose.
  return JSON.stringify(kind === 'refused' ? [code, what] : [topic, queue, client, subject, reason, what])
}

/** The newer details, with all jobs and all missing events of both. */
function summed(before: Happening['details'], now: Happening['details']): Happening['details'] {
  const sums = ['jobs', 'count', 'ids'].flatMap((name) => {
    const [one, other] = [before[name], now[name]]
    return typeof one === 'number' && typeof other === 'number' ? [[name, one + other]] : []
  })
  const from = 'from' in before && 'from' in now ? { from: before.from } : {}
  return { ...now, ...from, ...Object.fromEntries(sums) }
}
