/** Counts what is under way, with its bytes where they matter, and tells when that is nothing. */

export class Tally {
  #count = 0
  #bytes = 0
  #waiters: (() => void)[] = []

  get count(): number {
    return this.#count
  }

  get bytes(): number {
    return this.#bytes
  }

  add(bytes = 0): void {
    this.#count++
    this.#bytes += bytes
  }

  remove(bytes = 0): void {
    this.#count--
    this.#bytes -= bytes
    if (this.#count > 0) return
    for (const resolve of this.#waiters.splice(0)) resolve()
  }

  /** Resolves when it is nothing. */
  none(): Promise<void> {
    return this.#count === 0 ? Promise.resolve() : new Promise((resolve) => this.#waiters.push(resolve))
  }
}
