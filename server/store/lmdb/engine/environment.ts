/**
 * The LMDB environment: opened, read, committed to, closed. Owns everything that is peculiar to the driver; knows the
 * tables by name only.
 *
 * Synchronous commits are used (`overlappingSync: false`): LMDB makes a transaction visible only after its data and its
 * meta page are on disk, so what can be read is durable. With overlapping syncs it would be visible before; they were
 * measured to be no faster here.
 */

import { join } from 'node:path'
import { type Database, open, type RootDatabase } from 'lmdb'
import { messageOf } from '../../../../shared/errors.ts'
import type { Damage } from '../../damage.ts'
import { DATA_FILE, syncPath } from './folder.ts'
import { TABLES, type Table } from './tables.ts'

/** The version of what is stored. A store with a newer one is refused. */
export const SCHEMA_VERSION = 2

const BINARY = { encoding: 'binary', keyEncoding: 'binary' } as const

export interface Write {
  readonly table: Table<unknown>
  readonly key: Buffer
  /** `undefined` removes. */
  readonly bytes: Buffer | undefined
}

export interface Range {
  readonly start: Buffer
  readonly end: Buffer
  readonly limit?: number
}

export interface Entry {
  readonly key: Buffer
  readonly value: Buffer
}

/** As the driver tells it; its types say nothing of it. */
interface TreeStats {
  readonly treeDepth: number
  readonly treeBranchPageCount: number
  readonly treeLeafPageCount: number
  readonly overflowPages: number
}

interface FileStats {
  readonly pageSize: number
  readonly lastPageNumber: number
  /** The tables' names, and the pages that may be used again. */
  readonly root: TreeStats
  readonly free: TreeStats
}

const META_PAGES = 2

/** That a commit writes beside its records, about: the list of what is free grows with it. */
const PAGES_OF_COMMIT = 4
/** That the file is made longer by beyond a commit while the disk has little room: what frees goes on where it has none. */
const MARGIN_BYTES = 2 * 1_048_576

function pagesOf({ treeBranchPageCount, treeLeafPageCount, overflowPages }: TreeStats): number {
  return treeBranchPageCount + treeLeafPageCount + overflowPages
}

/** A commit that the disk refused: nothing of it is stored. */
export class CommitFailure extends Error {
  /** Whether it looks like a lack of room. A write that a full disk cut short is reported as an input/output error. */
  readonly full: boolean

  constructor(cause: unknown) {
    const code = typeof cause === 'object' && cause !== null && 'code' in cause ? Number(cause.code) : 0
    const text = messageOf(cause)
    super(text, { cause })
    this.full = [ENOSPC, EFBIG, EDQUOT, EIO, MDB_MAP_FULL].includes(code) || /ENOSPC|EFBIG|MAP_FULL/.test(text)
  }
}

const EIO = 5
const EFBIG = 27
const ENOSPC = 28
const EDQUOT = 122
const MDB_MAP_FULL = -30792

/** The same before the driver was asked: the environment can go on. */
export class NoRoom extends CommitFailure {
  constructor() {
    super(Object.assign(new Error('the disk may have no room for it'), { code: ENOSPC }))
  }
}

export class Environment {
  readonly #root: RootDatabase<Buffer, Buffer>
  readonly #databases = new Map<string, Database<Buffer, Buffer>>()

  readonly damage: Damage
  /** Bytes of the last commit, about, where room was made for it. */
  #lastNeeds = 0

  private constructor(root: RootDatabase<Buffer, Buffer>, damage: Damage) {
    this.#root = root
    this.damage = damage
  }

  /** Opens the files in `folder`, making them if there are none. Opens no table yet, so that nothing is written. */
  static async open(folder: string, damage: Damage): Promise<Environment> {
    const root = open<Buffer, Buffer>({
      path: folder,
      // Without it a folder with a dot in its name is taken for a file.
      noSubdir: false,
      overlappingSync: false,
      // The writer collects calls itself; the driver would let go of the promise that tells of a failed commit.
      eventTurnBatching: false,
      maxDbs: 48,
      ...BINARY,
    })
    const environment = new Environment(root, damage)
    try {
      // What a killed predecessor left in the page cache may be readable without being on disk.
      await syncPath(join(folder, DATA_FILE))
      // Names of new files are on disk only after their folder is.
      await syncPath(folder)
      await syncPath(join(folder, '..'))
    } catch (error) {
      await environment.close()
      throw error
    }
    return environment
  }

  /** The version of what is stored, `undefined` where nothing is. */
  schemaVersion(): number | undefined {
    const { schema } = TABLES
    // The driver knows `create`, its types do not.
    const options = { name: schema.name, create: false, ...BINARY }
    const database: Database<Buffer, Buffer> | undefined = this.#root.openDB<Buffer, Buffer>(options)
    if (database === undefined) return undefined
    this.#databases.set(schema.name, database)
    return this.get(schema, SCHEMA_KEY)
  }

  openTables(): void {
    // Each would be a commit of its own, with its own sync, where it is new.
    const root = this.#root
    root.transactionSync(() => {
      for (const { name } of Object.values(TABLES)) {
        if (!this.#databases.has(name)) this.#databases.set(name, root.openDB<Buffer, Buffer>({ name, ...BINARY }))
      }
    })
  }

  #database(table: { readonly name: string }): Database<Buffer, Buffer> {
    const database = this.#databases.get(table.name)
    if (database === undefined) throw new Error(`the table ${table.name} is not open`)
    return database
  }

