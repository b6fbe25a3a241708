/** Rings at the earliest of the store's times that it is set to, once. */

import type { StoreClock } from '../../clock.ts'

/** What is due already is waited for a moment, so that a store that has not got to it is not asked without end. */
const MIN_TIMER_MS = 2
const MAX_TIMER_MS = 2 ** 31 - 1

export class Alarm {
  readonly #clock: Pick<StoreClock, 'now'>
  readonly #ring: () => void
  #timer: NodeJS.Timeout | undefined
  #at = Number.POSITIVE_INFINITY
  #stopped = false

  constructor(clock: Pick<StoreClock, 'now'>, ring: () => void) {
    this.#clock = clock
    this.#ring = ring
  }

  ringAt(at: number): void {
    if (at >= this.#at || this.#stopped) return
    clearTimeout(this.#timer)
    this.#at = at
    const waitMs = Math.max(MIN_TIMER_MS, Math.ceil(at - this.#clock.now))
    this.#timer = setTimeout(
      () => {
        this.#at = Number.POSITIVE_INFINITY
        this.#ring()
      },
      Math.min(waitMs, MAX_TIMER_MS),
    )
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }
}
