/** The rule of a reader's place: what a position means for the log as it is now, and which events are gone. */

import { endOfEpoch, type Position } from '../../../shared/positions.ts'
import type { Gap } from '../../../shared/protocol.ts'
import type { Bounds } from '../../store/contract.ts'

export interface Resolved {
  /** What has to be told before any later event, in order. */
  readonly gaps: readonly Gap[]
  /** Where reading goes on, in the present epoch. */
  readonly position: Position
}

/**
 * - An epoch that is not in the lineage: continuity is unknown; a `reset` without numbers, on from the earliest kept.
 * - Beyond its epoch's end: what was there is lost; a `reset` that names it, on from that end.
 * - Before the earliest kept event: a `trimmed` that names what retention removed.
 */
export function resolve(position: Position, bounds: Bounds): Resolved {
  const { epoch, lineage, first, head } = bounds
  const end = endOfEpoch(lineage, head, position.epoch)
  if (end === undefined) {
    const at = { epoch, offset: first - 1 }
    return { gaps: [{ epoch, from: null, to: null, count: null, reason: 'reset', position: at }], position: at }
  }
  const gaps: Gap[] = []
  let offset = position.offset
  if (offset > end) {
    gaps.push(gapOf(epoch, end + 1, offset, 'reset', end))
    offset = end
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
