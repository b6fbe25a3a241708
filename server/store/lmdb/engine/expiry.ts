/** What expires when: one entry for each record that can, looked at again when it falls due. */

import type { Changes } from './changes.ts'
import { dueKey } from './keys.ts'
import { TABLES } from './tables.ts'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

export const ID_MS = 5 * MINUTE_MS
export const PRODUCER_MS = 7 * DAY_MS
export const CURSOR_MS = 30 * DAY_MS
export const NOTE_MS = 365 * DAY_MS

export const DUE = { ids: 1, producer: 2, cursor: 3, note: 4, settled: 5, consumer: 6, answer: 7, finished: 8 } as const

const MARK = Buffer.of(1)

/** The record has to remember `at`: an entry whose time is not the record's is void. */
export function fallDue(changes: Changes, at: number, kind: number, key: Buffer): void {
  changes.put(TABLES.due, dueKey(at, kind, key), MARK)
}
