/** What may happen to a Redis, and what the store then says and keeps. On real servers, without a clock of the test's. */

import { readdir, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, test } from 'vitest'
import { sizeBody } from '../../../server/store/codec.ts'
import type { Notification } from '../../../server/store/contract/store.ts'
import { openStore } from '../../../server/store/open.ts'
import { openRedis, type RedisContext, type RedisStore } from '../../../server/store/redis/store.ts'
import { endOfEpoch } from '../../../shared/positions.ts'
import { atEnd } from '../../support/ending.ts'
import { startRelay } from '../../support/network/relay.ts'
import { type RedisServer, startRedis } from '../../support/redis/redis.ts'
import { until } from '../../support/until.ts'
import { infoOf, trim } from '../conformance/calls.ts'
import { ALL, dataOf, drafts, KEEP, plain, publish, text } from '../conformance/fixture.ts'
import { ALWAYS } from './fixture.ts'

const ann = { subject: 'ann', client: 'phone' }
const opened: RedisStore[] = []

async function open(url: string, context: RedisContext = {}): Promise<RedisStore> {
  const store = await openRedis(url, context)
  opened.push(store)
  return store
}

/** Changes a field of a block. As streams take no older ids, all blocks are put anew. */
const CHANGE = `
  local blocks = redis.call('xrange', KEYS[1], '-', '+')
  redis.call('del', KEYS[1])
  for _, block in ipairs(blocks) do
    local id, fields, at = block[1], block[2], tonumber(ARGV[2])
    if string.match(id, '^%d+') == ARGV[1] then fields[at] = string.gsub(fields[at], ARGV[3], ARGV[4]) end
    redis.call('xadd', KEYS[1], id, unpack(fields))
  end`

function produce(store: RedisStore, seq: number, count = 1) {
  const data = Array.from({ length: count }, (_, i) => seq + i)
  return store.topics.append('t', {
    subject: 'ann',
    drafts: drafts(...data),
    producer: { name: 'p', seq },
    retain: KEEP,
  })
}

async function toldOf(store: RedisStore, topic: string): Promise<Notification[]> {
  const told: Notification[] = []
  await store.topics.watch(topic, (notification) => told.push(notification))
  return told
}

