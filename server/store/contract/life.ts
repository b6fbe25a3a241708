/** What happens to the jobs of a queue, and what goes from one queue to another, as it waits to be moved. */

import type { Body } from './basics.ts'
import type { Child, ParentPlace } from './children.ts'
import type { StoredJobDraft } from './drafts.ts'

export type LifeKind = 'sent' | 'started' | 'progress' | 'done' | 'failed' | 'retrying' | 'dead' | 'removed'

export interface LifeRecord {
  readonly kind: LifeKind
  readonly id: string
  /** Which attempt it is of, from 1. */
  readonly attempt?: number
  /** When it is due, where that is not now. */
  readonly dueAt?: number
  readonly error?: string
  /** The reply of `done`, the value of `progress`. */
  readonly body?: Body
}

export interface StoredLife {
  /** Names the row of numbers, from 1, in which these stand. */
  readonly generation: string
  /** The number of the first. */
  readonly seq: number
  readonly records: readonly LifeRecord[]
  /** What stands before the next records; then there are none. */
  readonly errands?: Errands
}

export interface LifeStep {
  readonly limit: number
  /** Of this row, all up to this number is moved; nothing is done for another one. */
  readonly generation?: string
  readonly moved?: number
  /** In place of `moved`: errands up to this number of theirs are carried. */
  readonly carried?: number
  /** Whoever takes them does not know that row any more: a new one begins. */
  readonly isUnknown?: boolean
}

/** What is to be carried to another queue. */
export type Errand = {
  readonly to: string
  readonly parent: ParentPlace
} & (
  | {
      readonly errand: 'child'
      readonly subject: string
      /** `undefined`: the checksum of its body is wrong. */
      readonly draft: StoredJobDraft | undefined
    }
  | { readonly errand: 'ended'; readonly child: Child }
)

export interface Errands {
  /** Names the row of numbers in which they stand, as long as the queue is there. */
  readonly row: string
  /** The number of the first one. */
  readonly first: number
  readonly list: readonly Errand[]
}

/** What became of a child of another queue, which it names, for its parent. */
export interface EndedChild {
  readonly parent: ParentPlace
  readonly child: Child
}

/** Children that come from another queue, one for each draft, in the order of their numbers in its row. */
export interface Carried {
  readonly queue: string
  readonly row: string
  readonly children: readonly { readonly number: number; readonly parent: ParentPlace }[]
}
