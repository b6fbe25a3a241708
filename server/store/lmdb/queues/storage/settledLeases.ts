/**
 * The memory of settled leases: for five minutes the same lease and outcome again is `ok`. Owns its records: chunks by
 * the number of the delivery, with a few bytes for each lease, forgotten by time.
 *
 * Entry: low bits of the number 1 · outcome 1 · checksum of the lease 4 · time 6
 */

import type { Changes } from '../../engine/changes.ts'
import type { Environment } from '../../engine/environment.ts'
import { DUE, fallDue } from '../../engine/expiry.ts'
import { afterPrefix, blockKey, countOf, nameKey, numberKey } from '../../engine/keys.ts'
import { TABLES } from '../../engine/tables.ts'
import { INDEXES, type Indexes } from './indexes.ts'
import type { Counters } from './records.ts'

export const SETTLED_MS = 300_000

export const OUTCOMES = { done: 1, retry: 2, release: 3, dead: 4 } as const

const PER_CHUNK = 128
const ENTRY = 12
/** Chunks that are forgotten in one part of a sweep. */
const SWEPT = 64
const KEPT = 64

interface Chunk {
  readonly number: number
  bytes: Buffer
  length: number
  lastAt: number
  storedAt: number
}

/** FNV-1a: what two leases of one delivery have in common is chance. */
function checksum(text: string): number {
  let sum = 0x811c9dc5
  for (let i = 0; i < text.length; i++) sum = Math.imul(sum ^ text.charCodeAt(i), 0x01000193)
  return sum >>> 0
}

export class SettledLeases {
  readonly #environment: Environment
  readonly #number: number
  readonly #indexes: Indexes
  readonly #chunks = new Map<number, Chunk>()
  readonly #changed = new Set<Chunk>()

  constructor(environment: Environment, queueNumber: number, indexes: Indexes) {
    this.#environment = environment
    this.#number = queueNumber
    this.#indexes = indexes
  }

  #chunk(handOut: number): Chunk {
    const number = Math.floor(handOut / PER_CHUNK)
    let chunk = this.#chunks.get(number)
    if (chunk === undefined) {
      const stored = this.#environment.get(TABLES.settled, blockKey(this.#number, number))
      const bytes = Buffer.alloc(PER_CHUNK * ENTRY)
      stored?.copy(bytes)
      const length = stored?.length ?? 0
      const lastAt = length === 0 ? 0 : bytes.readUIntBE(length - 6, 6)
      chunk = { number, bytes, length, lastAt, storedAt: lastAt }
      this.#chunks.set(number, chunk)
    }
    return chunk
  }

  /** Their times, into an index that is made anew. */
  gather(): void {
    const prefix = numberKey(this.#number)
    const times = this.#indexes.of(INDEXES.settled)
    for (const { key, value } of this.#environment.records(TABLES.settled, {
      start: prefix,
      end: afterPrefix(prefix),
    })) {
      if (value.length >= ENTRY) times.add(value.readUIntBE(value.length - 6, 6), countOf(key))
    }
  }

  remember(handOut: number, lease: string, outcome: number, now: number): void {
    const chunk = this.#chunk(handOut)
    if (chunk.length + ENTRY > chunk.bytes.length) chunk.bytes = Buffer.concat([chunk.bytes, Buffer.alloc(ENTRY)])
    const { bytes, length } = chunk
    bytes[length] = handOut % PER_CHUNK
    bytes[length + 1] = outcome
    bytes.writeUInt32BE(checksum(lease), length + 2)
    bytes.writeUIntBE(now, length + 6, 6)
    chunk.length += ENTRY
    chunk.lastAt = now
    this.#changed.add(chunk)
  }

  isKnown(handOut: number, lease: string, outcome: number, now: number): boolean {
    const { bytes, length } = this.#chunk(handOut)
    const low = handOut % PER_CHUNK
    const sum = checksum(lease)
    for (let at = 0; at < length; at += ENTRY) {
      if (bytes[at] !== low || bytes[at + 1] !== outcome || bytes.readUInt32BE(at + 2) !== sum) continue
      if (now - bytes.readUIntBE(at + 6, 6) < SETTLED_MS) return true
    }
    return false
  }

  flush(changes: Changes, counters: Counters, queue: string): void {
    const times = this.#indexes.of(INDEXES.settled)
    for (const chunk of this.#changed) {
      changes.put(
        TABLES.settled,
        blockKey(this.#number, chunk.number),
        Buffer.from(chunk.bytes.subarray(0, chunk.length)),
      )
      if (chunk.storedAt > 0) times.remove(chunk.storedAt, chunk.number)
      times.add(chunk.lastAt, chunk.number)
      chunk.storedAt = chunk.lastAt
    }
    if (this.#changed.size > 0 && counters.sweepAt === 0) {
      counters.sweepAt = changes.now + SETTLED_MS
      fallDue(changes, counters.sweepAt, DUE.settled, nameKey(queue))
    }
    this.#changed.clear()
    for (const number of this.#chunks.keys()) {
      if (this.#chunks.size <= KEPT) break
      this.#chunks.delete(number)
    }
  }

  /** Forgets a part of what is over its time; answers whether there is more of it. */
  sweep(changes: Changes, counters: Counters, queue: string): boolean {
    const times = this.#indexes.of(INDEXES.settled)
    for (let swept = 0; ; swept++) {
      const first = times.first()
      if (first === undefined) {
        counters.sweepAt = 0
        return false
      }
      const isOver = changes.now - first.a >= SETTLED_MS
      if (!isOver || swept === SWEPT) {
        counters.sweepAt = first.a + SETTLED_MS
        fallDue(changes, counters.sweepAt, DUE.settled, nameKey(queue))
        return isOver
      }
      times.remove(first.a, first.b)
      changes.remove(TABLES.settled, blockKey(this.#number, first.b))
      this.#chunks.delete(first.b)
    }
  }
}
