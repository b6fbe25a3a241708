/** Jobs as they are stored. */

import type { Body } from './basics.ts'
import type { JobPolicy } from './jobPolicy.ts'
import type { DeadReason } from './jobs.ts'

export interface StoredJobDraft {
  /** As of events, without `id`: `{"data":…}` with `key` and `headers` when they are set. */
  readonly body: Body
  /** Deduplicated per (queue, subject, id), as events are; the id of a request until its `replyBy` at least. */
  readonly id?: string
  readonly key?: string
  /** Whose job it is; absent where that is its `key`. */
  readonly group?: string
  /** 0 to 9, higher first. */
  readonly priority: number
  /** Falls due this long after now, or at that time; at once when absent. */
  readonly due?: { readonly delayMs: number } | { readonly at: number }
  readonly ttlMs: number
  readonly policy?: JobPolicy
  /** Never of a request or a binding. */
  readonly children?: StoredChildren
  /** Of a child: that of another queue than its parent's. */
  readonly queue?: string
  /** Makes it a request: `replyBy` is this long after now. */
  readonly replyMs?: number
  /** Goes to the dead letters at once, with the error's text; counted as sent. Only for bindings. */
  readonly dead?: { readonly reason: DeadReason; readonly error?: string }
}

/** See children.ts. */
export interface StoredChildren {
  /** 1 or more, without `id`, `replyMs` and `dead`. */
  readonly drafts: readonly StoredJobDraft[]
  readonly onDead: 'fail' | 'skip'
  /** Of all results together, as an engine writes them. */
  readonly bytes: number
}
