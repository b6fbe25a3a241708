/** The contract's cursors over LMDB: sessions, fenced commits, expiry. */

import { comparePlaces, lagOf, type Position, placeIn } from '../../../../shared/positions.ts'
import type { Bounds, CursorInfo, CursorStart, Cursors, OpenedCursor, Owner } from '../../contract/store.ts'
import { ownerOf } from '../../owners.ts'
import { beyondEnd, noCursor, otherSession, staleEpoch, takenOver } from '../../refusals.ts'
import { storeRecord } from '../engine/epochs.ts'
import { CURSOR_MS, DUE, fallDue, NOTE_MS } from '../engine/expiry.ts'
import { cursorKey, under } from '../engine/keys.ts'
import { type CursorRecord, type NoteRecord, STORE_KEY, TABLES } from '../engine/tables.ts'
import type { Transaction } from '../engine/transaction.ts'
import type { Writer } from '../engine/writer.ts'
import { storedBounds } from './topics.ts'

export function createCursors(writer: Writer): Cursors {
  return {
    open: async (topic, owner, start, since) => {
      const key = cursorKey(topic, owner)
      const begin = (transaction: Transaction): OpenedCursor => {
        const { session = 0 } = transaction.get(TABLES.cursors, key) ?? {}
        if (since !== undefined && session !== since) throw otherSession()
        return beginSession(transaction, topic, owner, key, start)
      }
      return writer.write(begin, { cursor: nameOf(key) })
    },

    session: async (topic, owner) => {
      const key = cursorKey(topic, owner)
      return writer.read((environment) => environment.get(TABLES.cursors, key)?.session ?? 0)
    },

    commit: async (topic, owner, session, position) => {
      const key = cursorKey(topic, owner)
      const cursor = nameOf(key)
      const ack = { key: `${session} ${cursor} ${position.epoch}`, offset: position.offset }
      const move = (transaction: Transaction): Position => moveCursor(transaction, topic, key, session, position)
      return writer.write(move, { cursor, ack })
    },

    list: async (topic, { after, limit, behind }) => {
      const prefix = cursorKey(topic)
      const start = after === undefined ? prefix : Buffer.concat([cursorKey(topic, after), Buffer.of(0)])
      return writer.readWithTime((environment, now) => {
        const bounds = storedBounds(environment, topic)
        const cursors: CursorInfo[] = []
        for (const { key, value: record } of environment.records(TABLES.cursors, under(prefix, start))) {
          if (cursors.length >= limit) break
          if (isOver(record, now)) continue
          const lag = lagOf(bounds, record)
          if (behind !== undefined && lag < behind) continue
          const { epoch, offset, session, usedAt } = record
          cursors.push({ ...ownerOf(key.subarray(prefix.length)), position: { epoch, offset }, session, usedAt, lag })
        }
        return cursors
      })
    },

    forget: async (topic, owner) => {
      const key = cursorKey(topic, owner)
      const remove = (transaction: Transaction): boolean => {
        const known = knownCursor(transaction, key)
        if (known === undefined) return false
        transaction.remove(TABLES.cursors, key)
        return true
      }
      return writer.write(remove, { cursor: nameOf(key) })
    },
  }
}

function nameOf(key: Buffer): string {
  return key.toString('latin1')
}

function isOver({ usedAt }: CursorRecord, now: number): boolean {
  return now - usedAt >= CURSOR_MS
}

function knownCursor(transaction: Transaction, key: Buffer): CursorRecord | undefined {
  const record = transaction.get(TABLES.cursors, key)
  return record === undefined || isOver(record, transaction.now) ? undefined : record
}

function startPosition({ epoch, first, head }: Bounds, start: Exclude<CursorStart, { place: Position }>): Position {
  if (start === 'end') return { epoch, offset: head }
  if (start === 'start') return { epoch, offset: first - 1 }
  return { epoch: start.epoch, offset: start.offset }
}

