/** The last consecutive events that a feed has sent, bounded, so that a reader close to the head can join at once. */

import type { StoredEvent } from '../../store/contract/store.ts'
import { bodyBytes } from '../body.ts'

const MAX_EVENTS = 256
const MAX_BYTES = 65_536

export class Tail {
  #events: StoredEvent[] = []
  #bytes = 0

  /** Adds events that follow the last one. */
  push(events: readonly StoredEvent[]): void {
    const newest = events.slice(-MAX_EVENTS)
    if (newest.length < events.length) this.clear()
    for (const event of newest) {
      this.#events.push(event)
      this.#bytes += sizeOf(event)
    }
    let drop = Math.max(0, this.#events.length - MAX_EVENTS)
    for (let i = 0; i < this.#events.length; i++) {
      const event = this.#events[i]
      if (event === undefined || (i >= drop && this.#bytes <= MAX_BYTES)) break
      this.#bytes -= sizeOf(event)
      drop = i + 1
    }
    // Cut rarely: moving the array at each event would cost more than what it keeps.
    if (drop > 0) this.#events = this.#events.slice(drop)
  }

  /** The events behind `offset` up to `head`; `undefined` when not all of them are here. */
  after(offset: number, head: number): readonly StoredEvent[] | undefined {
    if (offset === head) return []
    const missing = this.#events.slice(-(head - offset))
    return missing[0]?.offset === offset + 1 && missing.at(-1)?.offset === head ? missing : undefined
  }

  clear(): void {
    this.#events = []
    this.#bytes = 0
  }
}

export function sizeOf(event: StoredEvent): number {
  return 'damaged' in event ? 0 : bodyBytes(event.body)
}
