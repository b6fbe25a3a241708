/**
 * The data file page by page, as the database lays it out. Owns the check of what its trees are made of: the database
 * believes every byte of them, and one that is wrong ends the process or makes it write over what is whole. What values
 * say is not looked at: they have checksums of their own.
 */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

const MAGIC = 0xbeefc0de
const DATA_VERSION = 2
/** Places in a meta page, in the order of this machine's bytes: all that Node runs on have the low one first. */
const META = {
  flags: 18,
  magic: 24,
  version: 28,
  pageSize: 48,
  free: 48,
  main: 96,
  last: 144,
  transaction: 152,
} as const
const META_BYTES = 160
const NO_PAGE = 0xffff_ffff_ffff_ffffn
/** What is kept of a tree: its depth, its number of entries, its root. */
const TREE = { depth: 6, entries: 32, root: 40, bytes: 48 } as const
const HEADER = 24
const NODE = 8
const PAGE_SIZES = [4096, 8192, 16_384, 32_768, 65_536]
const FLAG = { branch: 1, leaf: 2, overflow: 4, meta: 8, kinds: 0x6f } as const
const VALUE = { inline: 0, overflow: 1, tree: 2 } as const

export interface Tree {
  /** Page of its root; `undefined` where it is empty. */
  readonly root: number | undefined
  readonly depth: number
}

export interface Meta {
  readonly pageSize: number
  readonly lastPage: number
  readonly transaction: bigint
  readonly free: Tree
  readonly main: Tree
}

/** One record of a tree, or the way to a page below. */
export class Node {
  readonly #file: PageFile
  readonly #page: Buffer
  readonly #keyAt: number
  readonly #at: number
  readonly #size: number
  readonly kind: number

  constructor(file: PageFile, page: Buffer, at: number) {
    this.#file = file
    this.#page = page
    this.#size = page.readUInt32LE(at)
    this.kind = page.readUInt16LE(at + 4)
    this.#keyAt = at + NODE
    this.#at = this.#keyAt + page.readUInt16LE(at + 6)
  }

  get key(): Buffer {
    return this.#page.subarray(this.#keyAt, this.#at)
  }

  /** The page that it leads to; in a branch, what is the kind elsewhere is a part of it. */
  get child(): number {
    return this.#size + this.kind * 2 ** 32
  }

