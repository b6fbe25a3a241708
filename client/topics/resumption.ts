/** Asks the hub for a subscription in a namespace that is joined, again where that may pass. */

import type { RepriseError } from '../../shared/errors.ts'
import type { From } from '../../shared/protocol.ts'
import type { SubscribeOptions } from '../api.ts'
import { fullJitter } from '../connection/backoff.ts'
import type { Channel } from './channel.ts'
import { queryOf } from './options.ts'

const AGAIN = { baseMs: 250, maxMs: 5_000 }

export class Resumption {
  /** What the hub still says of the subscription before belongs to no place that anybody asks for. */
  leaving = false
  readonly #channel: Channel
  readonly #options: SubscribeOptions
  readonly #refused: (error: RepriseError) => void
  #tries = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  /** Counts what was asked for: the answer to an earlier one is of no interest. */
  #asked = 0
  #seeks: Promise<void> = Promise.resolve()

  constructor(channel: Channel, options: SubscribeOptions, refused: (error: RepriseError) => void) {
    this.#channel = channel
    this.#options = options
    this.#refused = refused
  }

  /** One after the other: each begins at the place that it asked for. */
  inTurn(seek: () => Promise<void>): Promise<void> {
    const done = this.#seeks.then(seek)
    this.#seeks = done.catch(() => {})
    return done
  }

  /** Elsewhere, once. The hub is to be done with what was before, whose `subscribed` may be on its way. */
  async seek(from: From): Promise<void> {
    this.stop()
    this.leaving = true
    try {
      await this.#channel.call('unsubscribe')
    } finally {
      this.leaving = false
    }
    await this.#ask(from)
  }

  begin(from: From | undefined): void {
    this.stop()
    const asked = this.#asked
    this.#ask(from).catch((error: RepriseError) => {
      // After a reconnection the handshake has done it.
      if (asked !== this.#asked || !this.#channel.connected) return
      if (!error.retryable) return this.#refused(error)
      const delayMs = fullJitter(this.#tries++, AGAIN, error.retryAfterMs)
      this.#timer = setTimeout(() => this.begin(from), delayMs)
    })
  }

  async #ask(from: From | undefined): Promise<void> {
    await this.#channel.call('subscribe', queryOf(from, this.#options))
  }

  stop(): void {
    this.#asked++
    clearTimeout(this.#timer)
  }

  /** It has begun: whatever is refused later is another matter. */
  begun(): void {
    this.#tries = 0
  }
}
