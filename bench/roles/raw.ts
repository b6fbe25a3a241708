/** The raw limit: lmdb without a hub, one record an event, as durable as the hub's. */

import { type Database, open, type RootDatabase } from 'lmdb'
import { serveCalls } from '../role.ts'
import { loadOf } from '../scenes/load.ts'
import { percentile } from '../series.ts'

type Db = Database<Buffer, number>

let root: RootDatabase<Buffer, number> | undefined
let next = 1

function record(n: number): Buffer {
  return Buffer.from(JSON.stringify({ data: loadOf(n) }))
}

const calls = {
  open({ folder }: { folder: string }): void {
    root = open<Buffer, number>({ path: folder, noSubdir: false, encoding: 'binary', keyEncoding: 'uint32' })
  },

  /** Puts `count` records, committed and flushed `together` at a time, two groups under way. Answers how long it took. */
  async write({ count, together }: { count: number; together: number }): Promise<number> {
    const db = database()
    // The same bytes for all: making them is not what is measured.
    const value = record(count)
    const started = performance.now()
    let before: Promise<unknown> = Promise.resolve()
    for (let done = 0; done < count; done += together) {
      for (let i = 0; i < together; i++) {
        void db.put(next, value)
        next += 1
      }
      const flushed = db.flushed
      await before
      before = flushed
    }
    await before
    return performance.now() - started
  },

  /** One record after the other, each flushed: the median of how long one takes, in ms. */
  async oneAtATime({ count }: { count: number }): Promise<number> {
    const db = database()
    const value = record(0)
    const took: number[] = []
    for (let i = 0; i < count; i++) {
      const started = performance.now()
      void db.put(next, value)
      await db.flushed
      next += 1
      took.push(performance.now() - started)
    }
    return percentile(took, 50)
  },

  async fill({ count }: { count: number }): Promise<void> {
    const db = database()
    for (let n = 1; n <= count; n++) {
      void db.put(n, record(n))
      if (n % 10_000 === 0) await db.flushed
    }
    await db.flushed
  },

  /** Reads and parses all records in their order. Answers how long it took. */
  read({ count }: { count: number }): number {
    const started = performance.now()
    let last = 0
    for (const { key, value } of database().getRange()) {
      const { data } = JSON.parse(value.toString()) as { data: { n: number } }
      if (key !== last + 1 || data.n !== key) throw new Error(`record ${last} was followed by ${key}`)
      last = key
    }
    if (last !== count) throw new Error(`${last} records instead of ${count}`)
    return performance.now() - started
  },
}

function database(): Db {
  if (root === undefined) throw new Error('no store is open')
  return root
}

export type RawCalls = typeof calls

serveCalls(calls)
