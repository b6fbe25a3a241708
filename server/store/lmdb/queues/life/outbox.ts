/**
 * What happened to the jobs of a queue, from the commit in which it happened until it is moved to the topic of the queue's
 * life. Owns the numbers of the records; who moves them, and where to, is the hub's.
 */

import { encodeBody } from '../../../codec.ts'
import type { Body, LifeKind, LifeRecord } from '../../../contract/store.ts'
import type { ErrandHead } from '../../../life/errands.ts'
import {
  LIFE_MS,
  lifeFull,
  MAX_LIFE,
  MAX_LIFE_BYTES,
  MUCH_LIFE,
  MUCH_LIFE_BYTES,
  packedLife,
  packLife,
} from '../../../life/life.ts'
import { newEpoch } from '../../../token.ts'
import type { Changes } from '../../engine/changes.ts'
import { blockKey } from '../../engine/keys.ts'
import { TABLES } from '../../engine/tables.ts'
import type { QueueRecord } from '../storage/records.ts'

export class Outbox {
  readonly #record: QueueRecord
  readonly #told: Buffer[] = []
  #toldBytes = 0

  constructor(record: QueueRecord) {
    this.#record = record
  }

  /** As the hub's settings say now. What was written before is moved all the same. */
  set isOn(isOn: boolean) {
    if ((this.#record.life?.isOn ?? false) === isOn) return
    this.#record.life = { ...this.#begun(), isOn }
  }

  #begun(): NonNullable<QueueRecord['life']> {
    const { life } = this.#record
    if (life !== undefined) return life
    const generation = newEpoch() + newEpoch()
    return { isOn: false, generation, row: generation, first: 1, next: 1 }
  }

  get waiting(): number {
    const { first = 0, next = 0 } = this.#record.life ?? {}
    return next - first
  }

  /** Of a queue without a life, there is always room. */
  get room(): number {
    return this.#record.life?.isOn === true ? this.left : Number.POSITIVE_INFINITY
  }

  /** The same, whether it has a life or not. */
  get left(): number {
    const { events, bytes } = this.size
    return bytes >= MAX_LIFE_BYTES ? 0 : Math.max(0, MAX_LIFE - events)
  }

  /** What waits, and what this commit adds. */
  get size(): { readonly events: number; readonly bytes: number } {
    const bytes = (this.#record.life?.bytes ?? 0) + this.#toldBytes
    return { events: this.waiting + this.#told.length, bytes }
  }

  get #hasMuch(): boolean {
    const { events, bytes } = this.size
    return events >= MUCH_LIFE || bytes >= MUCH_LIFE_BYTES
  }

  checkRoom(room = this.room): void {
    if (room === 0) throw lifeFull(this.size)
  }

  tell(kind: LifeKind, id: string, more: Omit<LifeRecord, 'kind' | 'id'> = {}): void {
    if (this.#record.life?.isOn !== true) return
    // What comes later says all that it does.
    if (kind === 'progress' && this.#hasMuch) return
    this.#add(packLife({ kind, id, ...more }))
  }

  /** Something for another queue. */
  leave(errand: ErrandHead, body: Body | undefined): void {
    this.#record.life = this.#begun()
    this.#add(packedLife(errand, body === undefined ? Buffer.alloc(0) : encodeBody(body)))
  }

  #add(packed: Buffer): void {
    this.#told.push(packed)
    this.#toldBytes += packed.length
  }

  /** The steps in which a job has failed, its last attempt included. */
  failed(id: string, attempt: number, error: string | undefined, dueAt: number | undefined): void {
    this.tell('failed', id, { attempt, ...(error !== undefined && { error }) })
    if (dueAt !== undefined) this.tell('retrying', id, { attempt, dueAt })
  }

  done(id: string, attempt: number, body: Body | undefined): void {
    this.tell('done', id, { attempt, ...(body !== undefined && { body }) })
  }

  /** Hands over what was told, once at the end of each transaction. */
  complete(changes: Changes, queue: string): void {
    const { life, main } = this.#record
    if (life === undefined || this.#told.length === 0) return
    changes.put(TABLES.life, blockKey(main.number, life.next), Buffer.concat(this.#told))
    if (life.first === life.next) main.lifeAt = changes.now + LIFE_MS
    life.next += this.#told.length
    life.bytes = (life.bytes ?? 0) + this.#toldBytes
    changes.lose(queue, { kind: 'life', jobs: this.#told.length })
    this.#told.length = 0
    this.#toldBytes = 0
  }

  /** Tells again of what waits for too long. */
  fire(changes: Changes, queue: string): void {
    const { main } = this.#record
    if ((main.lifeAt ?? 0) === 0 || (main.lifeAt ?? 0) > changes.now) return
    main.lifeAt = this.waiting > 0 ? changes.now + LIFE_MS : 0
    if (this.waiting > 0) changes.lose(queue, { kind: 'life', jobs: this.waiting })
  }
}
