/**
 * How much one of them may have in a second. What is used flows off at that rate, so a second's worth may come at once, and
 * what was taken above it is paid for by waiting.
 */

export class Rate {
  readonly #perSecond: number
  #used = 0
  #at = 0

  constructor(perSecond: number) {
    this.#perSecond = perSecond
  }

  /** Milliseconds until there is room again; 0 where there is some. */
  overMs(before = 0): number {
    const now = performance.now()
    this.#used = Math.max(0, this.#used - ((now - this.#at) * this.#perSecond) / 1_000)
    this.#at = now
    const over = this.#used - before - this.#perSecond
    return over < 0 ? 0 : 1 + Math.ceil((over * 1_000) / this.#perSecond)
  }

  /** Uses so much, whether there is room or not. */
  use(amount: number): void {
    this.#used += amount
  }
}
