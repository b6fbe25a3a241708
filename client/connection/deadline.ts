/** Waiting that ends, and may be told to end sooner. */

import { after } from './timer.ts'

export interface CloseOptions {
  /** How long is waited for handlers, acknowledgements and the outbox. Default: what `connect` was given, else 5,000 ms. */
  readonly drainMs?: number
}

export class Deadline {
  #at = Infinity
  #cancel = () => {}
  #pass = () => {}
  readonly #passed = new Promise<void>((resolve) => {
    this.#pass = resolve
  })

  /** No later than after `ms`. */
  within(ms: number): this {
    const at = performance.now() + ms
    if (at < this.#at) {
      this.#at = at
      this.#cancel()
      this.#cancel = after(ms, this.#pass)
    }
    return this
  }

  /** Resolves with the first of these, or when the time is up. */
  async first(work: readonly Promise<unknown>[]): Promise<void> {
    await Promise.race([...work, this.#passed])
  }

  /** Nobody waits any more. */
  end(): void {
    this.#at = 0
    this.#cancel()
  }
}
