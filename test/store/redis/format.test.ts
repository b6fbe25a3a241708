/** Stores of other versions of the format. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openRedis, type RedisStore } from '../../../server/store/redis/store.ts'
import { type RedisServer, startRedis } from '../../support/redis/redis.ts'
import { has } from '../../support/tools.ts'
import { infoOf, trim } from '../conformance/calls.ts'
import { ALL, dataOf, KEEP, publish } from '../conformance/fixture.ts'

const TAG = 'reprise:{t:t}:'

describe.runIf(has('redis-server'))('the format of the Redis store', () => {
  let server: RedisServer
  let store: RedisStore

  /** A topic with five events as the version before has it: each in an entry of the stream `log`. */
  beforeEach(async () => {
    server = await startRedis()
    const before = await openRedis(server.url)
    for (const data of [1, 2, 3, 4, 5]) await publish(before, 't', data)
    await before.close()
    await server.cli('rename', `${TAG}blocks`, `${TAG}log`)
    await server.cli('hdel', `${TAG}meta`, 'blocks')
    await server.cli('hset', 'reprise:store', 'schema', '1')
    store = await openRedis(server.url)
  })

  afterEach(async () => {
    await store.close()
    await server.kill()
  })

  test('a topic of the version before is read, and left to its nodes until something is added', async () => {
    expect(await server.cli('hget', 'reprise:store', 'schema')).toBe('2')
    const { epoch } = await store.topics.read('t', 0, ALL)
    await trim(store.topics, 't', { ...KEEP, events: 3 })
    await store.cursors.open('t', { subject: 'ann', client: 'phone' }, 'start')
    expect(await dataOf(store, 't')).toEqual([3, 4, 5])
    expect(await server.cli('xlen', `${TAG}log`)).toBe('5')
    expect(await publish(store, 't', 6, 7, 8)).toMatchObject({ epoch, offsets: [6, 7, 8] })
    expect(await dataOf(store, 't')).toEqual([3, 4, 5, 6, 7, 8])
    expect(await dataOf(store, 't', 6)).toEqual([7, 8])
    // What the scripts of that version begin with.
    expect(await server.cli('xlen', `${TAG}log`)).toContain('WRONGTYPE')
    await trim(store.topics, 't', { ...KEEP, events: 2 })
    expect(await infoOf(store.topics, 't')).toMatchObject({ first: 7, head: 8, events: 2 })
    expect(await dataOf(store, 't')).toEqual([7, 8])
    expect(await store.topics.drop('t')).toBe(true)
    expect(await server.cli('exists', `${TAG}log`, `${TAG}blocks`)).toBe('0')
  })

  test('an entry has at most 128 events and 16 KiB, or a single larger one', async () => {
    const sizes = `local sizes = {}
      for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do
        sizes[#sizes + 1] = (entry[2][3] or 1) .. ':' .. #entry[2][2]
      end
      return table.concat(sizes, ' ')`
    const entries = async (topic: string) =>
      (await server.cli('eval', sizes, '1', `reprise:{t:${topic}}:blocks`))
        .trim()
        .split(' ')
        .map((size) => size.split(':').map(Number) as [count: number, bytes: number])
    const counts = async (topic: string) => (await entries(topic)).map(([count]) => count)

    await publish(store, 'one', ...Array(300).keys())
    expect(await counts('one')).toEqual([128, 128, 44])
    // What waits together is one step. Calls of several subjects are not joined before they reach the script.
    const calls = Array.from({ length: 10 }, (_, call) =>
      store.topics.append('many', {
        subject: `ann-${call}`,
        drafts: Array.from({ length: 50 }, (_, i) => ({ body: { json: `{"data":${i}}` } })),
        retain: KEEP,
      }),
    )
    await Promise.all(calls)
    const many = await counts('many')
    expect(many.reduce((sum, count) => sum + count)).toBe(500)
    expect(Math.max(...many)).toBe(100)
    const texts = [3000, 3000, 3000, 3000, 3000, 3000, 40_000, 10].map((size) => 'x'.repeat(size))
    await publish(store, 'large', ...texts)
    expect(await counts('large')).toEqual([5, 1, 1, 1])
    expect((await entries('large'))[0]?.[1]).toBeLessThanOrEqual(16_384)
    expect(await dataOf(store, 'large')).toEqual(texts)
  })

  test('one whose record was lost goes on under an epoch of its own', async () => {
    const { epoch } = await store.topics.read('t', 0, ALL)
    await server.cli('del', `${TAG}meta`)
    expect((await publish(store, 't', 6, 7)).epoch).not.toBe(epoch)
    expect(await dataOf(store, 't')).toEqual([1, 2, 3, 4, 5, 6, 7])
  })
})
