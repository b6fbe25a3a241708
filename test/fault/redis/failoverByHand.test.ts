/** A replica is made the master by hand, beside or in place of the old one: what was told before stays true. */

import { describe, expect, it } from 'vitest'
import { openRedis } from '../../../server/store/redis/store.ts'
import { cutOff, judge, readLog, ready, startLoad } from '../../support/books/failover.ts'
import { startRedis } from '../../support/redis/redis.ts'
import { reached } from '../../support/redis/sentinel.ts'
import { has } from '../../support/tools.ts'
import { until } from '../../support/until.ts'

const KEEP = { events: 1_000, bytes: 1e9, ageMs: Number.POSITIVE_INFINITY }

describe.runIf(has('redis-server'))('a replica that takes over by hand', () => {
  it('leaves the old master, when it is master again, in an epoch of its own, also where the new one never wrote', async () => {
    const one = await startRedis()
    const two = await startRedis({ replicaof: `127.0.0.1 ${one.port}` })
    const store = await openRedis(one.url)
    const append = async (data: unknown) => {
      const drafts = [{ body: { json: JSON.stringify({ data }) } }]
      return await store.topics.append('idle', { subject: 's', drafts, retain: KEEP })
    }
    try {
      await append('kept')
      await until(async () => (await reached(one, 1)) === 1)
      await cutOff(one)
      const { epoch, offsets } = await append('lost')
      await two.cli('replicaof', 'no', 'one')
      await one.cli('replicaof', '127.0.0.1', String(two.port))
      await until(async () => /master_link_status:up/.test(await one.cli('info', 'replication')))
      expect((await store.topics.read('idle', 0, { events: 10, bytes: 1e6 })).head).toBe(1)
      await one.cli('replicaof', 'no', 'one')
      const next = await until(() => append('another').catch(() => undefined))
      expect(next.offsets).toEqual(offsets)
      expect(next.epoch).not.toBe(epoch)
    } finally {
      await store.close()
    }
  })

  it('never disagrees with the old master that goes on beside it', async () => {
    const one = await startRedis()
    const two = await startRedis({ replicaof: `127.0.0.1 ${one.port}` })
    const { claims, readers, feeders, urls } = await startLoad([one.url], 'orders')
    await until(async () => (await reached(one, 1)) === 1)
    await two.cli('replicaof', 'no', 'one')
    const other = await startLoad([two.url, two.url], 'orders', claims)
    const [aside] = feeders
    await Promise.all([...feeders, ...other.feeders].map((feeder) => feeder.goesOn()))
    const told = aside?.acknowledged.size ?? 0
    await one.cli('replicaof', '127.0.0.1', String(two.port))
    await until(() => readers[0]?.losses.length, { what: 'the reader at the old master to be told' })
    aside?.abandon()
    await Promise.all(other.feeders.map((feeder) => feeder.stop()))
    const all = [...readers, ...other.readers]
    const { unkept } = await judge(two.url, 'orders', claims, all, [...feeders, ...other.feeders])
    expect(unkept.length).toBeGreaterThan(20)
    expect(told).toBeGreaterThan(unkept.length - 30)
    for (const { losses } of other.readers) expect(losses).toEqual([])
    await until(async () => !(await ready(urls[0] ?? '')), { what: 'the hub at the replica to be red' })
    await one.cli('replicaof', 'no', 'one')
  })

  it('has everything that was named as replicated', async () => {
    const one = await startRedis()
    const two = await startRedis({ replicaof: `127.0.0.1 ${one.port}` })
    await until(async () => (await reached(one, 1)) === 1)
    const store = await openRedis(`${one.url}?replicas=1`)
    const kept = new Map<number, string>()
    const rows = [0, 1, 2].map(async (row) => {
      for (let i = 0; ; i++) {
        const data = `${row} ${i}`
        const drafts = [{ body: { json: JSON.stringify({ data }) } }]
        const { offsets, durability } = await store.topics.append('orders', { subject: 's', drafts, retain: KEEP })
        if (durability === 'replicated:1') kept.set(offsets[0] ?? 0, data)
      }
    })
    const ended = Promise.allSettled(rows)
    await until(() => kept.size > 200)
    await one.kill()
    await two.cli('replicaof', 'no', 'one')
    const { events } = await readLog(two.url, 'orders')
    for (const [offset, data] of kept) expect(events.get(offset)).toBe(data)
    void store.close()
    await ended
  })
})
