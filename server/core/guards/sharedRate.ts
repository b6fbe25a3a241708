/**
 * The same rate for many, each by a key: subjects, addresses. Keys that are quiet are forgotten. Whoever takes more at once
 * than is left is let through and waits for longer then, so that one large call is no call that can never be made.
 */

import { createRequire } from 'node:module'
import type { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'

export interface Taken {
  /** Milliseconds to wait for; 0: it may be, and is counted. */
  readonly waitMs: number
  /** How often it was asked in this second beyond what was allowed. */
  readonly refused: number
}

const MAY: Taken = { waitMs: 0, refused: 0 }

export class SharedRate {
  readonly #perSecond: number
  #limiter: RateLimiterMemory | undefined

  /** `Infinity`: no bound. */
  constructor(perSecond: number) {
    this.#perSecond = perSecond
  }

  get isBound(): boolean {
    return this.#perSecond !== Number.POSITIVE_INFINITY
  }

  async take(key: string, count: number): Promise<Taken> {
    if (!this.isBound) return MAY
    const limiter = this.#open()
    try {
      await limiter.consume(key, count)
      return MAY
    } catch (cause) {
      const { consumedPoints, msBeforeNext } = cause as RateLimiterRes
      const before = consumedPoints - count
      if (before >= this.#perSecond) return { waitMs: msBeforeNext, refused: before - this.#perSecond }
      await limiter.block(key, consumedPoints / this.#perSecond)
      return MAY
    }
  }

  #open(): RateLimiterMemory {
    if (this.#limiter !== undefined) return this.#limiter
    // The one kind of it that is needed: all of them would be a tenth of a second.
    const path = 'rate-limiter-flexible/lib/RateLimiterMemory.js'
    const Limiter = createRequire(import.meta.url)(path) as typeof RateLimiterMemory
    this.#limiter = new Limiter({ points: this.#perSecond, duration: 1 })
    return this.#limiter
  }
}
