/**
 * When a schedule is due: by a cron expression in a time zone, or every so many milliseconds, between a start and an end.
 * Pure: knows neither the time nor the store.
 *
 * Around a change of the clock, a cron whose second, minute and hour are named (no `*`, no step) runs once a time: one that
 * does not exist runs at the first moment that does, one that comes twice runs at the first. All others run by what the
 * clock shows: what it leaves out is left out, and what it shows twice runs twice. So a cron of every hour runs each hour.
 */

import { Cron } from 'croner'
import { RepriseError } from '../../../../shared/errors.ts'

/** Times are milliseconds since 1970. */
export interface Timing {
  readonly cron?: string
  readonly everyMs?: number
  /** Of `cron`, a name of the IANA database. Default UTC. */
  readonly timeZone?: string
  /** Not before this. */
  readonly startAt?: number
  /** Not after this. */
  readonly endAt?: number
}

/** `everyMs` is counted from here. */
export interface AnchoredTiming extends Timing {
  readonly anchor: number
}

/** Due times of a cron that are looked for one by one, which takes up to a tenth of a millisecond each. */
export const MOST_COUNTED = 1_000

const UTC = 'UTC'

/** Throws `bad_request` where it is no timing. */
export function checkTiming(timing: Timing): void {
  const { cron, everyMs, timeZone, startAt, endAt } = timing
  if ((cron === undefined) === (everyMs === undefined)) {
    throw wrong('a schedule has either cron or everyMs: exactly one of them')
  }
  if (timeZone !== undefined) {
    if (cron === undefined) throw wrong('timeZone is for cron: everyMs is the same in all time zones')
    if (!isTimeZone(timeZone)) {
      throw wrong(`timeZone: ${JSON.stringify(timeZone)} is not known; a name such as Europe/Berlin or UTC`)
    }
  }
  if (startAt !== undefined && endAt !== undefined && startAt > endAt) throw wrong('startAt is after endAt')
  if (cron !== undefined) checkCron(cron, timing)
}

function checkCron(cron: string, timing: Timing): void {
  const fields = cron.trim().split(/\s+/).length
  // The library also takes dates, of one field or two.
  const isCron = fields === 5 || fields === 6 || cron.startsWith('@')
  let reason = `${JSON.stringify(cron)} is no cron expression`
  try {
    if (isCron) return void cronOf(timing)
  } catch (error) {
    if (fields > 1 && error instanceof Error) reason = reasonOf(error)
  }
  throw wrong(
    `cron: ${reason.slice(0, 200)}; five fields (minute hour day month weekday), or six with the second first`,
  )
}

/** The library counts days and months from 0. */
function reasonOf({ message }: Error): string {
  return message
    .replace(/^CronPattern: /, '')
    .replace(/(day|month): (-?\d+)$/, (_, field: string, value: string) => `${field}: ${Number(value) + 1}`)
}

function wrong(text: string): RepriseError {
  return new RepriseError('bad_request', `schedule: ${text}`)
}

function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}

function cronOf({ cron = '', timeZone = UTC }: Timing): Cron {
  return new Cron(cron, { timezone: timeZone, paused: true, mode: '5-or-6-parts', fixedTimeRule: 'no-wildcard' })
}

/** With the place that `everyMs` is counted from: its start, or one time after now. */
export function anchored(timing: Timing, now: number): AnchoredTiming {
  return { ...timing, anchor: timing.startAt ?? now + (timing.everyMs ?? 0) }
}

/** The first due time of a schedule that is made now. */
export function firstDue(timing: AnchoredTiming, now: number): number | undefined {
  return nextDue(timing, Math.max(now - 1, (timing.startAt ?? 0) - 1))
}

/** The first due time after this one. */
export function nextDue(timing: AnchoredTiming, after: number): number | undefined {
  return nextDues(timing, after, 1)[0]
}

/** The first `count` due times after this one; fewer where there are no more. */
export function nextDues(timing: AnchoredTiming, after: number, count: number): number[] {
  const found: number[] = []
  const follow = following(timing)
  for (let at = follow(after); at !== undefined && found.length < count; at = follow(at)) found.push(at)
  return found
}

function following(timing: AnchoredTiming): (after: number) => number | undefined {
  const { everyMs, anchor, endAt = Number.POSITIVE_INFINITY } = timing
  const within = (at: number | undefined) => (at !== undefined && at <= endAt ? at : undefined)
  if (everyMs !== undefined) {
    return (after) => within(after < anchor ? anchor : anchor + (Math.floor((after - anchor) / everyMs) + 1) * everyMs)
  }
  const cron = cronOf(timing)
  return (after) => within(cron.nextRun(new Date(after))?.getTime())
}

export interface DueTimes {
  /** The latest of them, ascending: never empty, at most `MOST_COUNTED`. */
  readonly times: readonly number[]
  /** How many were before those; of a cron, at most `MOST_COUNTED` are counted. */
  readonly before: number
}

/** Due times from `first`, which is one, until now. */
export function dueUntil(timing: AnchoredTiming, first: number, now: number): DueTimes {
  const { everyMs, endAt = Number.POSITIVE_INFINITY } = timing
  const until = Math.min(now, endAt)
  if (everyMs !== undefined) {
    const count = Math.max(1, Math.floor((until - first) / everyMs) + 1)
    const before = Math.max(0, count - MOST_COUNTED)
    return { times: Array.from({ length: count - before }, (_, i) => first + (before + i) * everyMs), before }
  }
  const times = [first]
  const follow = following(timing)
  for (let at = follow(first); at !== undefined && at <= now; at = follow(at)) {
    // One more than is kept: there are too many to count.
    if (times.length === MOST_COUNTED) return { times: latest(timing, until, times), before: MOST_COUNTED }
    times.push(at)
  }
  return { times, before: 0 }
}

function latest(timing: AnchoredTiming, until: number, otherwise: number[]): readonly number[] {
  // It answers those before a time, the last one first.
  const runs = cronOf(timing).previousRuns(MOST_COUNTED, new Date(Math.floor(until / 1_000) * 1_000 + 500))
  return runs.length === 0 ? otherwise : runs.map((run) => run.getTime()).reverse()
}
