/**
 * Shares the turns of the event loop among those who have work. Each turn does so much, one piece of each in their order,
 * so that whoever asks for much waits behind everybody else and not before them.
 */

/** What waits for its turns. */
export interface Entrant {
  /** Does one piece and answers its weight; 0 where it could not. */
  step(): number
  /** Whether it has another piece for the next round. */
  readonly hasWork: boolean
}

/** A unit is what a small call costs, some tens of microseconds. */
const WEIGHT_A_TURN = 64
/** A page of events is read; what it weighs beyond that is known when it is there. */
export const PAGE_WEIGHT = 4
const BYTES_A_UNIT = 16_384

const line = new Set<Entrant>()
let left = WEIGHT_A_TURN
let armed = false

/** What it weighs to take so many bytes in. */
export function weightOf(bytes: number): number {
  return 1 + Math.floor(bytes / BYTES_A_UNIT)
}

/** Whether a piece of work may begin at once: nobody waits, and this turn has room. It is counted then. */
export function mayBegin(weight: number): boolean {
  if (line.size > 0 || left <= 0) return false
  left -= weight
  arm()
  return true
}

/** Counts what turned out to weigh more: the next turns do less. */
export function spend(weight: number): void {
  left -= weight
  arm()
}

/** Puts it at the end of the line. */
export function enter(entrant: Entrant): void {
  line.add(entrant)
  arm()
}

/** Resolves when one piece may begin; `undefined` where that is at once. */
export function itsTurn(weight: number): Promise<void> | undefined {
  if (mayBegin(weight)) return undefined
  return new Promise((resolve) => {
    enter({
      hasWork: false,
      step() {
        resolve()
        return weight
      },
    })
  })
}

function arm(): void {
  if (armed) return
  armed = true
  setImmediate(turn)
}

function turn(): void {
  armed = false
  left = Math.min(WEIGHT_A_TURN, left + WEIGHT_A_TURN)
  for (const entrant of line) {
    if (left <= 0) break
    line.delete(entrant)
    left -= entrant.step()
    if (entrant.hasWork) line.add(entrant)
  }
  if (line.size > 0 || left < 0) arm()
}
