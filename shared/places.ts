/** The place in a topic as people write it: after `--from`, in the query of a stream. */

import type { Position } from './positions.ts'
import type { From } from './protocol.ts'
import { readDurationMs } from './units.ts'

export type Place = Exclude<From, 'none'>

/** Milliseconds below this are a day of the seventies: more likely an offset that lacks its epoch. */
const LEAST_TIME = 100_000_000_000
const MAX_EPOCH_LENGTH = 64

export const TIME_RULE = 'a time such as 2026-11-21T08:30:00Z (or its milliseconds since 1970), or 2h for two hours ago'
export const PLACE_RULE = `start, end, epoch:offset, last:n, ${TIME_RULE}`

/**
 * `start`, `end`, `cursor`, `epoch:offset`, `last:n`, a time, or a duration for so long ago. A number by itself is a
 * time, and refused where it is too small for one: as an offset it would lack its epoch. A fault completes "It …".
 */
export function readPlace(text: string, now = Date.now()): { readonly place: Place } | { readonly fault: string } {
  if (text === 'start' || text === 'end' || text === 'cursor') return { place: text }
  if (/^\d{4}-\d{2}(-\d{2}|$)/.test(text)) {
    const at = isDay(text) ? Date.parse(text) : Number.NaN
    return Number.isNaN(at) ? { fault: 'has to be a time such as 2026-11-21T08:30:00Z' } : { place: { at } }
  }
  const [, last] = /^last:(\d{1,15})$/.exec(text) ?? []
  if (last !== undefined) return { place: { last: Number(last) } }
  const position = readPosition(text)
  if (position !== undefined) return { place: position }
  if (/^\d{1,16}$/.test(text)) {
    const at = Number(text)
    if (at >= LEAST_TIME && Number.isSafeInteger(at)) return { place: { at } }
    return {
      fault: 'has to be epoch:offset for an offset; a number by itself is a time in milliseconds since 1970',
    }
  }
  // Without a unit, and with spaces around it, it is a number by itself.
  const ago = /^\d.*[a-z]$/i.test(text) ? readDurationMs(text) : undefined
  if (ago !== undefined) return { place: { at: Math.max(0, now - ago) } }
  return { fault: `has to be ${PLACE_RULE}` }
}

/** `2026-02-30` is none, which `Date.parse` takes for one in March. */
function isDay(text: string): boolean {
  const [year, month, day] = text.slice(0, 10).split('-').map(Number)
  if (year === undefined || month === undefined || day === undefined) return true
  return new Date(Date.UTC(year, month - 1, day)).getUTCDate() === day
}

/** `epoch:offset`, as ids of server-sent events have it. */
export function readPosition(text: string): Position | undefined {
  // It goes back as the id of an event: a line break in it would begin a line of its own.
  if (!/^[!-~]+:\d{1,16}$/.test(text)) return undefined
  const colon = text.lastIndexOf(':')
  const epoch = text.slice(0, colon)
  const offset = Number(text.slice(colon + 1))
  return epoch.length <= MAX_EPOCH_LENGTH && Number.isSafeInteger(offset) ? { epoch, offset } : undefined
}
