/** Waits for many. */

import { sharedNowMs } from './load.ts'

/** Who subscribes where. */
export interface Where {
  readonly url: string
  readonly topic: string
  readonly count: number
}

export class Countdown {
  /** When the last one came. */
  readonly at: Promise<number>
  #left: number
  #resolve: (at: number) => void = () => {}

  constructor(from: number) {
    this.#left = from
    this.at = new Promise((resolve) => {
      this.#resolve = resolve
    })
  }

  readonly one = (): void => {
    this.#left -= 1
    if (this.#left === 0) this.#resolve(sharedNowMs())
  }
}
