/** The place in a topic that `--from` names. */

import { InvalidArgumentError } from 'commander'
import type { From } from '../client/index.ts'
import { readDurationMs } from '../server/units.ts'

/** Milliseconds below this are a day of the seventies: more likely an offset that lacks its epoch. */
const LEAST_TIME = 100_000_000_000

/** `start`, `end`, `cursor`, `<epoch>:<offset>`, a time (ISO, milliseconds since 1970, or `2h` for so long ago). */
export function readPlace(text: string, now = Date.now()): Exclude<From, 'none'> {
  if (text === 'start' || text === 'end' || text === 'cursor') return text
  if (/^\d{4}-\d{2}(-\d{2}|$)/.test(text)) {
    const at = Date.parse(text)
    if (Number.isNaN(at)) throw new InvalidArgumentError('That is no time; one is 2026-11-21T08:30:00Z')
    return { at }
  }
  const [, epoch, offset] = /^([^:\s]+):(\d+)$/.exec(text) ?? []
  if (epoch !== undefined && offset !== undefined) return { epoch, offset: Number(offset) }
  if (/^\d+$/.test(text)) {
    if (Number(text) >= LEAST_TIME) return { at: Number(text) }
    throw new InvalidArgumentError(
      'A bare number is a time in milliseconds since 1970; an offset is written epoch:offset',
    )
  }
  const ago = readDurationMs(text)
  if (ago !== undefined) return { at: Math.max(0, now - ago) }
  throw new InvalidArgumentError(
    'It is start, end, cursor, epoch:offset, a time such as 2026-11-21T08:30:00Z, or 2h for two hours ago',
  )
}
