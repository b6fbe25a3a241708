/** The ids of jobs: how a job gets its own, and how its sender is known by it until it is removed. */

import { hash } from 'node:crypto'
import type { Enqueue } from '../../../contract/store.ts'
import { Ids } from '../../dedup/ids.ts'
import type { Transaction } from '../../engine/transaction.ts'
import { forgetRequest, isAnswered } from '../requests.ts'
import type { Job } from './jobs.ts'
import type { Queue } from './queue.ts'

/** How a job got its id, for those who have to find it again by its number: `number * 4 + how`. */
export const NAMED = { byStore: 0, byDraft: 1, numbered: 2 } as const

export function howNamed(named: string, id: string): number {
  if (named === id) return NAMED.byDraft
  return named.startsWith(`${id}~`) ? NAMED.numbered : NAMED.byStore
}

/** Neighbours take theirs from one hash, the last one of which is kept. */
const IDS_A_HASH = 6
const ID_DIGITS = 20
const hashed = { secret: '', block: -1, text: '' }

/** Numbered drafts are found again by the number of their job alone, so their ids follow from it. */
export function newId({ record }: Queue, n: number, { producer }: Enqueue, token: string): string {
  return producer === undefined ? `${n.toString(36)}-${token}` : secretId(record.secret, n)
}

function secretId(secret: string, n: number): string {
  const sequence = n % IDS_A_HASH
  const block = (n - sequence) / IDS_A_HASH
  if (hashed.secret !== secret || hashed.block !== block) {
    Object.assign(hashed, { secret, block, text: hash('sha512', `${secret} ${block}`, 'hex') })
  }
  return `${n.toString(36)}-${hashed.text.slice(sequence * ID_DIGITS, (sequence + 1) * ID_DIGITS)}`
}

export function idOf(queue: Queue, found: number, given = ''): string {
  const n = Math.floor(found / 4)
  const how = found % 4
  if (how === NAMED.byDraft) return given
  if (how === NAMED.numbered) return `${given}~${n}`
  return secretId(queue.record.secret, n)
}

export function freeId(
  transaction: Transaction,
  { record, main, dead }: Queue,
  id: string,
  n: number,
  taken: Set<string>,
): string {
  const isTaken = (candidate: string): boolean =>
    taken.has(candidate) ||
    main.find(transaction, candidate) !== undefined ||
    dead.find(transaction, candidate) !== undefined ||
    isAnswered(transaction, record.main.number, candidate)
  if (!isTaken(id)) return id
  return isTaken(`${id}~${n}`) ? secretId(record.secret, n) : `${id}~${n}`
}

/** The job is removed: what its sender gives this id to next is a new one. */
export function forgetId(transaction: Transaction, queue: Queue, { id, sentAs, subject }: Job): void {
  const { number } = queue.record.main
  const given = sentAs ?? id
  const ids = new Ids(transaction, number, subject, Number.POSITIVE_INFINITY)
  const found = ids.offsetOf(given)
  // The id may have been given to another job since.
  if (found !== undefined && idOf(queue, found, given) === id) ids.forget(given)
  forgetRequest(transaction, number, subject, given, id)
}
