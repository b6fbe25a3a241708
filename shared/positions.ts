/**
 * Arithmetic of positions and lineages: which positions can be, and where a reader at one goes on.
 * Pure; the store uses it inside its atomic steps, the hub before each page, the SDK to drop duplicates.
 */

/** The last event seen. Offset 0 stands before the first event. */
export interface Position {
  readonly epoch: string
  readonly offset: number
}

/** One epoch of a log: it begins behind the event `startsAfter`. */
export interface LineageEntry {
  readonly epoch: string
  readonly startsAfter: number
}

/** A log's epochs, oldest first; the last one is the present. Never empty. */
export type Lineage = readonly LineageEntry[]

export function samePosition(a: Position, b: Position): boolean {
  return a.offset === b.offset && a.epoch === b.epoch
}

/**
 * The last offset a position of `epoch` can truthfully have: the head for the present epoch, for an older one the
 * offset that its successor starts after. `undefined` for an epoch that is not in the lineage.
 */
export function endOfEpoch(lineage: Lineage, head: number, epoch: string): number | undefined {
  for (let i = lineage.length - 1; i >= 0; i--) {
    if (lineage[i]?.epoch === epoch) return lineage[i + 1]?.startsAfter ?? head
  }
  return undefined
}

/** A log that was dropped: what is known of it is what its readers have to be told. */
export interface DroppedLog {
  readonly lineage: Lineage
  readonly head: number
}

/** All that is known of a topic's logs. No epoch stands in two of them. */
export interface Logs {
  readonly lineage: Lineage
  readonly head: number
  /** Those before the present one, oldest first; absent where there are none. */
  readonly dropped?: readonly DroppedLog[]
}

/** Where a position stands among a topic's logs. */
export interface Place {
  /** Which log, counted from the oldest; the present one has the highest number. */
  readonly log: number
  /** The offset up to which the position can be believed: its own, or its epoch's end where events behind that were lost. */
  readonly offset: number
  /** The last offset that a position of its epoch can truthfully have. */
  readonly end: number
  /** The epoch's place in its lineage. */
  readonly rank: number
}

/** `undefined` for a position of an epoch that the topic never had, or that is forgotten. */
export function placeIn({ lineage, head, dropped = [] }: Logs, { epoch, offset }: Position): Place | undefined {
  for (let log = dropped.length; log >= 0; log--) {
    const own = dropped[log] ?? { lineage, head }
    const end = endOfEpoch(own.lineage, own.head, epoch)
    if (end === undefined) continue
    return {
      log,
      offset: Math.min(offset, end),
      end,
      rank: own.lineage.findLastIndex((entry) => entry.epoch === epoch),
    }
  }
  return undefined
}

/** Below 0 where `a` comes first. At the same offset a later epoch is further: what was lost in between has been told. */
export function comparePlaces(a: Place, b: Place): number {
  return a.log - b.log || a.offset - b.offset || a.rank - b.rank
}

/** Up to which offset of the present log a reader at the position has seen it; 0 where it has seen another one. */
export function seenOf(logs: Logs, position: Position): number {
  const place = placeIn(logs, position)
  return place !== undefined && place.log === (logs.dropped?.length ?? 0) ? place.offset : 0
}

/** Events of the present log that a reader at the position has not seen; 0 for an epoch that is not known. */
export function lagOf(logs: Logs, position: Position): number {
  return placeIn(logs, position) === undefined ? 0 : logs.head - seenOf(logs, position)
}
