/** How much one read of a topic gives. */

import type { ReadBound } from './contract/store.ts'

/** Accepts events as long as they fit in; the first one always does. */
export function within(bound: ReadBound): (bytes: number) => boolean {
  let events = 0
  let total = 0
  return (bytes) => {
    events++
    total += bytes
    return events === 1 || (events <= bound.events && total <= bound.bytes)
  }
}
