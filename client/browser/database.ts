/** The database of one client in IndexedDB: its form, what is in it, and one transaction after another for what changes. */

import { type DBSchema, type IDBPDatabase, openDB } from 'idb'
import type { Position } from '../../shared/positions.ts'
import type { DraftKey } from '../outgoing/packet.ts'
import type { Left, PlainDraft } from './stored.ts'

/** Higher where the form changes. A page that finds a higher one leaves it alone. */
const VERSION = 1
/** Another page may be in the way of opening. */
const OPEN_MS = 5_000
/** Positions alone wait for so long, and go together. */
const PAUSE_MS = 50

const STORES = ['positions', 'outbox'] as const

interface Schema extends DBSchema {
  positions: { key: string; value: Position }
  outbox: { key: [number, string, number]; value: PlainDraft }
}

export class Database {
  readonly #db: IDBPDatabase<Schema>
  readonly #failed: (error: unknown) => void
  readonly #moved = new Map<string, Position>()
  readonly #put = new Map<DraftKey, PlainDraft>()
  readonly #deleted = new Set<DraftKey>()
  #strict = false
  #waiters: (() => void)[] = []
  #timer: ReturnType<typeof setTimeout> | undefined
  #writing: Promise<void> | undefined
  #over = false

  /** `failed` is called once, when nothing more can be kept: it is full, was deleted, or a newer program wants it. */
  static async open(name: string, failed: (error: unknown) => void): Promise<{ database: Database } & Left> {
    let database: Database | undefined
    let lost: unknown
    const lose = (text: string) => {
      lost = new Error(text)
      database?.lose(lost)
    }
    const opening = openDB<Schema>(name, VERSION, {
      upgrade(db) {
        for (const store of STORES) db.createObjectStore(store)
      },
      blocking: () => lose('the database is deleted, or a newer version of the SDK wants it'),
      terminated: () => lose('the browser has closed the database'),
    })
    const db = await inTime(opening)
    try {
      const left = await readAll(db)
      if (lost !== undefined) throw lost
      database = new Database(db, failed)
      return { database, ...left }
    } catch (error) {
      // Open, it would be in the way of whoever deletes it.
      db.close()
      throw error
    }
  }

  private constructor(db: IDBPDatabase<Schema>, failed: (error: unknown) => void) {
    this.#db = db
    this.#failed = failed
    addEventListener('pagehide', this.#hurry)
  }

  move(name: string, position: Position): void {
    this.#moved.set(name, position)
    this.#timer ??= setTimeout(() => this.#write(), PAUSE_MS)
  }

  /** Resolves when they are kept, or cannot be. */
  put(drafts: ReadonlyMap<DraftKey, PlainDraft>, strict: boolean): Promise<void> {
    if (this.#over) return Promise.resolve()
    for (const [key, draft] of drafts) this.#put.set(key, draft)
    this.#strict ||= strict
    return new Promise((resolve) => {
      this.#waiters.push(resolve)
      void this.#write()
    })
  }

  delete(key: DraftKey): void {
    // What is not written yet need not be.
    this.#put.delete(key)
    this.#deleted.add(key)
    this.#timer ??= setTimeout(() => this.#write())
  }

  async close(): Promise<void> {
    await this.#write()
    this.#end()
  }

  /** Nothing is kept from now on. What is there is no longer true, so the drafts in it must not be sent by another page. */
  lose(error: unknown): void {
    if (this.#over) return
    try {
      unheard(this.#db.transaction('outbox', 'readwrite'))
        .objectStore('outbox')
        .clear()
        .catch(() => {})
    } catch {
      // It is closed or gone already.
    }
    this.#end()
    this.#failed(error)
  }

  #end(): void {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#timer)
    removeEventListener('pagehide', this.#hurry)
    // Transactions that are under way are finished.
    this.#db.close()
    for (const resolve of this.#waiters.splice(0)) resolve()
  }

  readonly #hurry = (): void => void this.#write()

  /** All that waits as one transaction; what comes meanwhile as the next. */
  async #write(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing
    if (this.#over || this.#moved.size + this.#put.size + this.#deleted.size === 0) return
    this.#writing = this.#commit()
    await this.#writing
  }

  async #commit(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const waiters = this.#waiters.splice(0)
    try {
      const durability = this.#strict ? 'strict' : 'relaxed'
      this.#strict = false
      const tx = unheard(this.#db.transaction(STORES, 'readwrite', { durability }))
      const [positions, outbox] = [tx.objectStore('positions'), tx.objectStore('outbox')]
      const requests: Promise<unknown>[] = [tx.done]
      for (const [name, position] of this.#moved) requests.push(positions.put(position, name))
      for (const [key, draft] of this.#put) requests.push(outbox.put(draft, [...key]))
      for (const key of this.#deleted) requests.push(outbox.delete([...key]))
      this.#moved.clear()
      this.#put.clear()
      this.#deleted.clear()
      tx.commit()
      await Promise.all(requests)
    } catch (error) {
      this.lose(error)
    }
    this.#writing = undefined
    for (const resolve of waiters) resolve()
  }
}

/** Its end need not be waited for: a browser that takes a database away would tell the page of an error that nobody handles. */
function unheard<T extends { readonly done: Promise<unknown> }>(tx: T): T {
  tx.done.catch(() => {})
  return tx
}

async function readAll(db: IDBPDatabase<Schema>): Promise<Left> {
  const tx = unheard(db.transaction(STORES))
  const [places, outbox] = [tx.objectStore('positions'), tx.objectStore('outbox')]
  const [names, positions, keys, values] = await Promise.all([
    places.getAllKeys(),
    places.getAll(),
    outbox.getAllKeys(),
    outbox.getAll(),
  ])
  const known = new Map(names.flatMap((key, i) => (positions[i] === undefined ? [] : [[key, positions[i]] as const])))
  const drafts = keys.flatMap((key, i) => (values[i] === undefined ? [] : [[key, values[i]] as const]))
  return { positions: known, drafts }
}

/** Another page may keep it from being opened; what opens too late is closed again. */
function inTime<T extends { close(): void }>(opening: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    let late = false
    const timer = setTimeout(() => {
      late = true
      reject(new Error('another page is in the way'))
    }, OPEN_MS)
    opening.then(
      (db) => {
        clearTimeout(timer)
        if (late) db.close()
        else resolve(db)
      },
      (error: unknown) => {
        clearTimeout(timer)
        reject(error)
      },
    )
  })
}
