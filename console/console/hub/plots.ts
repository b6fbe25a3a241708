/** The points of the plots, as the hub keeps them: those of the last 15 minutes, and a point a minute of the last day. */

import { signal } from '@preact/signals'
import { type History, SERIES, type Series, type Stretch } from '../../../shared/console/protocol.ts'

const SECONDS = 900

/** Times in seconds, and a list of values for each series. */
export interface Columns {
  readonly times: readonly number[]
  readonly values: Readonly<Record<Series, readonly number[]>>
}

export class Plots {
  #seconds: { at: number; readonly point: readonly number[] }[] = []
  #minutes: Stretch | undefined
  #made: { readonly version: number; readonly of: string; readonly columns: Columns } | undefined
  /** Changes with each point. */
  readonly version = signal(0)

  begin({ seconds, minutes }: History): void {
    this.#seconds = timed(seconds)
    this.#minutes = minutes
    this.version.value++
  }

  add(at: number, point: readonly number[]): void {
    if (at <= (this.#seconds.at(-1)?.at ?? 0)) return
    this.#seconds.push({ at, point })
    if (this.#seconds.length > SECONDS) this.#seconds.splice(0, this.#seconds.length - SECONDS)
    this.version.value++
  }

  /** Made once for all plots of a moment. */
  columns(of: 'seconds' | 'minutes'): Columns {
    const version = this.version.peek()
    if (this.#made?.version === version && this.#made.of === of) return this.#made.columns
    const points = of === 'seconds' ? this.#seconds : timed(this.#minutes)
    const values = {} as Record<Series, readonly number[]>
    for (const [i, name] of SERIES.entries()) values[name] = points.map(({ point }) => point[i] ?? 0)
    const columns = { times: points.map(({ at }) => at / 1_000), values }
    this.#made = { version, of, columns }
    return columns
  }
}

function timed(stretch: Stretch | undefined): { at: number; point: readonly number[] }[] {
  if (stretch === undefined) return []
  const { at, everyMs, points } = stretch
  return points.map((point, i) => ({ at: at - (points.length - 1 - i) * everyMs, point }))
}
