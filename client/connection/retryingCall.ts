/** Calls that are made again after what may pass, reconnections included, until time is up. */

import { RepriseError } from '../../shared/errors.ts'
import { fullJitter } from './backoff.ts'
import { after } from './timer.ts'

const AGAIN = { baseMs: 100, maxMs: 2_000 }

/** A try, which may take so long. `tries` counts from 1. */
export type Again<T> = (leftMs: number, tries: number) => Promise<T>

export class Asking {
  readonly #joined: (givenUp: Promise<never>) => Promise<void>
  readonly #pending = new Set<(error: RepriseError) => void>()

  /** `joined` resolves when a call can be made. `givenUp` rejects when nobody waits for that any more. */
  constructor(joined: (givenUp: Promise<never>) => Promise<void>) {
    this.#joined = joined
  }

  /** How many wait. */
  get size(): number {
    return this.#pending.size
  }

  /** Rejects with `timeout` after `timeoutMs`. */
  async ask<T>(timeoutMs: number, call: Again<T>): Promise<T> {
    const deadline = performance.now() + timeoutMs
    let cancel = () => {}
    let pause: ReturnType<typeof setTimeout> | undefined
    let giveUp: (error: RepriseError) => void = () => {}
    /** Of the last try, where none is under way. */
    let refusal: unknown
    const expiry = new Promise<never>((_, reject) => {
      giveUp = reject
      const text = `no answer within ${timeoutMs} ms`
      cancel = after(timeoutMs, () => reject(new RepriseError('timeout', text, { cause: refusal })))
    })
    this.#pending.add(giveUp)
    try {
      for (let tries = 1; ; tries++) {
        try {
          await Promise.race([this.#joined(expiry), expiry])
          const leftMs = Math.max(1, Math.ceil(deadline - performance.now()))
          refusal = undefined
          return await Promise.race([call(leftMs, tries), expiry])
        } catch (error) {
          if (!(error instanceof RepriseError) || !mayPass(error)) throw error
          refusal = error
          const delayMs = fullJitter(tries - 1, AGAIN, error.retryAfterMs)
          const paused = new Promise((resolve) => {
            pause = setTimeout(resolve, delayMs)
          })
          await Promise.race([paused, expiry])
        }
      }
    } finally {
      cancel()
      clearTimeout(pause)
      this.#pending.delete(giveUp)
    }
  }

  /** Rejects all that wait. */
  fail(error: RepriseError): void {
    for (const giveUp of this.#pending) giveUp(error)
  }
}

/** Another consumer or subscription of this client has nothing to do with a call. */
function mayPass(error: RepriseError): boolean {
  return (error.retryable && error.code !== 'timeout') || error.code === 'taken_over'
}
