/** Times in buckets, as plain numbers: cheap enough for every event. */

/** Upper bounds in seconds. What is more is in the last bucket, which has none. */
export const FAST = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const
/** Of work, which may take minutes. */
export const SLOW = [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3_600] as const

/** Of one queue that somebody looks at: from a millisecond to an hour, each a quarter more than the one before. */
export const FINE: readonly number[] = Array.from({ length: 69 }, (_, i) => 0.001 * 1.25 ** i)

export class Histogram {
  readonly bounds: readonly number[]
  /** One for each bound, and one for what is beyond. */
  readonly counts: number[]
  sum = 0

  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.counts = new Array<number>(bounds.length + 1).fill(0)
  }

  /** So many times. */
  add(ms: number, times = 1): void {
    const seconds = Math.max(0, ms / 1_000)
    const { bounds, counts } = this
    let at = 0
    while (at < bounds.length && seconds > (bounds[at] ?? 0)) at += 1
    counts[at] = (counts[at] ?? 0) + times
    this.sum += seconds * times
  }
}

/** Within a bucket they are taken to be spread evenly; what is beyond the last bound has that one. 0 where there are none. */
export function quantileMs(bounds: readonly number[], counts: readonly number[], part: number): number {
  const all = counts.reduce((sum, count) => sum + count, 0)
  let below = 0
  for (const [i, count] of counts.entries()) {
    const lower = bounds[i - 1] ?? 0
    const upper = bounds[i] ?? lower
    if (count > 0 && below + count >= all * part)
      return (lower + ((upper - lower) * (all * part - below)) / count) * 1_000
    below += count
  }
  return 0
}
