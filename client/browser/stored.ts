/** What a storage in the browser is to the SDK. No behaviour lives here. */

import type { Joined } from '../../shared/joined.ts'
import type { Position } from '../../shared/positions.ts'
import type { Draft } from '../../shared/protocol.ts'
import type { KeptDraft } from '../outgoing/keeping.ts'
import type { DraftKey } from '../outgoing/packet.ts'

export interface StorageScope {
  readonly url: string | undefined
  readonly path: string | undefined
  readonly client: string | undefined
  /** What the program calls it. */
  readonly name: string | undefined
}

/** A draft with its data as it travels, so that another page sends the same. */
export interface PlainDraft extends Omit<KeptDraft, 'key' | 'draft'> {
  readonly draft: Omit<Draft, 'data'> & { readonly joined: Joined }
}

/** A storage that is open. */
export interface Stored {
  /** Resolves when they are kept, or cannot be. `strict`: also when the machine fails. */
  put(drafts: ReadonlyMap<DraftKey, PlainDraft>, strict: boolean): Promise<void>
  delete(key: DraftKey): void
  move(name: string, position: Position): void
  /** Whether it may be used under this token. */
  isOf(token: string | undefined): Promise<boolean>
  lose(error: unknown): void
  close(): Promise<void>
}

/** What earlier pages have left. */
export interface Left {
  readonly positions: ReadonlyMap<string, Position>
  /** In the order of publishing. */
  readonly drafts: readonly (readonly [DraftKey, PlainDraft])[]
}
