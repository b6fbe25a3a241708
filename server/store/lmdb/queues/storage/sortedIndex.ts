/**
 * A sorted set of pairs of numbers, kept in blocks of many: an index whose neighbours cost one record together. Owns the
 * blocks and their order; what a pair means is its owner's.
 *
 * A block's key is a pair that is not above any of its own, nor below those of the block before.
 */

import { DamagedQueue } from '../../../damage.ts'
import type { Changes } from '../../engine/changes.ts'
import type { Environment } from '../../engine/environment.ts'
import { under } from '../../engine/keys.ts'
import { TABLES } from '../../engine/tables.ts'

export interface Pair {
  readonly a: number
  readonly b: number
}

interface Block {
  a: number
  b: number
  as: number[] | undefined
  bs: number[]
}

const COUNT = 6
/** What is added at the end begins a new block after so many pairs; one that grows in its midst is split at twice that. */
const FULL = 128
/** Blocks that may stay in memory between commits. */
const KEPT = 16

function keyOf(prefix: Buffer, { a, b }: Pair): Buffer {
  const key = Buffer.allocUnsafe(prefix.length + 2 * COUNT)
  key.set(prefix)
  key.writeUIntBE(a, prefix.length, COUNT)
  key.writeUIntBE(b, prefix.length + COUNT, COUNT)
  return key
}

function encode({ as = [], bs }: Block): Buffer {
  const numbers = new Float64Array(as.length * 2)
  numbers.set(as)
  numbers.set(bs, as.length)
  return Buffer.from(numbers.buffer)
}

export function pairsOf(bytes: Buffer): Pair[] {
  const { as, bs } = decode(bytes)
  return as.map((a, i) => ({ a, b: bs[i] ?? 0 }))
}

function decode(bytes: Buffer): { as: number[]; bs: number[] } {
  const numbers = new Float64Array(bytes.length >> 3)
  Buffer.from(numbers.buffer).set(bytes)
  const count = numbers.length >> 1
  return { as: Array.from(numbers.subarray(0, count)), bs: Array.from(numbers.subarray(count)) }
}

/** The first index whose pair is not below `(a, b)`. */
function lowerBound(as: readonly number[], bs: readonly number[], a: number, b: number): number {
  let low = 0
  let high = as.length
  while (low < high) {
    const middle = (low + high) >> 1
    const x = as[middle] ?? 0
    if (x < a || (x === a && (bs[middle] ?? 0) < b)) low = middle + 1
    else high = middle
  }
  return low
}

export class SortedIndex {
  readonly #environment: Environment
  readonly #prefix: Buffer
  readonly #queue: string
  readonly #blocks: Block[]
  readonly #changed = new Set<Block>()
  readonly #removed = new Set<Pair>()
  #loaded = 0

