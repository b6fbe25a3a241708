/** Numbers of several rounds: median, spread, percentiles. */

export interface Series {
  readonly name: string
  readonly median: number
  readonly min: number
  readonly max: number
  readonly rounds: readonly number[]
}

export function seriesOf(name: string, rounds: readonly number[]): Series {
  return { name, median: percentile(rounds, 50), min: Math.min(...rounds), max: Math.max(...rounds), rounds }
}

/** The value that `percent` of the values do not exceed; between two of them where it lies between. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const place = ((sorted.length - 1) * percent) / 100
  const below = sorted[Math.floor(place)] ?? Number.NaN
  const above = sorted[Math.ceil(place)] ?? Number.NaN
  return below + (above - below) * (place - Math.floor(place))
}

/** Figures of several rounds, by their names. */
export class Rounds {
  readonly #values = new Map<string, number[]>()

  add(figure: string, value: number): void {
    const values = this.#values.get(figure) ?? []
    values.push(value)
    this.#values.set(figure, values)
  }

  /** `name`: how the figure is called where it is shown. */
  series(figure: string, name: string): Series {
    const values = this.#values.get(figure)
    if (values === undefined) throw new Error(`nobody measured ${figure}`)
    return seriesOf(name, values)
  }
}
