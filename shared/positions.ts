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

/**
 * The offset up to which what the position says can be believed: its own, or its epoch's end where events behind that
 * were lost. -1 for an epoch that is not in the lineage.
 */
export function trustedOffset(lineage: Lineage, head: number, position: Position): number {
  const end = endOfEpoch(lineage, head, position.epoch)
  return end === undefined ? -1 : Math.min(position.offset, end)
}
