/**
 * Jobs that wait for others, as the contract has it.
 *
 * A draft may have children: drafts that are stored with it, in the same step, and that may have children themselves. Until
 * all of them have ended their parent is `waiting`: it has no place, nothing of it falls due, and it does not expire. Then
 * it falls due: at once, or at the time that its draft says, if that is later. Children are jobs like any other.
 *
 * A child has ended for its parent when it is first settled `done`, dead-lettered, or removed. In the same step its
 * parent keeps how, with the result or the error, whatever the policy keeps of finished jobs. What becomes of it later (it
 * is redriven, say) changes nothing. Where a child was dead-lettered or removed, `onDead` counts: with `fail` a parent that
 * waits goes to the dead letters (`child`) at once, with an error that names the child; with `skip` it waits for the others.
 * Results are kept while all of them together have `bytes` bytes at most; of one that does not fit there is an error in its
 * place. All this goes with the parent: when it is done, removed, or gone from the dead letters. Children of a parent that is
 * gone go on, and tell nobody.
 *
 * A parent among the dead letters that is redriven does not wait: it is `ready`, with what is known of its children then. A
 * draft that is a duplicate brings no children. Its children are known by no ids of their sender.
 *
 * A child may be of another queue. Then the step that stores its parent leaves an errand for that queue, as the step in which
 * it ends leaves one for the queue of its parent: in the row of the life, with or without one, until whoever moves the life
 * has carried it there. `enqueue` takes such children once, by their numbers in that row, and `tellParents` what became of
 * them. A child that is not there yet has no id.
 */

import type { Body } from './basics.ts'

/** What has become of a child; `open`: nothing yet. */
export type ChildState = 'open' | 'done' | 'dead' | 'removed'

export interface Child {
  /** Where that is not its parent's. */
  readonly queue?: string
  /** Empty for one of another queue that is `open`. */
  readonly id: string
  readonly state: ChildState
  /** Of one that was settled `done` with a reply. */
  readonly result?: Body
  /** Why it is dead, or why its result is not here. */
  readonly error?: string
}

/** How many children a job has, and how many of them have not ended. */
export interface ChildCounts {
  readonly count: number
  readonly open: number
}

/** A parent, and its child's place: in words of the engine. */
export interface ParentPlace {
  readonly id: string
  readonly place: string
}
