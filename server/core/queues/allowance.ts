/** What many writers of one kind may have on its way to the store together, as everybody else's writes wait behind it. */

/** A write that takes longer waits for the store itself, and no longer counts: others may find their part of it well. */
const PATIENCE_MS = 1_000

export class Allowance {
  #left: number
  readonly #waiting: { readonly weight: number; begin(): void }[] = []

  constructor(weight: number) {
    this.#left = weight
  }

  /** Begins `write` in its turn, when there is room for it, and resolves as it does. */
  async use<T>(weight: number, write: () => Promise<T>): Promise<T> {
    if (this.#waiting.length > 0 || this.#left <= 0) {
      await new Promise<void>((begin) => this.#waiting.push({ weight, begin }))
    } else {
      this.#left -= weight
    }
    let isCounted = true
    const end = () => {
      if (!isCounted) return
      isCounted = false
      clearTimeout(patience)
      this.#left += weight
      this.#beginNext()
    }
    const patience = setTimeout(end, PATIENCE_MS)
    try {
      return await write()
    } finally {
      end()
    }
  }

  #beginNext(): void {
    while (this.#left > 0) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      this.#left -= next.weight
      next.begin()
    }
  }
}
