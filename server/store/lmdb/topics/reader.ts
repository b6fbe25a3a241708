/**
 * Finds events of a topic in its blocks: by offset, by time, by size. Reads only; sees what the environment shows and,
 * inside a commit, the events that the commit is about to add.
 */

import type { SizedBody } from '../../codec.ts'
import type { StoredEvent } from '../../contract/store.ts'
import type { Environment } from '../engine/environment.ts'
import { blockKey, countOf } from '../engine/keys.ts'
import { TABLES, type TopicRecord } from '../engine/tables.ts'
import { type BlockHeader, bytesOfFirst, readHeader, readRecords } from './blocks.ts'

/** An event that is added by the commit at hand. */
export interface PendingEvent {
  readonly offset: number
  readonly at: number
  /** Bytes of all bodies before it. */
  readonly before: number
  readonly sized: SizedBody
}

/** What is known of the place before an event without reading its body. */
export interface Place {
  /** Bytes of all bodies before it. */
  readonly before: number
  readonly at: number
  /** First offset of the block that holds it. */
  readonly block: number
}

interface Found {
  readonly first: number
  /** Last offset before the next block. */
  readonly last: number
  readonly value: Buffer
  /** `undefined` when damaged. */
  readonly header: BlockHeader | undefined
}

export class Log {
  readonly #environment: Environment
  readonly #record: TopicRecord
  readonly #pending: readonly PendingEvent[]
  #found: Found | undefined

  constructor(environment: Environment, record: TopicRecord, pending: readonly PendingEvent[] = []) {
    this.#environment = environment
    this.#record = record
    this.#pending = pending
  }

  /** The last offset that is in a block already. */
  get #stored(): number {
    return (this.#pending[0]?.offset ?? this.#record.head + 1) - 1
  }

  /** The block in which the event is, or was if it is damaged. */
  #find(offset: number): Found | undefined {
    const { number } = this.#record
    const found = this.#found
    if (found !== undefined && found.first <= offset && offset <= found.last) return found
    const entry = this.#environment.lastUpTo(TABLES.blocks, blockKey(number, 0), blockKey(number, offset))
    if (entry === undefined) return undefined
    const first = countOf(entry.key)
    const header = readHeader(number, first, entry.value)
    const last = header === undefined ? this.#firstFrom(offset + 1) - 1 : first + header.count - 1
    if (last < offset) return undefined
    this.#found = { first, last, value: entry.value, header }
    return this.#found
  }

  /** First offset of the next block at or behind `offset`; behind the last one where there is none. */
  #firstFrom(offset: number): number {
    const { number } = this.#record
    const range = { start: blockKey(number, offset), end: blockKey(number, this.#stored + 1), limit: 1 }
    const [key] = this.#environment.keys(TABLES.blocks, range)
    return key === undefined ? this.#stored + 1 : countOf(key)
  }

  place(offset: number): Place {
    const { head, total, lastAt } = this.#record
    if (offset > head) return { before: total, at: lastAt, block: head + 1 }
    const pending = this.#pending[offset - this.#stored - 1]
    if (pending !== undefined) return { before: pending.before, at: pending.at, block: pending.offset }
    const found = this.#find(offset)
    if (found?.header !== undefined) {
      const { at, before } = found.header
      return { before: before + bytesOfFirst(found.value, found.header, offset - found.first), at, block: found.first }
    }
    // Nothing is known of a damaged block: it is as large and as old as the room before the next one.
    const next = this.place(found === undefined ? this.#firstFrom(offset + 1) : found.last + 1)
    return { before: next.before, at: next.at, block: found?.first ?? offset }
  }

  /** The first of the kept offsets that passes, and with it all behind it; `head + 1` where none does. */
  firstThat(passes: (place: Place) => boolean): number {
    const { first, head } = this.#record
    let fails = first - 1
    let step = 1
    let candidate = first
    // Most searches end close to the start: go from there in growing steps, then halve.
    while (candidate <= head && !passes(this.place(candidate))) {
      fails = candidate
      candidate = first + step
      step *= 2
    }
    let passing = Math.min(candidate, head + 1)
    while (passing - fails > 1) {
      const middle = fails + Math.floor((passing - fails) / 2)
      if (passes(this.place(middle))) passing = middle
      else fails = middle
    }
    return passing
  }

  /** Stored events behind `after`, none left out, as long as `take` accepts their size. */
  read(after: number, take: (bytes: number) => boolean): StoredEvent[] {
    const { number, first, head } = this.#record
    const events: StoredEvent[] = []
    let offset = Math.max(after + 1, first)
    if (offset > head) return events
    let going = true
    const accept = (bytes: number): boolean => {
      going = take(bytes)
      return going
    }
    const skipTo = (end: number): void => {
      for (; offset < end && accept(0); offset++) events.push({ offset, damaged: true })
    }
    const start = blockKey(number, this.#find(offset)?.first ?? offset)
    for (const { key, value } of this.#environment.range(TABLES.blocks, { start, end: blockKey(number, head + 1) })) {
      const begin = countOf(key)
      skipTo(begin)
      const header = readHeader(number, begin, value)
      if (!going) break
      // The events of a damaged block are told when the next one shows where it ends.
      if (header === undefined) continue
      for (const event of readRecords(value, header, offset - begin, accept)) {
        events.push(event)
        offset++
      }
      if (!going) break
    }
    if (going) skipTo(head + 1)
    return events
  }
}
