/** How many of something each of many may have at a time: connections of an address, streams of a caller. */

export class Places {
  readonly #max: number
  readonly #counts = new Map<string, number>()

  constructor(max: number) {
    this.#max = max
  }

  /** Whoever has no key is of this process. */
  hasRoom(key: string | undefined): boolean {
    return key === undefined || (this.#counts.get(key) ?? 0) < this.#max
  }

  /** Counts one more, whether there is room or not; the result takes it back, once. */
  take(key: string | undefined): () => void {
    if (key === undefined) return () => {}
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
    let isTaken = true
    return () => {
      if (!isTaken) return
      isTaken = false
      const left = (this.#counts.get(key) ?? 1) - 1
      if (left > 0) this.#counts.set(key, left)
      else this.#counts.delete(key)
    }
  }
}
