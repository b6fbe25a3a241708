/**
 * Rounds of work that are asked for again and again: two of them at a time, so that one asks the store while the answer
 * of the other is on its way. Knows nothing of what is done in them.
 */

const AT_A_TIME = 2

interface Waiting {
  readonly over: () => void
  readonly failed: (error: unknown) => void
}

export class Rounds {
  readonly #work: () => Promise<void>
  readonly #failed: (error: unknown) => void
  #running = 0
  #again = false
  /** Somebody was not served, as the other round may do it: to be looked at again when that is over. */
  #passedOver = false
  /** Resolves when the rounds that have begun are over. */
  #begun: Promise<void> = Promise.resolve()
  /** Who waits for the end of the next round. */
  #waiting: Waiting[] = []
  #stopped = false

  /** After a round that `failed` is told of, the next one waits for a kick. */
  constructor(work: () => Promise<void>, failed: (error: unknown) => void) {
    this.#work = work
    this.#failed = failed
  }

  /** There may be something to do. */
  kick(): void {
    if (this.#stopped) return
    this.#again = true
    if (this.#running === AT_A_TIME) return
    this.#running += 1
    queueMicrotask(() => void this.#run())
  }

  /** The round that runs is to be followed by another. */
  again(): void {
    this.#again = true
  }

  passOver(): void {
    this.#passedOver = true
  }

  /** Resolves when a round that begins now or later is over, and all that began before it. Rejects if one of them fails. */
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
      const round = this.#work()
      // What somebody waits for may be in the answer of the round before.
      const all = Promise.all([this.#begun, round])
      this.#begun = all.then(
        () => {},
        () => {},
      )
      if (waiting.length > 0) tellAll(waiting, all)
      try {
        await round
      } catch (error) {
        this.#failed(error)
        break
      }
      // With another round under way this would ask without an end.
      if (this.#passedOver && this.#running === 1) {
        this.#passedOver = false
        this.#again = true
      }
    }
    this.#running -= 1
  }
}

function tellAll(waiting: readonly Waiting[], rounds: Promise<unknown>): void {
  rounds.then(
    () => {
      for (const { over } of waiting) over()
    },
    (error: unknown) => {
      for (const { failed } of waiting) failed(error)
    },
  )
}
