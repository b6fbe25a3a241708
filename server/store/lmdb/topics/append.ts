/** The step that adds drafts to a topic: all checks first, then everything that is written. */

import { type SizedBody, sizeBody } from '../../codec.ts'
import type { Append, Appended } from '../../contract/store.ts'
import { duplicatesOf, forgottenOf } from '../../duplicates.ts'
import { Ids } from '../dedup/ids.ts'
import { Producer } from '../dedup/producers.ts'
import type { Transaction } from '../engine/transaction.ts'

export function append(transaction: Transaction, topic: string, append: Append, maxIds: number): Appended {
  if (append.drafts.length > 0) transaction.needRoom('more events')
  const work = transaction.topic(topic)
  const { subject, drafts, producer } = append
  const before = work.record
  const known = before && producer ? new Producer(transaction, before.number, subject, producer.name) : undefined
  const repeated =
    producer === undefined
      ? []
      : (known ?? new Producer(transaction, UNBORN, subject, producer.name)).duplicates(
          producer.seq,
          drafts.length,
          'offset',
        )
  const remembered =
    before && drafts.some(({ id }) => id !== undefined)
      ? new Ids(transaction, before.number, subject, maxIds)
      : undefined

  const offsets = [...repeated]
  const fresh: { readonly id: string; readonly offset: number }[] = []
  const inThisCall = new Map<string, number>()
  const duplicatesAt = repeated.map((_, i) => i)
  const added: SizedBody[] = []
  const head = before?.head ?? 0
  for (const { body, id } of drafts.slice(repeated.length)) {
    const earlier = id === undefined ? undefined : (inThisCall.get(id) ?? remembered?.offsetOf(id))
    if (earlier !== undefined) {
      duplicatesAt.push(offsets.length)
      offsets.push(earlier)
      continue
    }
    added.push(sizeBody(body))
    const offset = head + added.length
    offsets.push(offset)
    if (id !== undefined) {
      inThisCall.set(id, offset)
      fresh.push({ id, offset })
    }
  }

  // A call of duplicates alone begins nothing.
  if (added.length > 0) work.add(added)
  const { record } = work
  let forgotten = 0
  if (record !== undefined) {
    if (fresh.length > 0) forgotten = new Ids(transaction, record.number, subject, maxIds).remember(fresh)
    if (producer !== undefined) {
      const own = known ?? new Producer(transaction, record.number, subject, producer.name)
      own.take(producer.seq, offsets)
    }
    work.trim(append.retain, added.length > 0)
  }
  return { epoch: work.epoch, offsets, ...duplicatesOf(duplicatesAt), ...forgottenOf(forgotten), durability: 'fsync' }
}

/** No topic has this number. */
const UNBORN = 0