  /** `undefined` also of a record that is damaged, which is told. */
  get<T>(table: Table<T>, key: Buffer): T | undefined {
    const bytes = this.#database(table).getBinary(key)
    return bytes === undefined ? undefined : this.#decode(table, key, asBuffer(bytes))
  }

  has<T>(table: Table<T>, key: Buffer): boolean {
    return this.#database(table).doesExist(key)
  }

  isEmpty(...tables: readonly { readonly name: string }[]): boolean {
    return tables.every((table) => this.#database(table).getKeysCount({ limit: 1 }) === 0)
  }

  #decode<T>(table: Table<T>, key: Buffer, bytes: Buffer): T | undefined {
    try {
      return table.decode(bytes)
    } catch {
      this.damage.record(table.name, key)
      return undefined
    }
  }

  /** Records with `start <= key < end`, in order, but for those that are damaged. */
  *records<T>(table: Table<T>, range: Range): Generator<{ readonly key: Buffer; readonly value: T }> {
    for (const { key, value: bytes } of this.range(table, range)) {
      const value = this.#decode(table, key, bytes)
      if (value !== undefined) yield { key, value }
    }
  }

  /** Entries with `start <= key < end`, in order. Values are copies. All that one turn reads is of one moment. */
  *range<T>(table: Table<T>, range: Range): Generator<Entry> {
    for (const { key, value } of this.#database(table).getRange(range)) {
      yield { key: asBuffer(key), value: asBuffer(value) }
    }
  }

  keys<T>(table: Table<T>, range: Range): Buffer[] {
    // The driver notes in it that it was asked for keys.
    return Array.from(this.#database(table).getKeys({ ...range }), asBuffer)
  }

  /** The last entry with `start <= key <= last`. */
  lastUpTo<T>(table: Table<T>, start: Buffer, last: Buffer): Entry | undefined {
    for (const { key, value } of this.#database(table).getRange({ start: last, reverse: true, limit: 1 })) {
      const found = asBuffer(key)
      return Buffer.compare(found, start) < 0 ? undefined : { key: found, value: asBuffer(value) }
    }
    return undefined
  }

  /** What the file could take without growing: the pages that are of no table, and what is behind them. */
  freeBytes(length: number): number {
    const { root, free, pageSize, lastPageNumber } = this.#root.getStats() as FileStats
    const behind = Math.max(0, length - (lastPageNumber + 1) * pageSize)
    const tables = [...this.#databases.values()].map((database) => database.getStats() as TreeStats)
    const used = [root, free, ...tables].reduce((sum, tree) => sum + pagesOf(tree), META_PAGES)
    return Math.max(0, lastPageNumber + 1 - used) * pageSize + behind
  }

  /** Throws where the driver could meet the end of the disk: it writes over memory that is not its own then. */
  #makeRoom(writes: readonly Write[], growTo: (bytes: number) => number): void {
    const { root, free, pageSize, lastPageNumber } = this.#root.getStats() as FileStats
    const tables = new Map<string, { puts: number; bytes: number }>()
    for (const { table, bytes } of writes) {
      const known = tables.get(table.name) ?? { puts: 0, bytes: 0 }
      if (bytes !== undefined) known.puts++
      known.bytes += bytes?.length ?? 0
      tables.set(table.name, known)
    }
    let pages = PAGES_OF_COMMIT + root.treeDepth + free.treeDepth
    for (const [name, { puts, bytes }] of tables) {
      const tree = this.#database({ name }).getStats() as TreeStats
      const ways = Math.min((puts + 1) * tree.treeDepth, tree.treeBranchPageCount + tree.treeLeafPageCount)
      pages += ways + Math.ceil(bytes / pageSize)
    }
    const needs = pages * pageSize
    const end = (lastPageNumber + 1) * pageSize
    const length = growTo(end + needs + MARGIN_BYTES)
    // What the last commit freed may not be used yet: about as much as it wrote.
    if (length < end + needs && this.freeBytes(length) - this.#lastNeeds < needs) throw new NoRoom()
    this.#lastNeeds = needs
  }

  /** Applies all writes in one transaction; resolves when it is on disk. Rejects with a `CommitFailure`. */
  async commit(writes: readonly Write[], growTo?: (bytes: number) => number): Promise<void> {
    if (writes.length === 0) return
    if (growTo !== undefined) this.#makeRoom(writes, growTo)
    try {
      await this.#root.batch(() => {
        for (const { table, key, bytes } of writes) {
          const database = this.#database(table)
          const done = bytes === undefined ? database.remove(key) : database.put(key, bytes)
          // The batch tells of the failure; each write's own promise would tell it again to nobody.
          done.catch(() => {})
        }
      })
    } catch (error) {
      throw new CommitFailure(await causeOf(error))
    }
  }

  async close(): Promise<void> {
    await this.#root.close()
  }
}

export const SCHEMA_KEY = Buffer.from('version')

async function causeOf(error: unknown): Promise<unknown> {
  const told = error as { readonly commitError?: Promise<unknown> }
  if (told.commitError === undefined) return error
  return told.commitError.then(
    () => error,
    (cause: unknown) => cause,
  )
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
