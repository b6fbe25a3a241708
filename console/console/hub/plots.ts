/**
 * The points of the plots: those of the last 15 minutes, and a point a minute of the last day. The hub tells what it has at
 * the beginning; from then on this goes on as the hub does.
 */

import { signal } from '@preact/signals'
import { type History, SERIES, type Series, type Stretch } from '../../../shared/console/protocol.ts'

const SECONDS = 900
const MINUTES = 1_440
const SECOND_MS = 1_000
const MINUTE_MS = 60_000

interface Timed {
  readonly at: number
  readonly point: readonly number[]
}

/** Times in seconds, and a list of values for each series. */
export interface Columns {
  readonly times: readonly number[]
  readonly values: Readonly<Record<Series, readonly number[]>>
}

export class Plots {
  #seconds: Timed[] = []
  #minutes: Timed[] = []
  /** Those of the minute that is not over. */
  #minute: Timed[] = []
  #made: { readonly version: number; readonly of: string; readonly columns: Columns } | undefined
  /** Changes with each point. */
  readonly version = signal(0)

  begin({ seconds, minutes }: History): void {
    this.#seconds = timed(seconds)
    this.#minutes = timed(minutes)
    this.#minute = this.#seconds.filter(({ at }) => at > minutes.at)
    this.version.value++
  }

  add(at: number, point: readonly number[]): void {
    if (at <= (this.#seconds.at(-1)?.at ?? 0)) return
    this.#seconds.push({ at, point })
    if (this.#seconds.length > SECONDS) this.#seconds.splice(0, this.#seconds.length - SECONDS)
    this.#minute.push({ at, point })
    if (at - (this.#minute[0]?.at ?? at) >= MINUTE_MS - SECOND_MS) {
      this.#minutes.push({ at, point: meanOf(this.#minute) })
      if (this.#minutes.length > MINUTES) this.#minutes.shift()
      this.#minute = []
    }
    this.version.value++
  }

  /** Made once for all plots of a moment. */
  columns(of: 'seconds' | 'minutes'): Columns {
    const version = this.version.peek()
    if (this.#made?.version === version && this.#made.of === of) return this.#made.columns
    const points = of === 'seconds' ? this.#seconds : this.#untilNow()
    const values = {} as Record<Series, readonly number[]>
    for (const [i, name] of SERIES.entries()) values[name] = points.map(({ point }) => point[i] ?? 0)
    const columns = { times: points.map(({ at }) => at / 1_000), values }
    this.#made = { version, of, columns }
    return columns
  }

  /** The minutes that are over, and what there is of the next one. */
  #untilNow(): readonly Timed[] {
    const last = this.#minute.at(-1)
    return last === undefined ? this.#minutes : [...this.#minutes, { at: last.at, point: meanOf(this.#minute) }]
  }
}

function meanOf(points: readonly Timed[]): readonly number[] {
  return SERIES.map((_, i) => points.reduce((sum, { point }) => sum + (point[i] ?? 0), 0) / points.length)
}

function timed({ at, everyMs, points }: Stretch): Timed[] {
  return points.map((point, i) => ({ at: at - (points.length - 1 - i) * everyMs, point }))
}
