/**
 * Shares the turns of the event loop among those who have work. Each turn does so much, one piece of each in their order,
 * so that whoever asks for much waits behind everybody else and not before them.
 */

/** What waits for its turns. */
export interface Entrant {
  /** What its next piece weighs, as far as that is known before. */
  readonly weight: number
  /** Does one piece and answers its weight; 0 where it could not. */
  step(): number
  /** Whether it has another piece for the next round. */
  readonly hasWork: boolean
}

/** A unit is what a small call costs, some tens of microseconds. */
const WEIGHT_A_TURN = 64
/** Of heavy pieces: what is small goes through several turns, and waits for this in each. */
const HEAVY_A_TURN = 24
const BYTES_A_UNIT = 16_384
/** A page of events, as many bytes as it may have. */
export const PAGE_WEIGHT = 20
/** From here on a piece is a heavy one. */
const HEAVY = 4
/** Live subscriptions that are sent something in a turn. */
const SENT_A_TURN = 128
/** New connections that begin in a turn: each costs as much as many small calls. */
const CONNECTIONS_A_TURN = 16

/** Those whose next piece is alike: light ones do not wait for a round of heavy ones. */
class Line {
  readonly #waiting = new Set<Entrant>()
  readonly #aTurn: number
  #left: number

  constructor(aTurn: number) {
    this.#aTurn = aTurn
    this.#left = aTurn
  }

  mayBegin(weight: number): boolean {
    if (this.#waiting.size > 0 || this.#left <= 0) return false
    this.spend(weight)
    return true
  }

  spend(weight: number): void {
    this.#left -= weight
    arm()
  }

  add(entrant: Entrant): void {
    this.#waiting.add(entrant)
    arm()
  }

  turn(): void {
    this.#left = Math.min(this.#aTurn, this.#left + this.#aTurn)
    for (const entrant of this.#waiting) {
      if (this.#left <= 0) break
      this.#waiting.delete(entrant)
      this.#left -= entrant.step()
      if (entrant.hasWork) enter(entrant)
    }
    if (this.#waiting.size > 0 || this.#left < 0) arm()
  }
}

const light = new Line(WEIGHT_A_TURN)
const heavy = new Line(HEAVY_A_TURN)
/** What goes out live. */
const live = new Line(SENT_A_TURN)
const connections = new Line(CONNECTIONS_A_TURN)
let armed = false
let number = 0

/** Another number when another turn has begun, for those who count what they do in one. */
export function turnNumber(): number {
  arm()
  return number
}

function lineOf(weight: number): Line {
  return weight < HEAVY ? light : heavy
}

/** What it weighs to take so many bytes in. */
export function weightOf(bytes: number): number {
  return 1 + Math.floor(bytes / BYTES_A_UNIT)
}

/** Whether a piece of work may begin at once: nobody waits, and this turn has room. It is counted then. */
export function mayBegin(weight: number): boolean {
  return lineOf(weight).mayBegin(weight)
}

/** What began as `expected` turned out to weigh more, or less: the next turns do so much less, or more. */
export function correct(expected: number, weight: number): void {
  lineOf(expected).spend(weight - expected)
}

/** Puts it at the end of its line. */
export function enter(entrant: Entrant): void {
  lineOf(entrant.weight).add(entrant)
}

/** The same for what goes to so many live subscriptions, `entrant` says how many: `false` where it may go at once. */
export function sendLater(entrant: Entrant): boolean {
  if (live.mayBegin(entrant.weight)) return false
  live.add(entrant)
  return true
}

/** Resolves when one piece may begin; `undefined` where that is at once. */
export function itsTurn(weight: number): Promise<void> | undefined {
  return turnIn(lineOf(weight), weight)
}

/** Resolves when one more connection may begin; `undefined` where that is at once. */
export function turnOfConnection(): Promise<void> | undefined {
  return turnIn(connections, 1)
}

function turnIn(line: Line, weight: number): Promise<void> | undefined {
  if (line.mayBegin(weight)) return undefined
  return new Promise((resolve) => {
    line.add({
      weight,
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
  number += 1
  light.turn()
  heavy.turn()
  live.turn()
  connections.turn()
}
