/**
 * A topic inside a commit: its record, its lineage and the events being added. Owns birth, epochs, trimming and the
 * packing of events into blocks; the calls decide, this carries out.
 */

import type { Lineage } from '../../../../shared/positions.ts'
import type { SizedBody } from '../../codec.ts'
import type { Bounds, Retention } from '../../contract/store.ts'
import { newEpoch } from '../../token.ts'
import type { Changes } from '../engine/changes.ts'
import { beginStoreEpoch, droppedOf, MAX_EPOCHS, storeRecord, unbornBounds, withDropped } from '../engine/epochs.ts'
import { leaveGarbage } from '../engine/garbage.ts'
import { blockKey, nameKey, numberKey } from '../engine/keys.ts'
import { type DroppedRecord, STORE_KEY, TABLES, type TopicRecord } from '../engine/tables.ts'
import { BLOCK_OVERHEAD, MAX_BLOCK_BYTES, packBlock, RECORD_OVERHEAD } from './blocks.ts'
import { Log, type PendingEvent } from './reader.ts'
import { lowestHold } from './retentionPins.ts'

/** Dead blocks that are removed in the commit that killed them; more are left to the garbage collector. */
const DEAD_AT_ONCE = 64

/** Events of one notification. */
const NOTIFIED_AT_ONCE = 1_024

export class TopicWork {
  readonly #changes: Changes
  readonly #name: string
  #record: TopicRecord | undefined
  #pending: PendingEvent[] = []
  #changed = false

  constructor(changes: Changes, name: string) {
    this.#changes = changes
    this.#name = name
    this.#record = changes.get(TABLES.topics, nameKey(name))
  }

  /** `undefined` when the topic is unborn. */
  get record(): TopicRecord | undefined {
    return this.#record
  }

