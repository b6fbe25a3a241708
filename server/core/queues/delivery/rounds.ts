/** Rounds of work, one after the other, as often as they are asked for. Knows nothing of what is done in them. */

interface Waiting {
  readonly over: () => void
  readonly failed: (error: unknown) => void
}

export class Rounds {
  readonly #work: () => Promise<void>
  readonly #failed: (error: unknown) => void
  #isRunning = false
  #again = false
  /** Who waits for the end of the next round. */
  #waiting: Waiting[] = []
  #stopped = false

  /** After a round that `failed` is told of, the next one waits for a kick. */
  constructor(work: () => Promise<void>, failed: (error: unknown) => void) {
    this.#work = work
    this.#failed = failed
  }

  /** There may be something to do; where a round is under way, another follows it. */
  kick(): void {
    if (this.#stopped) return
    this.#again = true
    if (this.#isRunning) return
    this.#isRunning = true
    queueMicrotask(() => void this.#run())
  }

  /** Resolves when a round that begins now or later is over. Rejects if it fails. */
  next(): Promise<void> {
    if (this.#stopped) return Promise.resolve()
    return new Promise((over, failed) => {
      this.#waiting.push({ over, failed })
      this.kick()
    })
  }

  /** Who waits for a round waits no longer. */
  stop(): void {
    this.#stopped = true
    for (const { over } of this.#waiting.splice(0)) over()
  }

  async #run(): Promise<void> {
    while (this.#again && !this.#stopped) {
      this.#again = false
      const waiting = this.#waiting.splice(0)
      try {
        await this.#work()
        for (const { over } of waiting) over()
      } catch (error) {
        for (const { failed } of waiting) failed(error)
        this.#failed(error)
        break
      }
    }
    this.#isRunning = false
  }
}
