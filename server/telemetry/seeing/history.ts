/** The numbers of the last 15 minutes, a point a second, and of the last day, a point a minute. Of fixed size. */

import { type History, SERIES, type Stretch } from '../../../shared/console/protocol.ts'

const SECOND_MS = 1_000
const MINUTE_MS = 60_000
export const SECONDS = 900
const MINUTES = 1_440

/** One point, in the order of `SERIES`. */
export type Point = readonly number[]

/** The newest points of one length, in one array that is written round and round. */
class Ring {
  readonly #values: Float64Array
  readonly #size: number
  readonly everyMs: number
  #count = 0
  #at = 0

  constructor(size: number, everyMs: number) {
    this.#size = size
    this.everyMs = everyMs
    this.#values = new Float64Array(size * SERIES.length)
  }

  add(at: number, point: Point): void {
    this.#values.set(point, (this.#count % this.#size) * SERIES.length)
    this.#count += 1
    this.#at = at
  }

  stretch(): Stretch {
    const points: number[][] = []
    for (let i = Math.max(0, this.#count - this.#size); i < this.#count; i++) {
      const from = (i % this.#size) * SERIES.length
      points.push([...this.#values.subarray(from, from + SERIES.length)])
    }
    return { everyMs: this.everyMs, at: this.#at, points }
  }
}

export class Recorder {
  readonly #seconds = new Ring(SECONDS, SECOND_MS)
  readonly #minutes = new Ring(MINUTES, MINUTE_MS)
  /** Those of the minute that is not over. */
  #minute: Point[] = []

  add(at: number, point: Point): void {
    this.#seconds.add(at, point)
    this.#minute.push(point)
    if (this.#minute.length < MINUTE_MS / SECOND_MS) return
    this.#minutes.add(at, meanOf(this.#minute))
    this.#minute = []
  }

  history(): History {
    return { series: SERIES, seconds: this.#seconds.stretch(), minutes: this.#minutes.stretch() }
  }
}

/** The mean of each. */
function meanOf(points: readonly Point[]): Point {
  return SERIES.map((_, i) => rounded(points.reduce((sum, point) => sum + (point[i] ?? 0), 0) / points.length))
}

/** Nobody sees more of it, and each digit travels. */
export function rounded(value: number): number {
  return Math.round(value * 100) / 100
}
