/** What is due by itself, a bounded part at a time: timers of queues, and what is over its time. */

import { FORGET_MS } from '../contract/basics.ts'
import type { Maintained, Store } from '../contract/store.ts'
import { sweepIds } from './dedup/ids.ts'
import { sweepProducer } from './dedup/producers.ts'
import type { Environment } from './engine/environment.ts'
import { DUE } from './engine/expiry.ts'
import { dueKey, partsOfDue } from './engine/keys.ts'
import { TABLES } from './engine/tables.ts'
import type { Transaction } from './engine/transaction.ts'
import type { Writer } from './engine/writer.ts'
import { sweepQueue } from './queues/expiry.ts'
import { baseOf } from './queues/storage/queue.ts'
import { fireTimers } from './queues/timers.ts'
import { sweepCursor } from './topics/cursors.ts'

/** Records looked at in one part, each a unit of work, and what a chunk of ids weighs: its ids lie all over their table. */
const PART = 200
const CHUNK_WORK = 25
const SETTLED_CHUNKS = 64

/** Queues whose timers are fired in one part, each in a step of its own. */
const QUEUES = 100

const NOTHING: Maintained = { ids: 0, producers: 0, cursors: 0, more: false }

export function createMaintenance(writer: Writer): Store['maintain'] {
  let forgotAt = Number.NEGATIVE_INFINITY
  const fire = (policyOf: Parameters<Store['maintain']>[0], name: string) =>
    writer.write((transaction) => {
      const queue = transaction.queue(name)
      if (queue === undefined) return { more: false }
      const more = fireTimers(transaction, queue, policyOf(name))
      const at = queue.jobSet(name).nextDueAt
      return { more, ...(Number.isFinite(at) && { nextAt: Math.max(at, transaction.now) }) }
    })
  return async (policyOf, only) => {
    if (only !== undefined) return { ...NOTHING, ...(await fire(policyOf, only)) }
    const [names, now] = await writer.readWithTime((environment, now) => [overdue(environment, now), now] as const)
    let more = names.length === QUEUES
    let failed: { readonly error: unknown } | undefined
    for (const name of names) {
      try {
        more = (await fire(policyOf, name)).more || more
      } catch (error) {
        failed ??= { error }
      }
    }
    let forgotten = NOTHING
    if (Math.abs(now - forgotAt) >= FORGET_MS) {
      writer.collectAgain()
      forgotten = await writer.write(sweep)
      if (forgotten.more || writer.isCollecting) more = true
      else forgotAt = now
    }
    if (failed !== undefined) throw failed.error
    return { ...forgotten, more }
  }
}

/** Queues with timers that are due, the most overdue ones first. */
function overdue(environment: Environment, now: number): string[] {
  const names = new Set<string>()
  const end = dueKey(now + 1, 0, Buffer.alloc(0))
  for (const { value } of environment.range(TABLES.timers, { start: Buffer.of(0), end })) {
    if (names.size >= QUEUES) break
    names.add(baseOf(value.toString()))
  }
  return [...names]
}

function sweep(transaction: Transaction): Maintained {
  let [ids, producers, cursors] = [0, 0, 0]
  const end = dueKey(transaction.now + 1, 0, Buffer.alloc(0))
  const due = transaction.environment.keys(TABLES.due, { start: Buffer.of(0), end, limit: PART })
  let unfinished = false
  let work = 0
  let looked = 0
  for (const entry of due) {
    // An owner of many ids takes the room of many records.
    if (work >= PART) break
    looked++
    const { at, kind, key } = partsOfDue(entry)
    transaction.remove(TABLES.due, entry)
    work++
    if (kind === DUE.ids) {
      const record = transaction.get(TABLES.idOwners, key)
      if (record?.dueAt === at) {
        const swept = sweepIds(transaction, key, record, Math.max(1, Math.floor((PART - work) / CHUNK_WORK)))
        ids += swept.ids
        unfinished ||= swept.more
        work += swept.chunks * CHUNK_WORK
      }
    } else if (kind === DUE.producer) {
      const record = transaction.get(TABLES.producers, key)
      if (record?.dueAt === at && sweepProducer(transaction, key, record)) producers++
    } else if (kind === DUE.cursor) {
      const record = transaction.get(TABLES.cursors, key)
      if (record?.dueAt === at && sweepCursor(transaction, key, record)) cursors++
    } else if (kind === DUE.note) {
      if (transaction.get(TABLES.notes, key)?.dueAt === at) transaction.remove(TABLES.notes, key)
    } else if (sweepQueue(transaction, kind, at, key)) {
      unfinished = true
      work += SETTLED_CHUNKS
    }
  }
  const more = unfinished || looked < due.length || due.length === PART
  return { ids, producers, cursors, more }
}