  get overflow(): { readonly page: number; readonly size: number } | undefined {
    if (this.kind !== VALUE.overflow) return undefined
    return { page: Number(this.#page.readBigUInt64LE(this.#at)), size: this.#size }
  }

  value(): Buffer {
    const { overflow } = this
    return overflow === undefined
      ? this.#page.subarray(this.#at, this.#at + this.#size)
      : this.#file.valueAt(overflow.page, overflow.size)
  }
}

/** A page of a tree whose parts were found to fit. */
class Page {
  readonly #file: PageFile
  readonly bytes: Buffer
  readonly count: number

  constructor(file: PageFile, bytes: Buffer) {
    this.#file = file
    this.bytes = bytes
    this.count = bytes.readUInt16LE(20) >> 1
  }

  node(i: number): Node {
    return new Node(this.#file, this.bytes, this.bytes.readUInt16LE(HEADER + 2 * i) + HEADER)
  }

  get nodes(): Node[] {
    return Array.from({ length: this.count }, (_, i) => this.node(i))
  }
}

/** The records of a page, as far as they are whole. */
export interface Leaf {
  nodes(): Node[]
}

/** Told of each page that is damaged. */
export type Lost = (isBranch: boolean) => void

/** How a tree is sorted: by the bytes of its keys, or by the numbers that they are. */
export type Order = 'bytes' | 'numbers'

interface Bounds {
  readonly from?: Buffer | undefined
  readonly to?: Buffer | undefined
}

/** The file ends before a page that is needed. */
class CutOff extends Error {}

export class PageFile {
  readonly #handle: number
  readonly size: number
  readonly meta: Meta
  /** Pages of trees and values that were met. */
  readonly seen: Uint8Array
  /** When to stop looking at trees, by `performance.now()`; what was not looked at by then counts as whole. */
  until = Number.POSITIVE_INFINITY

  constructor(handle: number, size: number, meta: Meta) {
    this.#handle = handle
    this.size = size
    this.meta = meta
    this.seen = new Uint8Array(meta.lastPage + 1)
  }

  #read(page: number, bytes: number, skip = 0): Buffer {
    const { pageSize } = this.meta
    const at = page * pageSize + skip
    if (at + bytes > this.size) throw this.#cutOff()
    const buffer = Buffer.allocUnsafe(bytes)
    readSync(this.#handle, buffer, 0, bytes, at)
    return buffer
  }

  #cutOff(): CutOff {
    const needs = (this.meta.lastPage + 1) * this.meta.pageSize
    return new CutOff(`data.mdb was cut off: it has ${this.size} bytes, its meta page names ${needs}`)
  }

  /** Throws where a page that is in use lies beyond the file's end. */
  checkEnd(isFree: Uint8Array): void {
    const { pageSize, lastPage } = this.meta
    for (let page = Math.floor(this.size / pageSize); page <= lastPage; page++) {
      if (isFree[page] !== 1) throw this.#cutOff()
    }
  }

  #meets(page: number, count = 1): boolean {
    if (page < 2 || !(page + count - 1 <= this.meta.lastPage)) return false
    for (let one = page; one < page + count; one++) {
      if (this.seen[one] === 1) return false
      this.seen[one] = 1
    }
    return true
  }

  /** All records of a tree in their order, leaf by leaf; what hangs from a damaged page is left out. */
  *leaves({ root, depth }: Tree, order: Order, lost: Lost, bounds: Bounds = {}): Generator<Leaf> {
    if (root === undefined || performance.now() > this.until) return
    const isBranch = depth > 1
    const page = this.#meets(root) ? this.#page(root, isBranch, order, bounds) : undefined
    if (page === undefined) {
      lost(isBranch)
    } else if (isBranch) {
      const { nodes } = page
      for (const [i, node] of nodes.entries()) {
        const below = { from: i === 0 ? bounds.from : node.key, to: nodes[i + 1]?.key ?? bounds.to }
        yield* this.leaves({ root: node.child, depth: depth - 1 }, order, lost, below)
      }
    } else {
      const missing = this.#missingIn(page, lost)
      yield { nodes: () => (missing.size === 0 ? page.nodes : page.nodes.filter((_, i) => !missing.has(i))) }
    }
  }

  /** Nodes whose value is damaged. */
  #missingIn(page: Page, lost: Lost): Set<number> {
    const missing = new Set<number>()
    for (let i = 0; i < page.count; i++) {
      const start = page.bytes.readUInt16LE(HEADER + 2 * i) + HEADER
      if (page.bytes.readUInt16LE(start + 4) !== VALUE.overflow || this.#hasValue(page.node(i))) continue
      missing.add(i)
      lost(false)
    }
    return missing
  }

  #hasValue({ overflow }: Node): boolean {
    if (overflow === undefined) return true
    const pages = Math.floor((HEADER - 1 + overflow.size) / this.meta.pageSize) + 1
    return this.#meets(overflow.page, pages) && this.#isOverflow(overflow.page, pages)
  }

  valueAt(page: number, size: number): Buffer {
    return this.#read(page, size, HEADER)
  }

  #isOverflow(page: number, pages: number): boolean {
    const header = this.#read(page, HEADER)
    // The last page has to be there, too.
    this.#read(page + pages - 1, 1)
    const isIt = (header.readUInt16LE(META.flags) & FLAG.kinds) === FLAG.overflow
    return isIt && header.readUInt32LE(20) === pages && header.readBigUInt64LE(0) === BigInt(page)
  }

  /** `undefined` where the page is not what it has to be, its parts do not fit, or its keys are not in their order. */
  #page(number: number, isBranch: boolean, order: Order, { from, to }: Bounds): Page | undefined {
    const { pageSize } = this.meta
    const bytes = this.#read(number, pageSize)
    const kind = isBranch ? FLAG.branch : FLAG.leaf
    const isKind = (bytes.readUInt16LE(META.flags) & FLAG.kinds) === kind
    if (!isKind || bytes.readUInt32LE(0) !== number % 2 ** 32) return undefined
    const lower = bytes.readUInt16LE(20)
    const upper = bytes.readUInt16LE(22)
    const count = lower >> 1
    if (lower % 2 === 1 || upper > pageSize - HEADER || lower > upper || count < (isBranch ? 2 : 1)) return undefined
    let before = from
    let [beforeAt, beforeEnd] = [0, from?.length ?? 0]
    for (let i = 0; i < count; i++) {
      const start = bytes.readUInt16LE(HEADER + 2 * i) + HEADER
      const keyAt = start + NODE
      if (start < upper + HEADER || keyAt > pageSize) return undefined
      const end = keyAt + bytes.readUInt16LE(start + 6)
      const flags = bytes.readUInt16LE(start + 4)
      const holds = isBranch ? 0 : flags === VALUE.overflow ? 8 : bytes.readUInt32LE(start)
      if (end + holds > pageSize || (!isBranch && flags > VALUE.tree)) return undefined
      // The first key of a branch says nothing: what is below it begins where the branch itself does.
      if (isBranch && i === 0) continue
      const isFirst = before === from
      if (before !== undefined) {
        const way = compare(order, before, beforeAt, beforeEnd, bytes, keyAt, end)
        if (way > 0 || (way === 0 && !isFirst)) return undefined
      }
      before = bytes
      beforeAt = keyAt
      beforeEnd = end
    }
    const fits =
      to === undefined || before === undefined || compare(order, before, beforeAt, beforeEnd, to, 0, to.length) < 0
    return fits ? new Page(this, bytes) : undefined
  }

  /** Records of leaves that no tree leads to any more, because a page above them is damaged. `isFree`: given up long ago. */
  *stranded(isFree: (page: number) => boolean): Generator<Leaf> {
    for (let page = 2; page <= this.meta.lastPage; page++) {
      if (this.seen[page] === 1 || isFree(page)) continue
      const head = this.#read(page, HEADER)
      const isLeaf =
        (head.readUInt16LE(META.flags) & FLAG.kinds) === FLAG.leaf && head.readUInt32LE(0) === page % 2 ** 32
      if (isLeaf) yield* this.leaves({ root: page, depth: 1 }, 'bytes', () => {})
    }
  }
}

