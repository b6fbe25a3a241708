/** Sets of offsets, kept as ranges: a million events in a row cost as much as one. */

export interface Range {
  readonly from: number
  readonly to: number
}

export class RangeSet {
  /** Ascending, with at least one missing number between two. */
  #ranges: Range[] = []

  /** Adds all numbers from `from` to `to`, both included. */
  add(from: number, to: number = from): void {
    if (to < from) return
    const last = this.#ranges.at(-1)
    if (last === undefined || from > last.to + 1) {
      this.#ranges.push({ from, to })
      return
    }
    let start = this.#ranges.length
    while (start > 0 && (this.#ranges[start - 1]?.to ?? 0) >= from - 1) start--
    let end = start
    let merged = { from, to }
    for (let range = this.#ranges[end]; range !== undefined && range.from <= to + 1; range = this.#ranges[++end]) {
      merged = { from: Math.min(merged.from, range.from), to: Math.max(merged.to, range.to) }
    }
    this.#ranges.splice(start, end - start, merged)
  }

  has(offset: number): boolean {
    let low = 0
    let high = this.#ranges.length - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const range = this.#ranges[middle]
      if (range === undefined) return false
      if (offset < range.from) high = middle - 1
      else if (offset > range.to) low = middle + 1
      else return true
    }
    return false
  }

  /** How many numbers it holds. */
  get size(): number {
    return this.#ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0)
  }

  /** The highest number, 0 when there is none. */
  get max(): number {
    return this.#ranges.at(-1)?.to ?? 0
  }

  get ranges(): readonly Range[] {
    return this.#ranges
  }

  clear(): void {
    this.#ranges = []
  }
}

export function rangeSet(...ranges: readonly (readonly [from: number, to: number])[]): RangeSet {
  const set = new RangeSet()
  for (const [from, to] of ranges) set.add(from, to)
  return set
}

/** What is in both. */
export function intersection(a: RangeSet, b: RangeSet): RangeSet {
  const both = new RangeSet()
  let i = 0
  let j = 0
  for (;;) {
    const left = a.ranges[i]
    const right = b.ranges[j]
    if (left === undefined || right === undefined) return both
    both.add(Math.max(left.from, right.from), Math.min(left.to, right.to))
    if (left.to < right.to) i++
    else j++
  }
}
