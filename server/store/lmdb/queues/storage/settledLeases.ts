/**
 * The memory of settled leases: for five minutes the same lease and outcome again is `ok`. Owns its records: chunks by
 * the number of the delivery, with a few bytes for each lease, forgotten by time.
 *
 * Entry: low bits of the number 1 · outcome 1 · checksum of the lease 4 · time 6
 */

import type { Changes } from '../../engine/changes.ts'
import type { Environment } from '../../engine/environment.ts'
import { DUE, fallDue } from '../../engine/expiry.ts'
import { blockKey, countOf, nameKey, numberKey, under } from '../../engine/keys.ts'
import { TABLES } from '../../engine/tables.ts'
import { INDEXES, type Indexes } from './indexes.ts'
import type { Counters } from './records.ts'

const SETTLED_MS = 300_000

export const OUTCOMES = { done: 1, retry: 2, release: 3, dead: 4 } as const

const PER_CHUNK = 128
const ENTRY = 12
/** Chunks that are forgotten in one part of a sweep. */
const SWEPT = 64
const KEPT = 64

interface Chunk {
  readonly number: number
  bytes: Buffer
  /** The time of its last entry as the index has it; 0 where it is in none. */
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
      const bytes = this.#environment.get(TABLES.settled, blockKey(this.#number, number)) ?? Buffer.alloc(0)
      chunk = { number, bytes, storedAt: lastAt(bytes) }
      this.#chunks.set(number, chunk)
    }
    return chunk
  }

  /** Their times, into an index that is made anew. */
  gather(): void {
    const times = this.#indexes.of(INDEXES.settled)
    for (const { key, value } of this.#environment.records(TABLES.settled, under(numberKey(this.#number)))) {
      if (value.length >= ENTRY) times.add(lastAt(value), countOf(key))
    }
  }

  remember(handOut: number, lease: string, outcome: number, now: number): void {
    const chunk = this.#chunk(handOut)
    const entry = Buffer.allocUnsafe(ENTRY)
    entry[0] = handOut % PER_CHUNK
    entry[1] = outcome
    entry.writeUInt32BE(checksum(lease), 2)
    entry.writeUIntBE(now, 6, 6)
    chunk.bytes = Buffer.concat([chunk.bytes, entry])
    this.#changed.add(chunk)
  }

  isKnown(handOut: number, lease: string, outcome: number, now: number): boolean {
    const { bytes } = this.#chunk(handOut)
    const low = handOut % PER_CHUNK
    const sum = checksum(lease)
    for (let at = 0; at < bytes.length; at += ENTRY) {
      if (bytes[at] !== low || bytes[at + 1] !== outcome || bytes.readUInt32BE(at + 2) !== sum) continue
      if (now - bytes.readUIntBE(at + 6, 6) < SETTLED_MS) return true
    }
    return false
  }

  flush(changes: Changes, counters: Counters, queue: string): void {
    const times = this.#indexes.of(INDEXES.settled)
    for (const chunk of this.#changed) {
      changes.put(TABLES.settled, blockKey(this.#number, chunk.number), chunk.bytes)
      if (chunk.storedAt > 0) times.remove(chunk.storedAt, chunk.number)
      chunk.storedAt = lastAt(chunk.bytes)
      times.add(chunk.storedAt, chunk.number)
    }
    if (this.#changed.size > 0 && counters.sweepAt === 0) sweepAt(changes, counters, queue, changes.now + SETTLED_MS)
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
        sweepAt(changes, counters, queue, first.a + SETTLED_MS)
        return isOver
      }
      times.remove(first.a, first.b)
      changes.remove(TABLES.settled, blockKey(this.#number, first.b))
      this.#chunks.delete(first.b)
    }
  }
}

/** Of its last entry; 0 where there is none. */
function lastAt(bytes: Buffer): number {
  return bytes.length < ENTRY ? 0 : bytes.readUIntBE(bytes.length - 6, 6)
}

function sweepAt(changes: Changes, counters: Counters, queue: string, at: number): void {
  counters.sweepAt = at
  fallDue(changes, at, DUE.settled, nameKey(queue))
}
