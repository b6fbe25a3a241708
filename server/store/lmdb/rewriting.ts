/** The contract's `rewrite` over LMDB: blocks of events, chunks of jobs, of finished ones, answers and life are put in their own places. */

import type { PayloadChange, Rewritten, Store } from '../contract/store.ts'
import { blockKey, countOf } from './engine/keys.ts'
import { TABLES } from './engine/tables.ts'
import type { Transaction } from './engine/transaction.ts'
import type { Writer } from './engine/writer.ts'
import { rewriteChildren } from './queues/children.ts'
import { rewriteFinished } from './queues/finished.ts'
import { rewriteLife } from './queues/life/step.ts'
import { rewriteAnswers } from './queues/requests.ts'
import { rewriteSchedules } from './queues/schedules.ts'
import type { JobSet } from './queues/storage/jobSet.ts'
import { chunkOfJob } from './queues/storage/jobs.ts'
import { rewriteChunk } from './queues/storage/payloads/rewriting.ts'
import { readHeader, rewriteBlock } from './topics/blocks.ts'

/** What one call does at most; other calls of its commit wait for it. */
const PART_BYTES = 131_072
const BLOCKS = 64
const CHUNKS = 16
const ANSWERS = 256
const SCHEDULES = 16
const LIFE = 64
const CHILDREN = 64

/** Where a queue's part goes on: its jobs, its dead letters, finished jobs, its answers, its schedules, what is known of children, its life. */
const PARTS = ['m', 'd', 'f', 'a', 's', 'c', 'l'] as const

export function createRewriting(writer: Writer): Store['rewrite'] {
  return (place, from, change) =>
    writer.write((transaction) => {
      transaction.needRoom('payloads in another form')
      return 'topic' in place
        ? rewriteTopic(transaction, place.topic, from, change)
        : rewriteQueue(transaction, place.queue, from, change)
    })
}

function rewriteTopic(transaction: Transaction, topic: string, from: string, change: PayloadChange): Rewritten {
  const { record } = transaction.topic(topic)
  if (record === undefined) return { seen: 0, changed: 0 }
  const { number, tail, head } = record
  const start = blockKey(number, Math.max(tail, Number(from) || 0))
  const range = { start, end: blockKey(number, head + 1), limit: BLOCKS + 1 }
  let [seen, changed, bytes, blocks] = [0, 0, 0, 0]
  for (const { key, value } of transaction.environment.range(TABLES.blocks, range)) {
    if (blocks === BLOCKS || bytes > PART_BYTES) return { next: String(countOf(key)), seen, changed }
    blocks++
    bytes += value.length
    const header = readHeader(number, countOf(key), value)
    if (header === undefined) continue
    seen += header.count
    const other = rewriteBlock(number, value, header, change)
    if (other === undefined) continue
    changed += other.changed
    transaction.put(TABLES.blocks, key, other.block)
  }
  return { seen, changed }
}

function rewriteQueue(transaction: Transaction, name: string, from: string, change: PayloadChange): Rewritten {
  const queue = transaction.queue(name)
  if (queue === undefined) return { seen: 0, changed: 0 }
  const part = PARTS.find((one) => from.startsWith(one)) ?? 'm'
  if (part === 'a') {
    const key = from === 'a' ? undefined : Buffer.from(from.slice(1), 'hex')
    const { next, ...done } = rewriteAnswers(transaction, queue.record.main.number, key, ANSWERS, change)
    return { ...done, next: next === undefined ? 's' : `a${next.toString('hex')}` }
  }
  if (part === 's') {
    const { number } = queue.record.main
    const { next, ...done } = rewriteSchedules(transaction, number, from.slice(1), SCHEDULES, change)
    return { ...done, next: next === undefined ? 'c' : `s${next}` }
  }
  if (part === 'c') {
    const key = from === 'c' ? undefined : Buffer.from(from.slice(1), 'hex')
    const { next, ...done } = rewriteChildren(transaction, queue, key, CHILDREN, PART_BYTES, change)
    return { ...done, next: next === undefined ? 'l' : `c${next.toString('hex')}` }
  }
  if (part === 'l') {
    const { next, ...done } = rewriteLife(transaction, queue, Number(from.slice(1)) || 0, LIFE, PART_BYTES, change)
    return { ...done, ...(next !== undefined && { next: `l${next}` }) }
  }
  const jobSet = part === 'd' ? queue.dead : queue.main
  const table = part === 'f' ? TABLES.finished : TABLES.jobs
  const { chunk, ...done } = rewriteChunks(transaction, jobSet, table, Number(from.slice(1)) || 0, (number) =>
    part === 'f'
      ? rewriteFinished(transaction, queue, number, change)
      : rewriteChunk(transaction, jobSet, number, change),
  )
  return { ...done, next: chunk === undefined ? (PARTS[PARTS.indexOf(part) + 1] ?? 'a') : `${part}${chunk}` }
}

function rewriteChunks(
  transaction: Transaction,
  { counters: { number, lastJob } }: JobSet,
  table: typeof TABLES.jobs | typeof TABLES.finished,
  from: number,
  rewrite: (chunk: number) => { readonly seen: number; readonly changed: number; readonly bytes: number },
) {
  const range = { start: blockKey(number, from), end: blockKey(number, chunkOfJob(lastJob) + 1), limit: CHUNKS + 1 }
  let [seen, changed, bytes, chunks] = [0, 0, 0, 0]
  for (const chunk of transaction.environment.keys(table, range).map(countOf)) {
    if (chunks === CHUNKS || bytes > PART_BYTES) return { chunk, seen, changed }
    chunks++
    const done = rewrite(chunk)
    seen += done.seen
    changed += done.changed
    bytes += done.bytes
  }
  return { chunk: undefined, seen, changed }
}