  #lineage(record: TopicRecord): Lineage {
    return this.#changes.get(TABLES.lineages, numberKey(record.number)) ?? []
  }

  get #dropped(): DroppedRecord | undefined {
    return this.#changes.get(TABLES.dropped, nameKey(this.#name))
  }

  get epoch(): string {
    return this.#record?.epoch ?? storeRecord(this.#changes).epochs.at(-1) ?? ''
  }

  bounds(): Bounds {
    const record = this.#record
    if (record === undefined) return unbornBounds(storeRecord(this.#changes), this.#dropped)
    const { epoch, first, head } = record
    return { epoch, lineage: this.#lineage(record), first, head, ...droppedOf(this.#dropped) }
  }

  /** The record of a topic that can be appended to: born, and in an epoch of this opening. */
  #begin(): TopicRecord {
    const { opening } = this.#changes
    let record = this.#record
    if (record === undefined) {
      const store = beginStoreEpoch(this.#changes, true)
      const number = store.lastTopicNumber + 1
      this.#changes.put(TABLES.store, STORE_KEY, { ...store, lastTopicNumber: number })
      const { epoch, lineage } = unbornBounds(store, this.#dropped)
      this.#changes.put(TABLES.lineages, numberKey(number), lineage)
      const none = { first: 1, head: 0, firstAt: 0, lastAt: 0, total: 0, base: 0, tail: 1 }
      record = { number, epoch, opening, ...none }
    } else if (record.opening !== opening) {
      const epoch = newEpoch()
      const lineage = [...this.#lineage(record), { epoch, startsAfter: record.head }].slice(-MAX_EPOCHS)
      this.#changes.put(TABLES.lineages, numberKey(record.number), lineage)
      record = { ...record, epoch, opening }
    }
    return record
  }

  #set(record: TopicRecord): void {
    this.#record = record
    this.#changed = true
  }

  /** Adds events behind the head; the first ones of a topic are its birth. */
  add(bodies: readonly SizedBody[]): void {
    const record = this.#begin()
    const at = Math.max(this.#changes.now, record.lastAt)
    let { head, total } = record
    for (const sized of bodies) {
      head++
      this.#pending.push({ offset: head, at, before: total, sized })
      total += sized.counted
    }
    const empty = record.first > record.head
    this.#set({ ...record, head, total, lastAt: at, ...(empty && { firstAt: at }) })
  }

  /** Tells of the events added in this commit: who begins to watch while it is under way does not see them yet. */
  #tell(): void {
    const record = this.#record
    if (record === undefined) return
    for (let from = 0; from < this.#pending.length; from += NOTIFIED_AT_ONCE) {
      const events = this.#pending
        .slice(from, from + NOTIFIED_AT_ONCE)
        .map(({ offset, at, sized }) => ({ offset, at, body: sized.body }))
      const head = events.at(-1)?.offset ?? record.head
      this.#changes.notify(this.#name, { kind: 'appended', epoch: record.epoch, head, events })
    }
  }

  /** Removes what exceeds the retention. `keepLast`: the last event does not fall to `bytes`. */
  trim(retain: Retention, keepLast: boolean): void {
    const record = this.#record
    if (record === undefined || record.first > record.head) return
    const { head, total } = record
    const log = new Log(this.#changes.environment, record, this.#pending)
    let first = Math.max(record.first, head + 1 - retain.events)
    if (total - record.base > retain.bytes) {
      const fits = log.firstThat(({ before }) => total - before <= retain.bytes)
      first = Math.max(first, keepLast ? Math.min(fits, head) : fits)
    }
    const oldest = this.#changes.now - retain.ageMs
    if (record.firstAt < oldest) {
      const young = log.firstThat(({ at }) => at >= oldest)
      first = Math.max(first, young)
    }
    if (first > record.first) first = this.#heldFrom(log, record, first, retain.holdBytes ?? 0)
    if (first === record.first) return
    const { before, at, block } = log.place(first)
    this.#set({ ...record, first, base: before, firstAt: at, tail: this.#removeDead(record, block) })
  }

  /** What a hold leaves of a trim up to `first`: it gives way while all kept bodies have more than `holdBytes`. */
  #heldFrom(log: Log, record: TopicRecord, first: number, holdBytes: number): number {
    const hold = lowestHold(this.#changes, this.#name)
    if (hold === undefined || hold + 1 >= first) return first
    const held = Math.max(record.first, hold + 1)
    if (record.total - log.place(held).before <= holdBytes) return held
    return Math.min(
      first,
      Math.max(
        held,
        log.firstThat(({ before }) => record.total - before <= holdBytes),
      ),
    )
  }

  /** Removes blocks before `block`, or leaves them to the garbage collector; answers the new tail. */
  #removeDead(record: TopicRecord, block: number): number {
    if (record.tail >= block) return record.tail
    const { number, tail } = record
    const range = { start: blockKey(number, tail), end: blockKey(number, block), limit: DEAD_AT_ONCE + 1 }
    const dead = this.#changes.environment.keys(TABLES.blocks, range)
    if (dead.length > DEAD_AT_ONCE) leaveGarbage(this.#changes, number, { below: block, dropped: false })
    else for (const key of dead) this.#changes.remove(TABLES.blocks, key)
    return block
  }

  /** Makes the topic unborn. */
  drop(): void {
    const record = this.#record
    if (record === undefined) return
    const lineage = this.#lineage(record)
    let store = storeRecord(this.#changes)
    const present = store.epochs.at(-1)
    if (lineage.some(({ epoch }) => epoch === present)) store = beginStoreEpoch(this.#changes, false)
    const dropped = withDropped(this.#dropped, store, { lineage, head: record.head })
    this.#changes.put(TABLES.dropped, nameKey(this.#name), dropped)
    leaveGarbage(this.#changes, record.number, { below: 2 ** 48 - 1, dropped: true })
    this.#changes.remove(TABLES.lineages, numberKey(record.number))
    this.#changes.remove(TABLES.holds, nameKey(this.#name))
    this.#tell()
    this.#changes.notify(this.#name, { kind: 'changed' })
    this.#record = undefined
    this.#pending = []
    this.#changed = true
  }

  /** Once, at the end of the transaction: hands over the blocks and the record. */
  complete(): void {
    if (!this.#changed) return
    const record = this.#record
    if (record === undefined) {
      this.#changes.remove(TABLES.topics, nameKey(this.#name))
      return
    }
    this.#changes.put(TABLES.topics, nameKey(this.#name), record)
    this.#tell()
    let block: PendingEvent[] = []
    let size = BLOCK_OVERHEAD
    for (const event of this.#pending) {
      if (event.offset < record.first) continue
      const needs = event.sized.bytes + RECORD_OVERHEAD
      if (block.length > 0 && size + needs > MAX_BLOCK_BYTES) {
        this.#putBlock(record, block)
        block = []
        size = BLOCK_OVERHEAD
      }
      block.push(event)
      size += needs
    }
    this.#putBlock(record, block)
  }

  #putBlock({ number }: TopicRecord, events: readonly PendingEvent[]): void {
    const [head] = events
    if (head === undefined) return
    const { offset: first, at, before } = head
    const sized = events.map((event) => event.sized)
    this.#changes.put(TABLES.blocks, blockKey(number, first), packBlock(number, { first, at, before }, sized))
  }
}
