/**
 * What has arrived and waits for the handler, packet by packet and in order: events, gaps and other marks. It counts
 * and hands out; who may come in is decided by the subscription.
 */

import type { RepriseError } from '../../shared/errors.ts'
import type { Event, Gap } from '../../shared/protocol.ts'
import type { Received, SubscribeOptions } from '../api.ts'
import { countOf } from '../optionChecks.ts'
import { measure } from '../outgoing/measure.ts'

/** What happens between two events and has its place among them. */
export type Mark =
  | { readonly kind: 'gap'; readonly gap: Gap }
  | { readonly kind: 'live' }
  | { readonly kind: 'end'; readonly error: RepriseError }

interface Events<T> {
  readonly kind: 'events'
  readonly epoch: string
  readonly events: readonly Event<T>[]
  next: number
  readonly bytesEach: number
}

/** Below this part of the limits there is room for more. */
const LOW_WATER = 0.5
/** How many events of a packet are measured; the others are taken to be like them. */
const SAMPLE = 4

export class Inbox<T> {
  readonly #maxSize: number
  readonly #maxBytes: number
  #chunks: (Events<T> | Mark)[] = []
  #size = 0
  /** Estimated. */
  #bytes = 0
  /** The hub sends the next page when these are called. */
  #pages: (() => void)[] = []

  constructor({ maxQueue, maxQueueBytes }: SubscribeOptions) {
    this.#maxSize = countOf('maxQueue', maxQueue, 1_000)
    this.#maxBytes = countOf('maxQueueBytes', maxQueueBytes, 1_048_576)
  }

  /** Events that wait. */
  get size(): number {
    return this.#size
  }

  get isFull(): boolean {
    return !this.#keeps(1)
  }

  get hasRoom(): boolean {
    return this.#keeps(LOW_WATER)
  }

  add(epoch: string, events: readonly Event<T>[]): void {
    if (events.length === 0) return
    const bytesEach = estimate(events)
    this.#chunks.push({ kind: 'events', epoch, events, next: 0, bytesEach })
    this.#size += events.length
    this.#bytes += bytesEach * events.length
  }

  mark(mark: Mark): void {
    this.#chunks.push(mark)
  }

  /** What comes next: a mark, `events`, or nothing. */
  get next(): Mark['kind'] | 'events' | undefined {
    return this.#chunks[0]?.kind
  }

  takeMark(): Mark | undefined {
    const chunk = this.#chunks[0]
    if (chunk === undefined || chunk.kind === 'events') return undefined
    this.#chunks.shift()
    return chunk
  }

  takeEvent(): Received<T> | undefined {
    const chunk = this.#chunks[0]
    if (chunk?.kind !== 'events') return undefined
    const event = chunk.events[chunk.next++] as Event<T> & { epoch: string }
    event.epoch = chunk.epoch
    this.#size--
    this.#bytes -= chunk.bytesEach
    if (chunk.next === chunk.events.length) this.#chunks.shift()
    return event
  }

  /** Keeps the word to send when there is room again. */
  hold(done: () => void): void {
    this.#pages.push(done)
  }

  /** Asks the hub for the next page. */
  release(): void {
    for (const done of this.#pages.splice(0)) done()
  }

  /** Drops everything, pages too: their connection is gone or does not matter any more. */
  clear(): void {
    this.#chunks = []
    this.#pages = []
    this.#size = this.#bytes = 0
  }

  #keeps(part: number): boolean {
    return this.#size <= this.#maxSize * part && this.#bytes <= this.#maxBytes * part
  }

  /** Words for pages of a connection that is gone. */
  forgetPages(): void {
    this.#pages = []
  }
}

function estimate(events: readonly Event[]): number {
  const step = Math.ceil(events.length / SAMPLE)
  let bytes = 0
  let measured = 0
  for (let i = 0; i < events.length; i += step) {
    bytes += measure(events[i]?.data ?? null).bytes
    measured++
  }
  return Math.ceil(bytes / measured)
}
