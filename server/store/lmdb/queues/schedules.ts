/** Schedules: what adds jobs again and again, each due time in one step with its jobs. */

import { RepriseError } from '../../../../shared/errors.ts'
import { encodeBody, readBody, readKnownBody } from '../../codec.ts'
import type {
  DueSchedules,
  Enqueued,
  FireSchedule,
  ListQuery,
  PayloadChange,
  PutSchedule,
  StoredSchedule,
} from '../../contract/store.ts'
import { scheduleChanged, tooManySchedules } from '../../refusals.ts'
import { unguessable } from '../../token.ts'
import type { Changes } from '../engine/changes.ts'
import type { Environment } from '../engine/environment.ts'
import { ALL, dueKey, nameKey, numberKey, partsOfDue, under } from '../engine/keys.ts'
import { TABLES } from '../engine/tables.ts'
import type { Transaction } from '../engine/transaction.ts'
import { enqueue } from './send.ts'
import type { ScheduleRecord } from './storage/records.ts'

export function putSchedule(transaction: Transaction, queueName: string, name: string, given: PutSchedule): string {
  const known = transaction.queue(queueName)
  const before = known && recordOf(transaction, known.record.main.number, name)
  if (before?.version !== given.version) throw scheduleChanged(queueName, name)
  const count = known?.record.schedules ?? 0
  if (before === undefined && count >= given.most) throw tooManySchedules(queueName, given.most)
  transaction.needRoom('a schedule')
  const { record } = known ?? transaction.queueMade(queueName)
  if (before === undefined) record.schedules = count + 1
  const { spec, body, nextAt } = given
  const version = unguessable()
  keep(transaction, record.main.number, before, { queue: queueName, name, version, spec, ...at(nextAt) })
  transaction.put(TABLES.scheduleBodies, scheduleKey(record.main.number, name), encodeBody(body))
  return version
}

export function removeSchedule(transaction: Transaction, queueName: string, name: string): boolean {
  const queue = transaction.queue(queueName)
  if (queue === undefined) return false
  const key = scheduleKey(queue.record.main.number, name)
  const before = transaction.get(TABLES.schedules, key)
  if (before === undefined && !transaction.isDamaged(TABLES.schedules, key)) return false
  if (before?.nextAt !== undefined) transaction.remove(TABLES.scheduleTimes, dueKey(before.nextAt, 0, key))
  transaction.remove(TABLES.schedules, key)
  transaction.remove(TABLES.scheduleBodies, key)
  queue.record.schedules = Math.max(0, (queue.record.schedules ?? 0) - 1)
  return true
}

export function fireSchedule(
  transaction: Transaction,
  queueName: string,
  name: string,
  fire: FireSchedule,
  maxIds: number,
): Enqueued {
  const queue = transaction.queue(queueName)
  const before = queue && recordOf(transaction, queue.record.main.number, name)
  const isDue = before?.nextAt !== undefined && before.nextAt <= transaction.now
  if (queue === undefined || before?.version !== fire.version || !isDue) throw scheduleChanged(queueName, name)
  const { spec, nextAt } = fire
  const enqueued = enqueue(transaction, queueName, fire.enqueue, maxIds)
  const after = { queue: queueName, name, version: unguessable(), spec, ...at(nextAt) }
  keep(transaction, queue.record.main.number, before, after)
  return enqueued
}

/** Writes a record, and its place among those that fall due. */
function keep(changes: Changes, number: number, before: ScheduleRecord | undefined, after: ScheduleRecord): void {
  const key = scheduleKey(number, after.name)
  if (before?.nextAt !== undefined) changes.remove(TABLES.scheduleTimes, dueKey(before.nextAt, 0, key))
  if (after.nextAt !== undefined) changes.put(TABLES.scheduleTimes, dueKey(after.nextAt, 0, key), MARK)
  changes.put(TABLES.schedules, key, after)
}

const MARK = Buffer.of(1)

