/** What a check may cost, and what each step of it takes from that. */

export interface Work {
  left: number
}

export class TooMuchWork extends Error {}

/** One check at a time, as none of them waits. */
let budget: Work = { left: 0 }

export function within<T>(work: Work, check: () => T): T {
  budget = work
  return check()
}

/** Throws `TooMuchWork` where that is more than is left. */
export function charge(work: number): void {
  budget.left -= work
  if (budget.left < 0) throw new TooMuchWork()
}