describe('a store on Redis', { timeout: 60_000 }, () => {
  let server: RedisServer

  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close()
    await server?.kill()
  })

  test('goes on when libraries and scripts are flushed between calls', async () => {
    server = await startRedis(ALWAYS)
    const store = await open(server.url)
    for (let i = 1; i <= 3; i++) {
      expect((await publish(store, 't', i)).offsets).toEqual([i])
      await server.cli('function', 'flush')
      expect((await store.topics.read('t', 0, ALL)).head).toBe(i)
      await server.cli('function', 'flush')
      await server.cli('script', 'flush')
    }
  })

  test('reads a notification once for all who watch a topic', async () => {
    server = await startRedis(ALWAYS)
    const store = await open(server.url)
    const told = await Promise.all(Array.from({ length: 3 }, () => toldOf(store, 't')))
    await publish(store, 't', 1)
    await until(() => told.every((own) => own.length === 1), { what: 'all to be told' })
    const [first, ...others] = told.map(([notification]) => notification)
    for (const other of others) expect(other).toBe(first)
  })

  test('names the durability that Redis is set to, and says what it means', async () => {
    for (const [config, durability, said] of [
      [{ appendonly: 'no' }, 'memory', 'appendonly is no'],
      [{ appendonly: 'yes', appendfsync: 'everysec' }, 'everysec', 'everysec'],
      [ALWAYS, 'fsync', undefined],
    ] as const) {
      server = await startRedis(config)
      const warnings: string[] = []
      const store = await open(server.url, { warn: (message) => warnings.push(message) })
      expect(store.durability).toBe(durability)
      expect((await publish(store, 't', 1)).durability).toBe(durability)
      expect(warnings.length).toBe(said === undefined ? 0 : 1)
      if (said !== undefined) expect(warnings[0]).toContain(said)
      await server.kill()
    }
  })

  test('a restart with appendfsync always loses nothing and begins a new epoch behind the head', async () => {
    server = await startRedis(ALWAYS)
    const store = await open(server.url)
    const told = await toldOf(store, 't')
    const before = await publish(store, 't', 1, 2, 3)
    const { session } = await store.cursors.open('t', ann, 'start')
    await store.cursors.commit('t', ann, session, { epoch: before.epoch, offset: 2 })
    await server.restart()
    const after = await publish(store, 't', 4)
    expect(after.offsets).toEqual([4])
    const { lineage } = await store.topics.read('t', 0, ALL)
    expect(lineage.slice(-2)).toEqual([
      { epoch: before.epoch, startsAfter: 0 },
      { epoch: after.epoch, startsAfter: 3 },
    ])
    expect(await dataOf(store, 't')).toEqual([1, 2, 3, 4])
    expect((await store.cursors.open('t', ann, 'end')).position).toEqual({ epoch: before.epoch, offset: 2 })
    await until(() => told.some(({ kind }) => kind === 'lost'), { what: 'the watch to be told of a loss' })
    await publish(store, 't', 5)
    await until(() => told.some((told) => told.kind === 'appended' && told.head === 5))
  })

  test('a file that is cut back shows as a lost tail, also to a hub that was not there', async () => {
    server = await startRedis({ appendonly: 'yes', appendfsync: 'everysec', 'aof-load-truncated': 'yes' })
    const store = await open(server.url)
    const folder = join(server.folder, 'appendonlydir')
    const file = async (): Promise<string> => {
      const name = (await readdir(folder)).find((name) => name.endsWith('.incr.aof'))
      return join(folder, name ?? '')
    }
    const old = await publish(store, 't', 1, 2)
    const kept = (await stat(await file())).size
    await publish(store, 't', 3, 4)
    await publish(store, 'late', 1, 2)
    const late = (await store.topics.read('late', 0, ALL)).epoch
    await store.close()
    await server.kill()
    await truncate(await file(), kept)
    await server.restart()
    const other = await open(server.url)
    const next = await publish(other, 't', 'x', 'y', 'z')
    expect(next.offsets).toEqual([3, 4, 5])
    const { lineage, head } = await other.topics.read('t', 0, ALL)
    expect(endOfEpoch(lineage, head, old.epoch)).toBe(2)
    // A topic whose birth was lost is not taken for the one that is born again.
    await publish(other, 'late', 'a', 'b', 'c')
    const again = await other.topics.read('late', 0, ALL)
    expect(again.epoch).not.toBe(late)
    expect(endOfEpoch(again.lineage, again.head, late) ?? 0).toBe(0)
  })

  test('an answer that is cut off on its way is of unknown outcome, and the producer is stored once', async () => {
    server = await startRedis(ALWAYS)
    const relay = await startRelay(server.url)
    const store = await open(`redis://127.0.0.1:${relay.port}`)
    await produce(store, 1)
    let next = 2
    for (let round = 0; round < 10; round++) {
      const calls = Array.from({ length: 20 }, (_, i) => ({ seq: next + i, done: produce(store, next + i) }))
      if (round % 2 === 0) setImmediate(() => relay.cut())
      else setTimeout(() => relay.cut(), round)
      await Promise.allSettled(calls.map(({ done }) => done))
      for (const { seq, done } of calls) {
        const outcome = await done.catch((error: unknown) => error)
        if (outcome instanceof Error) expect(outcome).toMatchObject({ code: 'unavailable' })
        // Asked again until it is known, in the order of the numbers.
        await until(() => produce(store, seq).catch(() => undefined), { what: `draft ${seq} to be answered` })
      }
      next += 20
    }
    expect(await dataOf(store, 't')).toEqual(Array.from({ length: next - 1 }, (_, i) => i + 1))
  })

  test('a server that is away makes calls wait, then unavailable; everything goes on by itself', async () => {
    server = await startRedis(ALWAYS)
    const store = await open(server.url)
    await publish(store, 't', 1)
    await server.kill()
    const began = performance.now()
    await expect(publish(store, 't', 2)).rejects.toMatchObject({ code: 'unavailable' })
    expect(performance.now() - began).toBeLessThan(6_500)
    const waiting = publish(store, 't', 3)
    waiting.catch(() => {})
    await server.restart()
    expect((await waiting).offsets).toEqual([2])
  })

  test('a paused server delays, and nothing is done twice', async () => {
    server = await startRedis(ALWAYS)
    const store = await open(server.url)
    await publish(store, 't', 1)
    await server.cli('client', 'pause', '700', 'ALL')
    expect((await publish(store, 't', 2)).offsets).toEqual([2])
    expect(await dataOf(store, 't')).toEqual([1, 2])
  })

  test('a subscriber connection that is killed, or hangs, is told as lost and made anew', async () => {
    server = await startRedis(ALWAYS)
    const relay = await startRelay(server.url)
    const store = await open(`redis://127.0.0.1:${relay.port}`)
    const told = await toldOf(store, 't')
    await server.cli('client', 'kill', 'type', 'pubsub')
    await until(() => told.some(({ kind }) => kind === 'lost'))
    await publish(store, 't', 1)
    await until(() => told.some((each) => each.kind === 'appended' && each.head === 1))
    told.length = 0
    relay.blackHole(true)
    await new Promise((resolve) => setTimeout(resolve, 4_500))
    relay.cut()
    relay.blackHole(false)
    await until(() => told.some(({ kind }) => kind === 'lost'))
    await publish(store, 't', 2)
    await until(() => told.some((each) => each.kind === 'appended' && each.head === 2))
  })

  test('two nodes hear each other, agree on every offset, and fence each other’s sessions', async () => {
    server = await startRedis(ALWAYS)
    const [one, two] = [await open(server.url), await open(server.url)]
    const [first, second, elsewhere] = [await toldOf(one, 't'), await toldOf(two, 't'), await toldOf(two, 'other')]
    const calls = Array.from({ length: 200 }, (_, i) => publish(i % 2 === 0 ? one : two, 't', i))
    const offsets = (await Promise.all(calls)).flatMap((appended) => appended.offsets)
    expect(offsets.sort((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1))
    await Promise.all([one.caughtUp(), two.caughtUp()])
    const { events, epoch } = await one.topics.read('t', 0, ALL)
    for (const told of [first, second]) {
      expect(told.flatMap((each) => (each.kind === 'appended' ? each.events : []))).toEqual(plain(events))
    }
    expect(elsewhere).toEqual([])
    const old = await one.cursors.open('t', ann, 'start')
    const present = await two.cursors.open('t', ann, 'start')
    const late = one.cursors.commit('t', ann, old.session, { epoch, offset: 3 })
    await expect(late).rejects.toMatchObject({ code: 'taken_over' })
    await one.caughtUp()
    expect(first.at(-1)).toEqual({ kind: 'session', owner: ann, session: present.session })
    let settings = 0
    one.settings.watch(() => {
      settings++
    })
    await until(() => settings > 0)
    await two.settings.put('a', 1)
    await until(() => settings > 1)
    // What one node drops is unborn on the other, and no old position fits what comes.
    await two.topics.drop('t')
    expect((await publish(one, 't', 'new')).epoch).not.toBe(epoch)
  })

  test('a full Redis refuses what needs room, serves the rest, and goes on when there is room', async () => {
    server = await startRedis({ ...ALWAYS, maxmemory: '8mb' })
    const store = await open(server.url)
    const { epoch } = await publish(store, 't', 1, 2)
    const { session } = await store.cursors.open('t', ann, 'start')
    const big = () =>
      store.topics.append('big', { subject: 'ann', drafts: [{ body: text('x'.repeat(200_000)) }], retain: KEEP })
    const fill = async (): Promise<never> => {
      for (;;) await big()
    }
    await expect(fill()).rejects.toMatchObject({ code: 'storage_full' })
    // At the very limit a small one fits in now and then.
    await server.cli('config', 'set', 'maxmemory', '4mb')
    const mixed = await Promise.allSettled([
      publish(store, 't', 3),
      store.cursors.commit('t', ann, session, { epoch, offset: 1 }),
    ])
    expect(mixed.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
    await expect(store.cursors.open('t', { ...ann, client: 'new' }, 'end')).rejects.toMatchObject({
      code: 'storage_full',
    })
    expect(await store.cursors.open('t', ann, 'end')).toMatchObject({ position: { offset: 1 } })
    expect(await dataOf(store, 't')).toEqual([1, 2])
    await trim(store.topics, 'big', { ...KEEP, events: 0 })
    await server.cli('config', 'set', 'maxmemory', '8mb')
    await until(() => publish(store, 't', 3).catch(() => undefined))
    expect(await dataOf(store, 't')).toEqual([1, 2, 3])
  })

  test('keys that were deleted by hand are never silent and never reuse an offset under its epoch', async () => {
    server = await startRedis(ALWAYS)
    const store = await open(server.url)
    for (const keys of [['meta'], ['blocks'], ['meta', 'blocks']]) {
      const topic = keys.join('-')
      const old = await publish(store, topic, 1, 2, 3)
      await server.cli('del', ...keys.map((key) => `reprise:{t:${topic}}:${key}`))
      const read = await store.topics.read(topic, 0, ALL)
      if (keys[0] === 'blocks') expect(read).toMatchObject({ epoch: old.epoch, first: 4, head: 3, events: [] })
      const next = await publish(store, topic, 'a', 'b', 'c', 'd')
      const { lineage, head } = await store.topics.read(topic, 0, ALL)
      if (keys[0] === 'blocks') expect(next.offsets).toEqual([4, 5, 6, 7])
      else expect(endOfEpoch(lineage, head, old.epoch) ?? 0).toBe(0)
    }
  })

  test('events whose block was taken out of the stream, or changed in it, are told as damaged', async () => {
    server = await startRedis(ALWAYS)
    const store = await open(server.url)
    const stream = 'reprise:{t:t}:blocks'
    for (const data of [[1], [2, 3], [4, 5, 6], [7, 8, 9], [10]]) await publish(store, 't', ...data)
    const [entry] = (await server.cli('xrange', stream, '2', '2')).split('\n')
    await server.cli('xdel', stream, entry ?? '')
    await server.cli('eval', CHANGE, '1', stream, '4', '2', ':5', ':0')
    await server.cli('eval', CHANGE, '1', stream, '7', '4', '%d+', 'x')
    expect(await dataOf(store, 't')).toEqual([
      1,
      'damaged',
      'damaged',
      4,
      'damaged',
      6,
      'damaged',
      'damaged',
      'damaged',
      10,
    ])
    expect(await dataOf(store, 't', 7)).toEqual(['damaged', 'damaged', 10])
    await trim(store.topics, 't', { ...KEEP, events: 9 })
    const left = [4, 5, 6, 7, 8, 9, 10].reduce((sum, data) => sum + sizeBody(text(data)).bytes, 0)
    expect(await infoOf(store.topics, 't')).toMatchObject({ first: 2, bytes: left })
    await trim(store.topics, 't', { ...KEEP, events: 5 })
    expect(await dataOf(store, 't')).toEqual([6, 'damaged', 'damaged', 'damaged', 10])
    expect((await publish(store, 't', 11)).offsets).toEqual([11])
  })

  test('what cannot work is refused with one clear line that has no secret', async () => {
    server = await startRedis({
      ...ALWAYS,
      requirepass: 'right',
      maxmemory: '100mb',
      'maxmemory-policy': 'allkeys-lru',
    })
    const at = `127.0.0.1:${server.port}`
    const wrong = await openStore(`redis://:secret@${at}`).catch((error: Error) => error)
    expect(wrong).toMatchObject({ code: 'unavailable' })
    expect(String(wrong)).toMatch(/redis:\/\/127.*WRONGPASS/)
    expect(String(wrong)).not.toContain('secret')
    const evicting = openStore(`redis://:right@${at}`)
    await expect(evicting).rejects.toThrow(/maxmemory-policy is allkeys-lru, set it to noeviction/)
    await expect(openStore('redis://127.0.0.1:1')).rejects.toThrow(
      /redis:\/\/127.0.0.1:1 cannot be used: .*ECONNREFUSED/,
    )
    await expect(openStore('redis://a,b')).rejects.toMatchObject({ code: 'bad_request' })
    await expect(openStore('redis://a?nonsense=1')).rejects.toMatchObject({ code: 'bad_request' })
    await expect(openStore('redis-sentinel://a')).rejects.toMatchObject({ code: 'bad_request' })
  })

  test('replicas that are waited for are named, and those that are missing are not', async () => {
    server = await startRedis(ALWAYS)
    const replica = await startRedis({ replicaof: `127.0.0.1 ${server.port}` })
    const store = await open(`${server.url}?replicas=1`)
    expect(store.durability).toBe('replicated:1')
    await until(async () => (await publish(store, 't', 1)).durability === 'replicated:1')
    await replica.kill()
    expect((await publish(store, 't', 2)).durability).toBe('fsync')
  })

  test('a write whose wait for replicas is refused is of unknown outcome, and never done again', async () => {
    server = await startRedis(ALWAYS)
    const store = await open(`${server.url}?replicas=1`)
    await publish(store, 't', 0)
    // It waits for half a second: a new program for each question would be too slow.
    const other = new Redis(server.url)
    atEnd(() => other.disconnect())
    const refused = expect(produce(store, 1)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('unknown'),
    })
    // As a server does that becomes a replica meanwhile.
    const blocked = await until(async () => /^id=(\d+).* cmd=wait /m.exec(String(await other.client('LIST')))?.[1])
    await other.client('UNBLOCK', Number(blocked), 'ERROR')
    await refused
    expect(await produce(store, 1)).toMatchObject({ offsets: [2], duplicates: 1 })
    await server.cli('acl', 'setuser', 'default', '-wait')
    await expect(publish(store, 't', 2)).rejects.toMatchObject({ code: 'unavailable' })
    await server.cli('acl', 'setuser', 'default', '+wait')
    expect(await publish(store, 't', 3)).toMatchObject({ offsets: [4] })
  })
})