  /** `queue` is named where a block cannot be read. `isAnew`: whatever is stored is being replaced. */
  constructor(environment: Environment, prefix: Buffer, queue: string, isAnew = false) {
    this.#environment = environment
    this.#prefix = prefix
    this.#queue = queue
    const keys = isAnew ? [] : environment.keys(TABLES.pairs, under(prefix))
    this.#blocks = keys.map((key) => ({
      a: key.readUIntBE(prefix.length, COUNT),
      b: key.readUIntBE(prefix.length + COUNT, COUNT),
      as: undefined,
      bs: [],
    }))
  }

  /** The block in which the pair is or belongs. */
  #find(a: number, b: number): number {
    let low = 0
    let high = this.#blocks.length
    while (low < high) {
      const middle = (low + high) >> 1
      const block = this.#blocks[middle]
      if (block !== undefined && (block.a < a || (block.a === a && block.b <= b))) low = middle + 1
      else high = middle
    }
    return Math.max(0, low - 1)
  }

  #load(block: Block): number[] {
    if (block.as === undefined) {
      const bytes = this.#environment.get(TABLES.pairs, keyOf(this.#prefix, block))
      if (bytes === undefined) throw new DamagedQueue(this.#queue)
      const { as, bs } = decode(bytes)
      block.as = as
      block.bs = bs
      this.#loaded++
    }
    return block.as
  }

  first(): Pair | undefined {
    const block = this.#blocks[0]
    if (block === undefined) return undefined
    return { a: this.#load(block)[0] ?? 0, b: block.bs[0] ?? 0 }
  }

  /** The lower number of the first pair; `Infinity` where there is none. */
  get lowest(): number {
    return this.first()?.a ?? Number.POSITIVE_INFINITY
  }

  /** The first pair that is not below this one. */
  from(a: number, b: number): Pair | undefined {
    for (let i = this.#find(a, b); i < this.#blocks.length; i++) {
      const block = this.#blocks[i]
      if (block === undefined) return undefined
      const as = this.#load(block)
      const at = lowerBound(as, block.bs, a, b)
      const x = as[at]
      if (x !== undefined) return { a: x, b: block.bs[at] ?? 0 }
    }
    return undefined
  }

  has(a: number, b: number): boolean {
    const found = this.from(a, b)
    return found?.a === a && found.b === b
  }

  all(): Pair[] {
    return this.#blocks.flatMap((block) => this.#load(block).map((a, i) => ({ a, b: block.bs[i] ?? 0 })))
  }

  /** Adds a pair, or with -1 takes it out. */
  put(a: number, b: number, by: 1 | -1): void {
    if (by > 0) this.add(a, b)
    else this.remove(a, b)
  }

  add(a: number, b: number): void {
    const index = this.#find(a, b)
    const block = this.#blocks[index]
    const as = block === undefined ? [] : this.#load(block)
    const at = block === undefined ? 0 : lowerBound(as, block.bs, a, b)
    const atEnd = index >= this.#blocks.length - 1 && at === as.length
    if (block === undefined || (atEnd && as.length >= FULL)) {
      const begun = { a, b, as: [a], bs: [b] }
      this.#blocks.push(begun)
      this.#changed.add(begun)
      this.#loaded++
      return
    }
    if (as[at] === a && block.bs[at] === b) return
    if (at === 0 && (a < block.a || (a === block.a && b < block.b))) {
      this.#removed.add({ a: block.a, b: block.b })
      block.a = a
      block.b = b
    }
    as.splice(at, 0, a)
    block.bs.splice(at, 0, b)
    this.#changed.add(block)
    if (as.length > 2 * FULL) {
      const jobSet = { as: as.splice(FULL), bs: block.bs.splice(FULL) }
      const begun = { a: jobSet.as[0] ?? 0, b: jobSet.bs[0] ?? 0, ...jobSet }
      this.#blocks.splice(index + 1, 0, begun)
      this.#loaded++
      this.#changed.add(begun)
    }
  }

  remove(a: number, b: number): void {
    const index = this.#find(a, b)
    const block = this.#blocks[index]
    if (block === undefined) return
    const as = this.#load(block)
    const at = lowerBound(as, block.bs, a, b)
    if (as[at] !== a || block.bs[at] !== b) return
    if (at === 0) {
      as.shift()
      block.bs.shift()
    } else {
      as.splice(at, 1)
      block.bs.splice(at, 1)
    }
    this.#changed.add(block)
    if (as.length > 0) return
    if (index === 0) this.#blocks.shift()
    else this.#blocks.splice(index, 1)
    this.#changed.delete(block)
    this.#removed.add(block)
  }

  get isChanged(): boolean {
    return this.#changed.size + this.#removed.size > 0
  }

  /** Hands all changes to the changes. */
  flush(changes: Changes): void {
    for (const block of this.#removed) changes.remove(TABLES.pairs, keyOf(this.#prefix, block))
    for (const block of this.#changed) changes.put(TABLES.pairs, keyOf(this.#prefix, block), encode(block))
    if (this.#loaded > KEPT) this.#unload()
    this.#removed.clear()
    this.#changed.clear()
  }

  /** Those that this commit changed stay: until it is done, what is stored is not what they are. */
  #unload(): void {
    this.#loaded = 0
    for (const block of this.#blocks) {
      if (this.#changed.has(block)) this.#loaded++
      else block.as = undefined
    }
  }
}

const NO_PAIRS = Buffer.alloc(0)
const HIGHEST: Pair = { a: 2 ** 48 - 1, b: 2 ** 48 - 1 }

/** The highest pair that is below this one; `undefined` below the lowest. */
function before({ a, b }: Pair): Pair | undefined {
  if (b > 0) return { a, b: b - 1 }
  return a > 0 ? { a: a - 1, b: HIGHEST.b } : undefined
}

/** Pairs below one, or all, from the highest on as they are stored; for reading alone. */
export function* pairsDown(environment: Environment, prefix: Buffer, below?: Pair): Generator<Pair> {
  let last = below === undefined ? HIGHEST : before(below)
  while (last !== undefined) {
    const { a, b } = last
    const block = environment.lastUpTo(TABLES.pairs, prefix, keyOf(prefix, last))
    if (block === undefined) return
    // One that is damaged is told there, and has none.
    for (const pair of pairsOf(environment.get(TABLES.pairs, block.key) ?? NO_PAIRS).reverse()) {
      if (pair.a < a || (pair.a === a && pair.b <= b)) yield pair
    }
    const [firstA, firstB] = [0, COUNT].map((at) => block.key.readUIntBE(prefix.length + at, COUNT))
    last = before({ a: firstA ?? 0, b: firstB ?? 0 })
  }
}

/** Pairs from `(a, b)` on as they are stored; for reading alone. */
export function* storedPairs(environment: Environment, prefix: Buffer, a = 0, b = 0): Generator<Pair> {
  const from = keyOf(prefix, { a, b })
  const start = environment.lastUpTo(TABLES.pairs, prefix, from)?.key ?? prefix
  for (const { value } of environment.records(TABLES.pairs, under(prefix, start))) {
    const { as, bs } = decode(value)
    for (let at = lowerBound(as, bs, a, b); at < as.length; at++) yield { a: as[at] ?? 0, b: bs[at] ?? 0 }
  }
}