function at(nextAt: number | undefined): { readonly nextAt?: number } {
  return nextAt === undefined ? {} : { nextAt }
}

function scheduleKey(number: number, name: string): Buffer {
  return Buffer.concat([numberKey(number), Buffer.from(name)])
}

function recordOf(changes: Changes, number: number, name: string): ScheduleRecord | undefined {
  const key = scheduleKey(number, name)
  if (changes.isDamaged(TABLES.schedules, key)) {
    throw new RepriseError('conflict', `the record of the schedule ${name} is damaged: remove it and make it anew`)
  }
  return changes.get(TABLES.schedules, key)
}

export function storedSchedules(environment: Environment, queueName: string, query: ListQuery): StoredSchedule[] {
  const number = environment.get(TABLES.queues, nameKey(queueName))?.main.number
  if (number === undefined) return []
  if ('names' in query) {
    return query.names.flatMap((name) => {
      const key = scheduleKey(number, name)
      const record = environment.get(TABLES.schedules, key)
      return record === undefined ? [] : [told(environment, key, record)]
    })
  }
  const prefix = numberKey(number)
  const start = query.after === undefined ? prefix : Buffer.concat([scheduleKey(number, query.after), Buffer.of(0)])
  const found: StoredSchedule[] = []
  if (query.limit <= 0) return found
  for (const { key, value } of environment.records(TABLES.schedules, under(prefix, start))) {
    found.push(told(environment, key, value))
    if (found.length >= query.limit) break
  }
  return found
}

export function schedulesDue(
  environment: Environment,
  now: number,
  limit: number,
  without: ReadonlySet<string>,
): DueSchedules {
  const due = []
  const end = dueKey(now + 1, 0, Buffer.alloc(0))
  for (const { key: entry } of environment.range(TABLES.scheduleTimes, { start: Buffer.of(0), end })) {
    if (due.length >= limit) break
    const { at, key } = partsOfDue(entry)
    const record = environment.get(TABLES.schedules, key)
    if (record?.nextAt !== at || without.has(record.queue)) continue
    due.push({ queue: record.queue, schedule: told(environment, key, record) })
  }
  const [next] = environment.keys(TABLES.scheduleTimes, { start: end, end: ALL.end, limit: 1 })
  return { now, due, ...(next && { nextAt: partsOfDue(next).at }) }
}

function told(environment: Environment, key: Buffer, { name, version, spec, nextAt }: ScheduleRecord): StoredSchedule {
  const [entry] = environment.range(TABLES.scheduleBodies, { start: key, end: Buffer.concat([key, Buffer.of(0)]) })
  return { name, version, spec, body: entry && readBody(entry.value), ...at(nextAt) }
}

/** Bodies from a name on; `next`: the name where those begin that are left. */
export function rewriteSchedules(
  transaction: Transaction,
  number: number,
  from: string,
  limit: number,
  change: PayloadChange,
): { readonly next?: string; readonly seen: number; readonly changed: number } {
  const prefix = numberKey(number)
  const range = { ...under(prefix, scheduleKey(number, from)), limit: limit + 1 }
  const keys = transaction.environment.keys(TABLES.scheduleBodies, range)
  let changed = 0
  for (const key of keys.slice(0, limit)) {
    const raw = transaction.get(TABLES.scheduleBodies, key)
    const body = raw && readKnownBody(raw)
    const other = body && change.body(body, 'job')
    if (other === undefined) continue
    transaction.put(TABLES.scheduleBodies, key, encodeBody(other))
    changed++
  }
  const next = keys[limit]?.subarray(prefix.length).toString()
  return { ...(next !== undefined && { next }), seen: Math.min(keys.length, limit), changed }
}

/** Places among those that fall due, from the records. */
export function restoreScheduleTimes(transaction: Transaction): void {
  for (const { key, value } of transaction.environment.records(TABLES.schedules, ALL)) {
    if (value.nextAt !== undefined) transaction.put(TABLES.scheduleTimes, dueKey(value.nextAt, 0, key), MARK)
  }
}