function beginSession(
  transaction: Transaction,
  topic: string,
  owner: Owner,
  key: Buffer,
  start: CursorStart,
): OpenedCursor {
  const isPlaced = typeof start === 'object' && 'place' in start
  if (isPlaced) checkPosition(transaction.topic(topic).bounds(), start.place)
  const stored = transaction.get(TABLES.cursors, key)
  const known = knownCursor(transaction, key)
  if (known === undefined) transaction.needRoom('a new cursor')
  const bounds = transaction.topic(topic).bounds()
  const position = isPlaced ? start.place : known === undefined ? startPosition(bounds, start) : known
  const { epoch, offset } = position

  const store = storeRecord(transaction)
  const session = Math.max(store.lastSession, stored?.session ?? 0) + 1
  transaction.put(TABLES.store, STORE_KEY, { ...store, lastSession: session })
  const note = transaction.get(TABLES.notes, key)
  if (note !== undefined) transaction.remove(TABLES.notes, key)
  // One that is over its time and not swept yet has expired all the same, as has one that cannot be read.
  const isKnown = stored !== undefined || transaction.isDamaged(TABLES.cursors, key)
  const expired = known === undefined && (isKnown || (note !== undefined && transaction.now < note.dueAt))
  putCursor(transaction, key, stored, position, session)
  transaction.notify(topic, { kind: 'session', owner, session })
  return { ...bounds, position: { epoch, offset }, session, created: known === undefined, expired }
}

function checkPosition(bounds: Bounds, position: Position): void {
  const place = placeIn(bounds, position)
  if (place === undefined) throw staleEpoch(position)
  if (position.offset > place.end) throw beyondEnd(position, place.end)
}

function moveCursor(
  transaction: Transaction,
  topic: string,
  key: Buffer,
  session: number,
  position: Position,
): Position {
  const stored = transaction.get(TABLES.cursors, key)
  const known = knownCursor(transaction, key)
  // Above the known ones it is a session that the store forgot, and maybe its cursor with it: both are remembered again.
  const isForgotten = session > (known?.session ?? storeRecord(transaction).lastSession)
  if (known === undefined && !isForgotten) throw noCursor()
  if (known !== undefined && session < known.session) throw takenOver()
  const bounds = transaction.topic(topic).bounds()
  checkPosition(bounds, position)
  if (known === undefined) transaction.needRoom('a new cursor')
  const { epoch, offset } = known === undefined || isFurther(bounds, position, known) ? position : known
  putCursor(transaction, key, stored, { epoch, offset }, session)
  return { epoch, offset }
}

function putCursor(
  transaction: Transaction,
  key: Buffer,
  stored: CursorRecord | undefined,
  { epoch, offset }: Position,
  session: number,
): void {
  const dueAt = stored?.dueAt ?? transaction.now + CURSOR_MS
  if (stored === undefined) fallDue(transaction, dueAt, DUE.cursor, key)
  transaction.put(TABLES.cursors, key, { epoch, offset, session, usedAt: transaction.now, dueAt })
}

function isFurther(bounds: Bounds, position: Position, than: Position): boolean {
  const place = placeIn(bounds, position)
  const known = placeIn(bounds, than)
  return place !== undefined && (known === undefined || comparePlaces(place, known) > 0)
}

/** Turns a cursor that is over its time into a note; answers whether it was. */
export function sweepCursor(transaction: Transaction, key: Buffer, record: CursorRecord): boolean {
  const dueAt = record.usedAt + CURSOR_MS
  if (dueAt <= transaction.now) {
    transaction.remove(TABLES.cursors, key)
    const note: NoteRecord = { dueAt: dueAt + NOTE_MS }
    transaction.put(TABLES.notes, key, note)
    fallDue(transaction, note.dueAt, DUE.note, key)
    return true
  }
  transaction.put(TABLES.cursors, key, { ...record, dueAt })
  fallDue(transaction, dueAt, DUE.cursor, key)
  return false
}
