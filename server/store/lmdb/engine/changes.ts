/**
 * What one commit changes, by records, and whom it tells. Owns the view of the store that the calls of one commit share:
 * each sees what those before it have planned. Nothing reaches the store before `writes()` is committed, so all of it can
 * be thrown away.
 */

import { RepriseError } from '../../../../shared/errors.ts'
import type { JobLoss, Notification, QueueNotification } from '../../contract/store.ts'
import type { Environment, Write } from './environment.ts'
import { TABLES, type Table } from './tables.ts'

interface Change {
  readonly table: Table<unknown>
  readonly key: Buffer
  readonly value: unknown
}

export interface ChangesContext {
  /** The store's clock, read once for all calls of the commit. */
  readonly now: number
  /** This opening of the store: continuity with what an earlier one wrote is not certain. */
  readonly opening: string
  readonly hasRoom: boolean
}

export class Changes {
  readonly environment: Environment
  readonly now: number
  readonly opening: string
  /** Whether anything planned by the call at hand needs room. */
  protected usedRoom = false
  readonly #hasRoom: boolean
  readonly #changes = new Map<string, Map<string, Change>>()
  readonly #notifications: { readonly topic: string; readonly notification: Notification }[] = []
  readonly #queueNotifications: { readonly queue: string; readonly notification: QueueNotification }[] = []
  readonly #losses = new Map<string, { readonly queue: string; loss: JobLoss }>()

  constructor(environment: Environment, given: ChangesContext) {
    this.environment = environment
    this.now = given.now
    this.opening = given.opening
    this.#hasRoom = given.hasRoom
  }

  /** Whether the commit leaves work for the garbage collector. */
  get leftGarbage(): boolean {
    return this.#changes.has(TABLES.garbage.name)
  }

  /** Called before anything is planned that makes the store grow. */
  needRoom(what: string): void {
    if (!this.#hasRoom) throw new RepriseError('storage_full', `the store's disk is full: there is no room for ${what}`)
    this.usedRoom = true
  }

  get<T>(table: Table<T>, key: Buffer): T | undefined {
    const change = this.#changes.get(table.name)?.get(key.toString('latin1'))
    return change === undefined ? this.environment.get(table, key) : (change.value as T | undefined)
  }

  /** A record is there and cannot be read. */
  isDamaged<T>(table: Table<T>, key: Buffer): boolean {
    const isChanged = this.#changes.get(table.name)?.has(key.toString('latin1')) === true
    return !isChanged && this.environment.has(table, key) && this.environment.get(table, key) === undefined
  }

  put<T>(table: Table<T>, key: Buffer, value: T): void {
    this.#change(table as Table<unknown>, key, value)
  }

  remove<T>(table: Table<T>, key: Buffer): void {
    this.#change(table as Table<unknown>, key, undefined)
  }

  #change(table: Table<unknown>, key: Buffer, value: unknown): void {
    let changes = this.#changes.get(table.name)
    if (changes === undefined) {
      changes = new Map()
      this.#changes.set(table.name, changes)
    }
    changes.set(key.toString('latin1'), { table, key, value })
  }

  /** Told to the topic's listeners when the commit is durable. */
  notify(topic: string, notification: Notification): void {
    this.#notifications.push({ topic, notification })
  }

  get notifications(): readonly { readonly topic: string; readonly notification: Notification }[] {
    return this.#notifications
  }

  notifyQueue(queue: string, notification: QueueNotification): void {
    this.#queueNotifications.push({ queue, notification })
  }

  get queueNotifications(): readonly { readonly queue: string; readonly notification: QueueNotification }[] {
    return this.#queueNotifications
  }

  /** Told to who opened the store, likewise, counted: one loss for each queue and cause. */
  lose(queue: string, loss: JobLoss): void {
    const cause = causeOf(loss)
    const key = `${queue}\n${loss.kind}\n${cause}`
    const known = this.#losses.get(key)
    if (known === undefined) this.#losses.set(key, { queue, loss })
    else known.loss = { ...loss, jobs: known.loss.jobs + loss.jobs }
  }

  get losses(): Iterable<{ readonly queue: string; readonly loss: JobLoss }> {
    return this.#losses.values()
  }

  writes(): Write[] {
    const writes: Write[] = []
    for (const changes of this.#changes.values()) {
      for (const { table, key, value } of changes.values()) {
        writes.push({ table, key, bytes: value === undefined ? undefined : table.encode(value) })
      }
    }
    return writes
  }
}

function causeOf(loss: JobLoss): string {
  if (loss.kind === 'tripped' || loss.kind === 'life') return ''
  return loss.kind === 'dead' ? loss.reason : `${loss.consumer.subject}\n${loss.consumer.client}`
}
