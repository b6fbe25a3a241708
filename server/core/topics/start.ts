/** Where a subscription starts: what its `from` means with and without a cursor. */

import { RepriseError } from '../../../shared/errors.ts'
import { comparePlaces, type Position, placeIn, seenOf } from '../../../shared/positions.ts'
import type { From, Gap, Subscribed } from '../../../shared/protocol.ts'
import type { Bounds, CursorStart, Owner, Store } from '../../store/contract/store.ts'
import { type Asker, beginSession } from '../beginning.ts'
import type { Log } from './log.ts'

export interface Start {
  readonly position: Position
  /** Told before anything else: the cursor expired, or the client's claim is of another log. Then on from the cursor. */
  readonly gap?: Gap
  /** Of the client's cursor. */
  readonly session?: number
  readonly info: Omit<Subscribed, 'limits' | 'topic'>
}

/**
 * Without an owner `from` says it (default: the end). With one the cursor does: the words place nothing but a new
 * cursor, a position counts when it is at the cursor or beyond. `again` (the client's own `subscribe({ from })`): `from`
 * says where this session reads, back or forth; the cursor stays where it is.
 */
export async function startOf(
  store: Store,
  log: Log,
  topic: string,
  owner: Owner | undefined,
  from: From | undefined,
  again: boolean,
  asker: Asker,
): Promise<Start> {
  if (owner === undefined) {
    if (from === 'cursor')
      throw new RepriseError('bad_request', "from: 'cursor' needs a client: its name names the cursor")
    const bounds = await log.bounds(topic)
    return startAt(await placeOf(log, topic, from ?? 'end', bounds), bounds)
  }
  const start = await cursorStart(log, topic, from)
  const { cursors } = store
  const opened = await beginSession(
    asker,
    () => cursors.session(topic, owner),
    (since) => cursors.open(topic, owner, start, since),
  )
  const { session } = opened
  if (opened.expired) {
    return { ...startAt(opened.position, opened), session, gap: unknownReset(opened.position) }
  }
  let { position } = opened
  if (from !== undefined && from !== 'cursor') {
    if (again) position = await placeOf(log, topic, from, opened)
    else if (isPosition(from)) {
      if (isForeign(from, opened) && !isForeign(position, opened)) {
        return { ...startAt(position, opened), session, gap: unknownReset(position) }
      }
      position = further(from, position, opened)
    }
  }
  return { ...startAt(position, opened), session }
}

async function cursorStart(log: Log, topic: string, from: From | undefined): Promise<CursorStart> {
  if (from === undefined || from === 'cursor' || from === 'end') return 'end'
  if (from === 'start') return 'start'
  const bounds = await log.bounds(topic)
  const place = await placeOf(log, topic, from, bounds)
  // A cursor ahead of the log would not move until the log is there, and pass over what is published meanwhile.
  return { ...place, offset: placeIn(bounds, place)?.offset ?? place.offset }
}

/** The position that the words stand for in this moment. */
export async function placeOf(log: Log, topic: string, from: From, bounds: Bounds): Promise<Position> {
  const { epoch, first, head } = bounds
  if (from === 'start') return { epoch, offset: first - 1 }
  if (from === 'end' || from === 'cursor' || from === 'none') return { epoch, offset: head }
  if (isPosition(from)) return from
  if ('at' in from) return await log.seek(topic, from.at)
  return { epoch, offset: Math.max(first - 1, head - from.last) }
}

/** The client's claim or its cursor, whichever is further; one beyond its epoch's end has a lost tail to be told. */
function further(claim: Position, cursor: Position, bounds: Bounds): Position {
  const [claimed, kept] = [placeIn(bounds, claim), placeIn(bounds, cursor)]
  if (kept === undefined) return claim
  if (claimed === undefined) return cursor
  // A tail that the client has seen and that is lost is told by its claim, wherever in the log the cursor's epoch ends.
  return comparePlaces({ ...claimed, rank: 0 }, { ...kept, rank: 0 }) >= 0 ? claim : cursor
}

/** Of an epoch that this topic never had. */
function isForeign(position: Position, bounds: Bounds): boolean {
  return placeIn(bounds, position) === undefined
}

function unknownReset(position: Position): Gap {
  return { epoch: position.epoch, from: null, to: null, count: null, reason: 'reset', position }
}

function isPosition(from: From): from is Position {
  return typeof from === 'object' && 'epoch' in from
}

function startAt(position: Position, bounds: Bounds): Omit<Start, 'session'> {
  const { epoch, first, head } = bounds
  const seen = Math.max(first - 1, seenOf(bounds, position))
  return { position, info: { epoch, first, last: head, position, behind: head - seen } }
}

/** What ends a subscription that has met a gap and is not to pass any. */
export function gapMet(gap: Gap): RepriseError {
  const range = gap.from === null ? 'events of unknown number' : `events ${gap.from} to ${gap.to}`
  return new RepriseError('gap', `${range} are gone (${gap.reason}), and onGap is 'fail'`)
}
