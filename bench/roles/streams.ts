/** The raw limit of the other store: a stream of Redis without a hub, one entry an event, pipelined. */

import { Redis } from 'ioredis'
import { serveCalls } from '../role.ts'
import { keepOutstanding, loadOf } from '../scenes/load.ts'

const KEY = 'raw'

let redis: Redis | undefined

const calls = {
  async open({ url }: { url: string }): Promise<void> {
    redis = new Redis(url)
    await redis.ping()
  },

  /** Adds `count` entries, in pipelines of `together`, so many events outstanding. Answers how long it took. */
  async add({
    count,
    outstanding,
    together,
  }: {
    count: number
    outstanding: number
    together: number
  }): Promise<number> {
    const client = redis
    if (client === undefined) throw new Error('not connected')
    // The same bytes for all: making them is not what is measured.
    const value = JSON.stringify({ data: loadOf(count) })
    const started = performance.now()
    await keepOutstanding(Math.ceil(count / together), Math.max(1, Math.floor(outstanding / together)), async () => {
      const pipeline = client.pipeline()
      for (let i = 0; i < together; i++) pipeline.xadd(KEY, '*', 'e', value)
      for (const [error] of (await pipeline.exec()) ?? []) if (error !== null) throw error
    })
    return performance.now() - started
  },
}

export type StreamsCalls = typeof calls

serveCalls(calls)
