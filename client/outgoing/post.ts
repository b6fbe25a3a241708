/** An outbox's way to the hub, and what it may hold. */

import type { Limits, ProducerSeq } from '../../shared/protocol.ts'
import type { Keeping } from './keeping.ts'

/** `R` is what a sender gets for a draft. */
export interface Post<R> {
  readonly connected: boolean
  /** Known while connected. */
  readonly limits?: Limits | undefined
  /** Asks for a connection; `joined` is called when it is there. */
  open(): void
  /** Resolves with one receipt for each draft. `again`: an earlier try may have been kept, and is no duplicate. */
  send(drafts: object, row: ProducerSeq, again: boolean): Promise<readonly R[]>
}

export interface OutboxOptions<R> {
  readonly maxDrafts: number
  readonly maxBytes: number
  /** Where drafts are kept beyond the page. */
  readonly keeping?: Keeping<R> | undefined
}