function compare(order: Order, a: Buffer, aAt: number, aEnd: number, b: Buffer, bAt: number, bEnd: number): number {
  if (order === 'numbers') {
    if (aEnd - aAt !== 8 || bEnd - bAt !== 8) return 1
    const difference = a.readBigUInt64LE(aAt) - b.readBigUInt64LE(bAt)
    return difference < 0n ? -1 : difference > 0n ? 1 : 0
  }
  // Keys are short and differ late: faster than a call for each.
  const length = Math.min(aEnd - aAt, bEnd - bAt)
  for (let i = 0; i < length; i++) {
    const way = (a[aAt + i] ?? 0) - (b[bAt + i] ?? 0)
    if (way !== 0) return way
  }
  return aEnd - aAt - (bEnd - bAt)
}

export function treeAt(bytes: Buffer, at: number): Tree {
  const root = bytes.readBigUInt64LE(at + TREE.root)
  return { root: root === NO_PAGE ? undefined : Number(root), depth: bytes.readUInt16LE(at + TREE.depth) }
}

export function isTree(node: Node): boolean {
  return node.kind === VALUE.tree && node.value().length === TREE.bytes
}

/** The whole meta pages of the file, the newest first. Throws a sentence about a file that has none. */
export function metasOf(handle: number, size: number): Meta[] {
  const found = metaPagesOf(handle, size)
  const metas = found.filter((one) => typeof one === 'object')
  const [{ pageSize } = { pageSize: 0 }] = metas
  if (size < 2 * pageSize) throw new CutOff(`data.mdb was cut off: it has ${size} bytes, less than its first two pages`)
  if (metas.length > 0) return metas.sort((a, b) => (a.transaction > b.transaction ? -1 : 1))
  if (found.includes('foreign')) throw new Error('data.mdb is of another version of the database')
  throw new Error('data.mdb is not a file of the store, or its beginning was overwritten')
}

function metaPagesOf(handle: number, size: number): (Meta | 'foreign' | undefined)[] {
  const metaAt = (place: number): Meta | 'foreign' | undefined => {
    if (place + META_BYTES > size) return undefined
    const bytes = Buffer.alloc(META_BYTES)
    readSync(handle, bytes, 0, META_BYTES, place)
    if (bytes.readUInt32LE(META.magic) !== MAGIC) return undefined
    if ((bytes.readUInt32LE(META.version) & 0xffff) !== DATA_VERSION) return 'foreign'
    const pageSize = bytes.readUInt32LE(META.pageSize)
    const lastPage = bytes.readBigUInt64LE(META.last)
    const isWhole = (bytes.readUInt16LE(META.flags) & FLAG.meta) !== 0 && PAGE_SIZES.includes(pageSize)
    if (!isWhole || lastPage > 2n ** 40n || (place !== 0 && place !== pageSize)) return undefined
    const transaction = bytes.readBigUInt64LE(META.transaction)
    return {
      ...{ pageSize, transaction, lastPage: Number(lastPage) },
      free: treeAt(bytes, META.free),
      main: treeAt(bytes, META.main),
    }
  }
  const first = metaAt(0)
  const sizes = typeof first === 'object' ? [first.pageSize] : PAGE_SIZES
  return [first, ...sizes.map(metaAt)]
}

/** Whether a first start ended before its first sync: nothing was ever kept, and any part of the first pages may be missing. */
export function isUnused(path: string): boolean {
  const handle = openSync(path, 'r')
  try {
    const { size } = fstatSync(handle)
    const metas = metaPagesOf(handle, size).filter((one) => typeof one === 'object')
    return metas.length > 0 && metas.every(({ transaction, pageSize }) => transaction === 0n && size <= 2 * pageSize)
  } finally {
    closeSync(handle)
  }
}
