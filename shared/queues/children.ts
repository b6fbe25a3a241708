/** What is told of children, and how many generations of them there may be. */

/** A draft, its children, theirs, and so on. */
export const MAX_GENERATIONS = 5

/** What became of a child. `open`: nothing yet, where its parent was redriven before. */
export interface JobChild<T = unknown> {
  readonly queue: string
  /** Empty for one of another queue that is `open`. */
  readonly id: string
  readonly state: 'open' | 'done' | 'dead' | 'removed'
  /** What its consumer answered. */
  readonly result?: T
  /** Why it is dead, or why its result is not here. */
  readonly error?: string
}
