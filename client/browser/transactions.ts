/**
 * Handles events in transactions of the program's own database: what the handler writes commits together with the position,
 * or neither does. So the position there is the truth, and the hub's cursor follows it.
 */

import { RepriseError } from '../../shared/errors.ts'
import type { Position } from '../../shared/positions.ts'
import type { From } from '../../shared/protocol.ts'
import type { Received, TransactionalDatabase, TransactionOptions } from '../api.ts'
import { isPromiseLike } from '../runner.ts'
import { loadStorage } from './parts.ts'
import type { Place } from './persistence.ts'
import type { StorageScope } from './stored.ts'

/** The SDK's own store in the program's database. Keys are the names of subscriptions, values their positions. */
const STORE = 'reprise'

/** What is used of a transaction: of the browser's own, and of those that `idb` makes. */
interface Transaction {
  readonly error?: unknown
  readonly done?: Promise<unknown>
  objectStore(name: string): { get(key: string): unknown; put(value: unknown, key: string): unknown }
  addEventListener(event: string, listener: () => void): void
  abort(): void
}

export interface Preparing {
  readonly objectStoreNames: { contains(name: string): boolean }
  createObjectStore(name: string): unknown
}

/** Makes the store in which subscriptions with `transaction` keep their positions. To be called in `onupgradeneeded`. */
export function prepareDatabase(db: Preparing): void {
  if (!db.objectStoreNames.contains(STORE)) db.createObjectStore(STORE)
}

export class Transactions implements Place {
  readonly #db: TransactionalDatabase<unknown>
  readonly #stores: string[]
  readonly #scope: StorageScope
  readonly #subscription: string
  #name: string | undefined
  #kept: Position | undefined
  /** Where the first handshake asks to begin. */
  #claim: From | undefined

  /** Throws `bad_request` for what is no database, and for stores that it does not have. */
  constructor(transaction: TransactionOptions<unknown>['transaction'], scope: StorageScope, subscription: string) {
    const { db, stores } = 'db' in transaction ? transaction : { db: transaction, stores: undefined }
    const known = db?.objectStoreNames
    if (known === undefined) throw unfit('transaction is a database of IndexedDB, or { db, stores }')
    if (!known.contains(STORE)) {
      throw unfit(
        `the database has no store ${STORE}: call prepareDatabase(db) in onupgradeneeded, with a higher version`,
      )
    }
    const missing = stores?.find((name) => !known.contains(name))
    if (missing !== undefined) throw unfit(`the database has no store ${missing}`)
    this.#db = db
    this.#stores = [...new Set([...(stores ?? Array.from(known)), STORE])]
    this.#scope = scope
    this.#subscription = subscription
  }

  /** `undefined` when it is known where to begin. */
  prepare(token: string | undefined): Promise<void> | undefined {
    return this.#name === undefined ? this.#prepare(token) : undefined
  }

  async #prepare(token: string | undefined): Promise<void> {
    try {
      const { storageName } = await loadStorage()
      const name = `${await storageName(this.#scope, token)} ${this.#subscription}`
      const asked = this.#begin([STORE], 'readonly').objectStore(STORE).get(name)
      this.#kept = (await answerOf(asked)) as Position | undefined
      this.#name = name
    } catch (cause) {
      if (cause instanceof RepriseError) throw cause
      throw new RepriseError('unavailable', 'the database cannot be read', { cause })
    }
  }

  start(from: From | undefined): From | undefined {
    this.#claim = this.#kept ?? from
    return this.#claim
  }

  /** Where to read instead, when the hub's cursor is not where the database is. Asked once. */
  instead({ epoch, offset }: Position): From | undefined {
    const claim = this.#claim
    this.#claim = undefined
    if (this.#scope.client === undefined || claim === undefined || claim === 'cursor') return undefined
    const agrees = typeof claim === 'object' && 'epoch' in claim && claim.epoch === epoch && claim.offset === offset
    return agrees ? undefined : claim
  }

  /** A gap has no handler: it moves by itself. */
  move(position: Position): void {
    const kept = this.#kept
    if (this.#name === undefined || (kept?.epoch === position.epoch && kept.offset === position.offset)) return
    try {
      const tx = this.#begin([STORE], 'readwrite')
      this.#put(tx, position)
      commitOf(tx).catch(() => {})
    } catch {
      // Whatever is wrong with the database, the next event tells.
    }
  }

  /** The handler of a subscription. It resolves when all has committed. */
  around<T>(handler: (event: Received<T>, tx: never) => unknown): (event: Received<T>) => Promise<void> {
    return (event) => {
      const position = { epoch: event.epoch, offset: event.offset }
      const tx = this.#begin(this.#stores, 'readwrite')
      const committed = commitOf(tx)
      const undo = (error: unknown): never => {
        committed.catch(() => {})
        try {
          tx.abort()
        } catch {
          // It has ended already.
        }
        throw error
      }
      const finish = () => {
        this.#put(tx, position)
        return committed.then(() => {
          this.#kept = position
        })
      }
      try {
        const result = handler(event, tx as never)
        return isPromiseLike(result) ? Promise.resolve(result).then(finish).catch(undo) : finish().catch(undo)
      } catch (error) {
        return undo(error)
      }
    }
  }

  #begin(stores: string[], mode: 'readonly' | 'readwrite'): Transaction {
    return this.#db.transaction(stores, mode) as Transaction
  }

  #put(tx: Transaction, position: Position): void {
    try {
      const put = tx.objectStore(STORE).put(position, this.#name ?? '')
      // The transaction tells.
      if (isPromiseLike(put)) put.then(undefined, () => {})
    } catch (cause) {
      const text = 'the transaction has ended before the handler: it may await nothing but requests of its transaction'
      throw new RepriseError('bad_request', text, { cause })
    }
  }
}

function commitOf(tx: Transaction): Promise<void> {
  tx.done?.catch(() => {})
  return new Promise((resolve, reject) => {
    tx.addEventListener('complete', resolve)
    tx.addEventListener('abort', () => reject(tx.error ?? new Error('the transaction was aborted')))
  })
}

/** The answer to a request, of the browser's own or a promise. */
function answerOf(request: unknown): Promise<unknown> {
  if (isPromiseLike(request)) return Promise.resolve(request)
  const own = request as IDBRequest
  return new Promise((resolve, reject) => {
    own.onsuccess = () => resolve(own.result)
    own.onerror = () => reject(own.error)
  })
}

function unfit(text: string): RepriseError {
  return new RepriseError('bad_request', text)
}
