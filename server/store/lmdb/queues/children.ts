/** Jobs that wait for others: what they wait for, and what has become of that. */

import { encodeBody, readBody, readKnownBody, sizeBody } from '../../codec.ts'
import type { Body, Child, ChildState, EndedChild, ParentPlace, PayloadChange } from '../../contract/store.ts'
import { countKey, numberKey, under } from '../engine/keys.ts'
import { TABLES } from '../engine/tables.ts'
import type { Transaction } from '../engine/transaction.ts'
import type { JobSet } from './storage/jobSet.ts'
import type { Job } from './storage/jobs.ts'
import type { Queue } from './storage/queue.ts'
import type { ChildRecord, FamilyPlace } from './storage/records.ts'

/** The error of a parent that fails with its child. */
export function childFailed({ id, state, queue }: Pick<Child, 'id' | 'state' | 'queue'>): string {
  const child = queue === undefined ? id : `${id} of the queue ${queue}`
  return state === 'dead' ? `its child ${child} is dead` : `its child ${child} was removed`
}

/** In the place of a result. Redis has the same words. */
export const NO_ROOM = 'its result is left out: those of all children are together larger than their parent may get'

/** In the place of what became of a child whose record is gone. */
export const LOST = 'damaged'

/** A parent that has to go to the dead letters because of its child. */
export interface Failing {
  readonly parent: Job
  /** Why it fails. */
  readonly error: string
}

/** Its ids first, then of each child what became of it. */
function childKey(number: number, as: number, at = -1): Buffer {
  return countKey(countKey(numberKey(number), as), at + 1)
}

/** The ids of the children, as they came, and which of them are of other queues. */
export function keepChildren(
  transaction: Transaction,
  { main }: Queue,
  as: number,
  ids: readonly string[],
  queues: Readonly<Record<number, string>>,
): void {
  const elsewhere = Object.keys(queues).length > 0 && { queues }
  transaction.put(TABLES.children, childKey(main.counters.number, as), { ids, ...elsewhere })
}

/** In words for another queue. */
export function wordsOf({ id, as, at }: FamilyPlace): ParentPlace {
  return { id, place: `${as} ${at}` }
}

function placeIn({ id, place }: ParentPlace): FamilyPlace {
  const [as = 0, at = 0] = place.split(' ').map(Number)
  return { id, as, at }
}

/** The same, of a child in the queue `queue`. */
export function placeAt(queue: string, parent: ParentPlace): FamilyPlace {
  return { queue, ...placeIn(parent) }
}

/** The child has ended: its parent gets what became of it. Answers the parent where that has to fail. */
export function childEnded(
  transaction: Transaction,
  queue: Queue,
  { id, parent: place }: Pick<Job, 'id' | 'parent'>,
  state: ChildState,
  told: { readonly result?: Body | undefined; readonly error?: string | undefined } = {},
): Failing | undefined {
  if (place === undefined) return undefined
  const { result, error } = told
  const child = { id, state, ...(error !== undefined && { error }) }
  if (place.queue === undefined) return childTold(transaction, queue, place, { ...child, ...(result && { result }) })
  queue.life.leave({ errand: 'ended', to: place.queue, parent: wordsOf(place), child }, result)
  return undefined
}

/** The same of a child in another queue, which its errand has told of. */
export function endedElsewhere(
  transaction: Transaction,
  queue: Queue,
  { parent, child }: EndedChild,
): Failing | undefined {
  return childTold(transaction, queue, placeIn(parent), child)
}

function childTold(transaction: Transaction, queue: Queue, place: FamilyPlace, child: Child): Failing | undefined {
  const { main, dead } = queue
  const { state, result } = child
  const inMain = main.find(transaction, place.id)
  const parent = inMain ?? dead.find(transaction, place.id)
  const children = parent?.children
  const key = childKey(main.counters.number, place.as, place.at)
  // What was told first counts.
  if (parent === undefined || children?.as !== place.as || transaction.get(TABLES.children, key)) return undefined
  const size = result === undefined ? 0 : sizeBody(result).bytes
  const fits = children.bytes + size <= children.most
  const error = fits ? child.error : NO_ROOM
  transaction.put(TABLES.children, key, {
    state,
    ...(child.queue !== undefined && { id: child.id }),
    ...(result !== undefined && fits && { result: encodeBody(result).toString('base64') }),
    ...(error !== undefined && { error }),
  })
  const jobSet = inMain === undefined ? dead : main
  jobSet.touch(parent)
  parent.children = { ...children, open: Math.max(0, children.open - 1), bytes: children.bytes + (fits ? size : 0) }
  if (parent.state !== 'waiting') return undefined
  if (state !== 'done' && children.onDead === 'fail') return { parent, error: childFailed(child) }
  if (parent.children.open === 0) fallDue(transaction, main, parent)
  return undefined
}

