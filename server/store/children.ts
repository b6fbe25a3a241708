/** What both engines write of children beside what they are told. */

import type { ChildState } from './contract/store.ts'

/** The error of a parent that fails with its child. */
export function childFailed(id: string, state: ChildState): string {
  return state === 'dead' ? `its child ${id} is dead` : `its child ${id} was removed`
}

/** In the place of a result. Redis has the same words. */
export const NO_ROOM = 'its result is left out: those of all children are together larger than their parent may get'

/** In the place of what became of a child whose record is gone. */
export const LOST = 'damaged'
