/** The store's clock as this node's timers need it: how long it is until a time that the store has named. */

import type { Store } from '../store/contract/store.ts'

/** Between two looks at the store's clock; clocks drift slowly. */
const LOOK_MS = 30_000

export class StoreClock {
  readonly #store: Pick<Store, 'ready'>
  #aheadMs = 0
  #timer: NodeJS.Timeout | undefined

  constructor(store: Pick<Store, 'ready'>) {
    this.#store = store
  }

  async start(): Promise<void> {
    await this.#look()
    this.#timer = setInterval(() => this.#look().catch(() => {}), LOOK_MS)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** The store's time, as far as this node knows it. */
  get now(): number {
    return Date.now() + this.#aheadMs
  }

  async #look(): Promise<void> {
    const before = Date.now()
    const now = await this.#store.ready()
    this.#aheadMs = now - (before + Date.now()) / 2
  }
}
