/** The rule of a reader's place: what a position means for the log as it is now, and which events are gone. */

import { type Position, placeIn } from '../../../shared/positions.ts'
import type { Gap } from '../../../shared/protocol.ts'
import type { Bounds } from '../../store/contract/store.ts'

export interface Resolved {
  /** What has to be told before any later event, in order. */
  readonly gaps: readonly Gap[]
  /** Where reading goes on, in the present epoch. */
  readonly position: Position
}

/**
 * - An epoch that the topic never had: continuity is unknown; a `reset` without numbers, on from the earliest kept.
 * - Beyond its epoch's end: what was there is lost; a `reset` that names it, on from that end.
 * - In a log that was dropped: a `reset` for that log and for each one after it, which names what the reader had not
 *   seen of it. It is told as well where that is nothing, `count` 0, as offsets begin anew.
 * - Before the earliest kept event: a `trimmed` that names what retention removed.
 */
export function resolve(position: Position, bounds: Bounds): Resolved {
  const { epoch, first, dropped = [] } = bounds
  const place = placeIn(bounds, position)
  if (place === undefined) {
    const at = { epoch, offset: first - 1 }
    return { gaps: [{ epoch, from: null, to: null, count: null, reason: 'reset', position: at }], position: at }
  }
  const gaps: Gap[] = []
  let { offset } = place
  let log = place.log
  const epochOf = (index: number): string => dropped[index]?.lineage.at(-1)?.epoch ?? epoch
  if (position.offset > place.end) {
    gaps.push(gapOf(epochOf(log), offset + 1, position.offset, 'reset', offset))
  }
  for (; log < dropped.length; log++) {
    gaps.push(gapOf(epochOf(log + 1), offset + 1, dropped[log]?.head ?? offset, 'reset', 0))
    offset = 0
  }
  if (offset < first - 1) {
    gaps.push(gapOf(epoch, offset + 1, first - 1, 'trimmed', first - 1))
    offset = first - 1
  }
  return { gaps, position: { epoch, offset } }
}

function gapOf(epoch: string, from: number, to: number, reason: Gap['reason'], offset: number): Gap {
  return { epoch, from, to, count: to - from + 1, reason, position: { epoch, offset } }
}
