/** What the edge of the console asks: who sees the whole hub, told once a second, and lists of what one may see. */

import type { ActivityQuery, Happening } from '../../../shared/console/happenings.ts'
import type {
  History,
  ListPage,
  ListQuery,
  QueueRow,
  QueueSeen,
  QueueSeenQuery,
  Summary,
  TopicRow,
} from '../../../shared/console/protocol.ts'
import { type Caller, refusalFor } from '../access.ts'

export interface Observer {
  /** Calls `listener` once a second, the first time soon, until the result is called. Without listeners it rests. */
  watch(listener: (summary: Summary) => void): () => void
  /** As it was told last. */
  summary(): Summary | undefined
  history(): History
  topics(caller: Caller, query: ListQuery): Promise<ListPage<TopicRow>>
  queues(caller: Caller, query: ListQuery): Promise<ListPage<QueueRow>>
  /** Throws `too_many` where so many others are looked at. */
  queue(caller: Caller, query: QueueSeenQuery): QueueSeen
  activity(caller: Caller, query: ActivityQuery): readonly Happening[]
}

/** Whether the caller sees what is told of all names together. */
export function seesAll(caller: Caller): boolean {
  return refusalFor(caller, 'read', '*') === undefined
}

export function mayRead(caller: Caller, name: string): boolean {
  return refusalFor(caller, 'read', name) === undefined
}

const DEFAULT_ROWS = 50
/** What of a list is shown at a time, at most. */
export const MAX_ROWS = 200

/** The part of a sorted list that is asked for. */
export function rowsOf<Row>(sorted: readonly Row[], query: ListQuery): Row[] {
  const { descending = false, offset = 0, limit = DEFAULT_ROWS } = query
  const most = Math.min(limit, MAX_ROWS)
  if (!descending) return sorted.slice(offset, offset + most)
  const end = Math.max(0, sorted.length - offset)
  return sorted.slice(Math.max(0, end - most), end).reverse()
}
