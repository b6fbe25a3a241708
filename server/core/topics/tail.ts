/** The last consecutive events that a feed has sent, bounded, so that a reader close to the head can join at once. */

import type { Position } from '../../../shared/positions.ts'
import type { Gap } from '../../../shared/protocol.ts'
import type { StoredEvent } from '../../store/contract/store.ts'
import { bodyBytes } from '../body.ts'
import { type Packet, packetsOf } from './packet.ts'

const MAX_EVENTS = 256
const MAX_BYTES = 65_536

export class Tail {
  #events: StoredEvent[] = []
  #bytes = 0
  /** What was asked for last: many come back at once, and to the same place. */
  #asked: { readonly offset: number; readonly head: Position; readonly items: readonly (Packet | Gap)[] } | undefined

  /** Adds events that follow the last one. */
  push(events: readonly StoredEvent[]): void {
    this.#asked = undefined
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

  /** What lies behind `offset` up to `head`, the last one that was sent; `undefined` when not all of it is here. */
  after(offset: number, head: Position): readonly (Packet | Gap)[] | undefined {
    if (offset === head.offset) return []
    if (this.#asked?.offset === offset && this.#asked.head === head) return this.#asked.items
    const missing = this.#events.slice(-(head.offset - offset))
    if (missing[0]?.offset !== offset + 1 || missing.at(-1)?.offset !== head.offset) return undefined
    this.#asked = { offset, head, items: packetsOf(head.epoch, missing) }
    return this.#asked.items
  }

  clear(): void {
    this.#events = []
    this.#bytes = 0
  }
}

/** Whether a packet is no more than a tail keeps. */
export function isSmall({ events, bytes }: Packet): boolean {
  return events.length <= MAX_EVENTS && bytes <= MAX_BYTES
}

export function sizeOf(event: StoredEvent): number {
  return 'damaged' in event ? 0 : bodyBytes(event.body)
}
