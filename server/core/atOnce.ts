/** Lets so many pieces of work go on at once; the others wait in their order, and hold nothing meanwhile. */

export class AtOnce {
  readonly #most: number
  readonly #waiting: (() => void)[] = []
  #underWay = 0

  constructor(most: number) {
    this.#most = most
  }

  /** How many pieces wait. */
  get waiting(): number {
    return this.#waiting.length
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#underWay < this.#most) this.#underWay += 1
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#underWay -= 1
      else next()
    }
  }
}
