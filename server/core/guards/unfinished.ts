/**
 * What has come of bodies, packets and their binary parts that are not complete, over all connections: each of them has
 * its own bound, but many together would fill the memory. Above the bound whoever holds the most is let go.
 */

import { RepriseError } from '../../../shared/errors.ts'

const RETRY_MS = 1_000

/** What came of one body or of one connection. */
export interface Held {
  add(bytes: number): void
  /** Holds so much now, whatever it held before. */
  set(bytes: number): void
  /** It is complete, or gone. */
  end(): void
}

interface Holder {
  bytes: number
  isGone: boolean
  readonly letGo: () => void
}

export class Unfinished {
  readonly #maxBytes: number
  readonly #holders = new Set<Holder>()
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** `letGo` is called at most once; what was held counts no more then. */
  hold(letGo: () => void): Held {
    const holder: Holder = { bytes: 0, isGone: false, letGo }
    const set = (bytes: number): void => {
      if (holder.isGone) return
      if (bytes > 0) this.#holders.add(holder)
      else this.#holders.delete(holder)
      this.#bytes += bytes - holder.bytes
      holder.bytes = bytes
      while (this.#bytes > this.#maxBytes) this.#letGoOfLargest()
    }
    return { add: (bytes) => set(holder.bytes + bytes), set, end: () => set(0) }
  }

  #letGoOfLargest(): void {
    let largest: Holder | undefined
    for (const holder of this.#holders) if (largest === undefined || holder.bytes > largest.bytes) largest = holder
    if (largest === undefined) return
    this.#holders.delete(largest)
    this.#bytes -= largest.bytes
    largest.bytes = 0
    largest.isGone = true
    largest.letGo()
  }
}

/** What a request whose body was let go is answered. */
export function tooMuchUnfinished(): RepriseError {
  const text = 'the hub holds too many bytes of requests that are not complete, and this was the largest: send it again'
  return new RepriseError('unavailable', text, { retryAfterMs: RETRY_MS })
}
