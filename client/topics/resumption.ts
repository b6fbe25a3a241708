/** Asks the hub for a subscription in a namespace that is joined, again where that may pass. */

import type { RepriseError } from '../../shared/errors.ts'
import type { From } from '../../shared/protocol.ts'
import type { SubscribeOptions } from '../api.ts'
import { fullJitter } from '../connection/backoff.ts'
import type { Channel } from './channel.ts'
import { queryOf } from './options.ts'

const AGAIN = { baseMs: 250, maxMs: 5_000 }

export interface ResumptionOwner {
  /** Whether there is nothing to ask for any more: it has begun, or it is over. */
  settled(): boolean
  refused(error: RepriseError): void
}

export class Resumption {
  readonly #channel: Channel
  readonly #options: SubscribeOptions
  readonly #owner: ResumptionOwner
  #tries = 0
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(channel: Channel, options: SubscribeOptions, owner: ResumptionOwner) {
    this.#channel = channel
    this.#options = options
    this.#owner = owner
  }

  /** Once. */
  async ask(from: From | undefined): Promise<void> {
    await this.#channel.call('subscribe', queryOf(from, this.#options))
  }

  begin(from: From | undefined): void {
    this.ask(from).catch((error: RepriseError) => {
      // After a reconnection the handshake has done it.
      if (this.#owner.settled() || !this.#channel.connected) return
      if (!error.retryable) return this.#owner.refused(error)
      const delayMs = fullJitter(this.#tries++, AGAIN, error.retryAfterMs)
      this.#timer = setTimeout(() => this.begin(from), delayMs)
    })
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  /** It has begun: whatever is refused later is another matter. */
  begun(): void {
    this.#tries = 0
  }
}
