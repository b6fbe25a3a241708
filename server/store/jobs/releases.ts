/** How long a released job waits before it comes again. */

import type { HistoryEntry, Owner } from '../contract/store.ts'

const PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5_000

/**
 * Nothing after the first release; then longer each time that the same consumer releases it and nobody has done
 * anything else with it in between. `history` ends before this release.
 */
export function releasePauseMs(history: readonly HistoryEntry[], holder: Owner): number {
  let before = 0
  for (let i = history.length - 1; i >= 0; i--) {
    const entry = history[i]
    if (entry?.what !== 'release') break
    if (entry.holder !== undefined && isSame(entry.holder, holder)) before++
  }
  return before === 0 ? 0 : Math.min(LONGEST_PAUSE_MS, PAUSE_MS * 2 ** (before - 1))
}

/** What stands behind a `#` is new with each connection or claim. */
function isSame(a: Owner, b: Owner): boolean {
  return a.subject === b.subject && nameOf(a) === nameOf(b)
}

function nameOf({ client }: Owner): string {
  return client.replace(/#.*$/s, '')
}