/** Its children have ended. */
function fallDue({ now }: Transaction, jobSet: JobSet, parent: Job): void {
  jobSet.change(parent, () => {
    if (parent.dueAt > now) {
      parent.state = 'delayed'
      return
    }
    parent.dueAt = now
    parent.state = 'ready'
    jobSet.sequence(parent)
  })
}

/** What is known of the children of a job that is delivered. */
export function childrenOf(transaction: Transaction, { main }: Queue, { children }: Job): Child[] {
  if (children === undefined) return []
  const recordAt = (at: number): ChildRecord | undefined =>
    transaction.get(TABLES.children, childKey(main.counters.number, children.as, at))
  const list = recordAt(-1)
  if (list === undefined || !('ids' in list)) return []
  return list.ids.map((known, at) => {
    const record = recordAt(at)
    const elsewhere = list.queues?.[at]
    const where = elsewhere !== undefined && { queue: elsewhere }
    if (record === undefined || 'ids' in record) return { ...where, id: known, state: 'open' }
    const { state, id = known, result, error } = record
    const body = result === undefined ? undefined : readBody(Buffer.from(result, 'base64'))
    return { ...where, id, state, ...(body !== undefined && { result: body }), ...(error !== undefined && { error }) }
  })
}

/** The job is gone, and with it what it knew of its children. */
export function forgetChildren(transaction: Transaction, { main }: Queue, { children }: Job): void {
  if (children === undefined) return
  for (let at = -1; at < children.count; at++) {
    transaction.remove(TABLES.children, childKey(main.counters.number, children.as, at))
  }
}

/** Children of parents that wait, without a word of their end, that are not there. */
export function lostChildren(transaction: Transaction, { main, dead }: Queue): Pick<Job, 'id' | 'parent'>[] {
  const lost: Pick<Job, 'id' | 'parent'>[] = []
  for (const jobs of main.chunks()) {
    for (const { id, state, children } of jobs) {
      if (state !== 'waiting' || children === undefined) continue
      const { as, count } = children
      const recordAt = (at: number) => transaction.get(TABLES.children, childKey(main.counters.number, as, at))
      const list = recordAt(-1)
      for (let at = 0; at < count; at++) {
        if (list !== undefined && 'ids' in list && list.queues?.[at] !== undefined) continue
        const child = list !== undefined && 'ids' in list ? (list.ids[at] ?? '') : ''
        const isThere = main.find(transaction, child) ?? dead.find(transaction, child)
        if (recordAt(at) === undefined && isThere === undefined) lost.push({ id: child, parent: { id, as, at } })
      }
    }
  }
  return lost
}

/** Results and errors in other bytes: so many records behind a key, and the last one of them where there are more. */
export function rewriteChildren(
  transaction: Transaction,
  { main }: Queue,
  behind: Buffer | undefined,
  limit: number,
  most: number,
  change: PayloadChange,
): { readonly next?: Buffer; readonly seen: number; readonly changed: number } {
  const prefix = numberKey(main.counters.number)
  const start = behind === undefined ? prefix : Buffer.concat([behind, Buffer.of(0)])
  let [seen, changed, bytes] = [0, 0, 0]
  const range = { ...under(prefix, start), limit: limit + 1 }
  let last = start
  for (const { key, value } of transaction.environment.records(TABLES.children, range)) {
    if (seen === limit || bytes > most) return { next: last, seen: 0, changed }
    last = key
    seen++
    const stands = transaction.get(TABLES.children, key)
    if (stands === undefined || 'ids' in value || 'ids' in stands) continue
    bytes += value.result?.length ?? 0
    const body = value.result === undefined ? undefined : readKnownBody(Buffer.from(value.result, 'base64'))
    const result = body && change.body(body, 'reply')
    const error = value.error === undefined ? undefined : change.text(value.error)
    if (result === undefined && error === undefined) continue
    transaction.put(TABLES.children, key, {
      ...value,
      ...(result !== undefined && { result: encodeBody(result).toString('base64') }),
      ...(error !== undefined && { error }),
    })
    changed++
  }
  return { seen: 0, changed }
}
