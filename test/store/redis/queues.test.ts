/** What is peculiar to queues in Redis: libraries that are gone, a full server, an older state, records spoilt by others. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { HeldJob, QueuePolicy, Settlement } from '../../../server/store/contract/store.ts'
import { openRedis, type RedisStore } from '../../../server/store/redis/store.ts'
import { type Relay, startRelay } from '../../support/network/relay.ts'
import { type RedisServer, startRedis } from '../../support/redis/redis.ts'
import { until } from '../../support/until.ts'
import { firedIn, infoOf, jobOf, remove } from '../conformance/calls.ts'
import { text } from '../conformance/fixture.ts'
import { useQueue } from '../usedQueue.ts'
import { ALWAYS } from './fixture.ts'

const POLICY: QueuePolicy = { maxAttempts: 3, backoffMs: [60_000], deadMs: 86_400_000 }
const LIMIT = { jobs: 1_000_000, bytes: 1e9 }
const holder = { subject: 'ann', client: 'worker' }
/** A retry is due at once. */
const NOW = { ...POLICY, backoffMs: [0] }

function send(store: RedisStore, ...data: unknown[]) {
  const drafts = data.map((value) => ({ body: text(value), priority: 4, ttlMs: 3_600_000 }))
  return store.queues.enqueue('q', { subject: 'ann', drafts, limit: LIMIT })
}

async function attached(store: RedisStore): Promise<number> {
  return (await store.queues.attach('q', holder, { leaseMs: 30_000, policy: POLICY })).session
}

async function claimed(store: RedisStore, session: number, max = 10): Promise<readonly HeldJob[]> {
  const lease = { leaseMs: 30_000, capMs: 60_000 }
  return (await store.queues.claim('q', { consumer: holder, session, max, bytes: 1e9, ...lease, policy: POLICY })).jobs
}

function done(jobs: readonly HeldJob[]): Settlement[] {
  return jobs.map(({ id, lease }) => ({ id, lease, as: 'done' }))
}

describe('queues in Redis', { timeout: 30_000 }, () => {
  let server: RedisServer
  let store: RedisStore

  beforeEach(async () => {
    server = await startRedis(ALWAYS)
    store = await openRedis(server.url)
  })

  afterEach(async () => {
    await store.close()
    await server.kill()
  })

  test('keep what a job has by itself as long as the job: done, removed, redriven and removed', async () => {
    const draft = { body: text(1), priority: 4, ttlMs: 3_600_000, policy: { maxAttempts: 1, keepMs: 0 } }
    const drafts = ['done', 'removed', 'dead'].map((id) => ({ ...draft, id }))
    await store.queues.enqueue('q', { subject: 'ann', drafts, limit: LIMIT })
    const [key = ''] = (await server.cli('keys', '*policies')).trim().split('\n')
    const jobs = async () => (await server.cli('hlen', key)).trim()
    expect(await jobs()).toBe('3')
    const session = await attached(store)
    const held = await claimed(store, session)
    const ended = held.map(({ id, lease }) => ({ id, lease, as: id === 'done' ? 'done' : 'retry' }) as const)
    await store.queues.settle('q', ended, NOW)
    expect((await infoOf(store.queues, 'q'))?.counts).toMatchObject({ done: 1, dead: 2 })
    expect(await jobs()).toBe('2')
    await store.queues.redrive('q', ['dead'], { ttlMs: 3_600_000 })
    expect(await jobOf(store.queues, 'q', 'dead')).toMatchObject({ attempts: 0, policy: draft.policy })
    await remove(store.queues, 'q', 'dead')
    await remove(store.queues, 'q/dead', 'removed')
    expect(await jobs()).toBe('0')
  })

  test('go on when libraries and scripts are flushed between calls', async () => {
    const session = await attached(store)
    for (let i = 1; i <= 3; i++) {
      await server.cli('function', 'flush')
      await server.cli('script', 'flush')
      await send(store, i)
      await server.cli('function', 'flush')
      const jobs = await claimed(store, session)
      expect(jobs.map(({ body }) => body?.json)).toEqual([`{"data":${i}}`])
      await server.cli('function', 'flush')
      expect((await store.queues.settle('q', done(jobs), POLICY)).settled).toEqual(['ok'])
      expect((await infoOf(store.queues, 'q'))?.counts).toMatchObject({ sent: i, done: i, ready: 0, held: 0 })
    }
  })

  test('run as scripts where the server takes no library', async () => {
    await server.cli('acl', 'setuser', 'default', '-function')
    const session = await attached(store)
    await send(store, 1)
    expect((await store.queues.settle('q', done(await claimed(store, session)), POLICY)).settled).toEqual(['ok'])
    expect((await infoOf(store.queues, 'q'))?.counts).toMatchObject({ sent: 1, done: 1 })
    expect(await server.cli('info', 'commandstats')).toMatch(/cmdstat_evalsha/)
  })

  test('settle, release and remove in a server that is full, and take nothing new', async () => {
    const session = await attached(store)
    const { ids } = await send(store, 1, 2, 3, 4)
    const jobs = await claimed(store, session, 3)
    await server.cli('config', 'set', 'maxmemory', '1')
    await expect(send(store, 5)).rejects.toMatchObject({ code: 'storage_full' })
    const [first, second, third] = jobs.map(({ id, lease }) => ({ id, lease }))
    if (first === undefined || second === undefined || third === undefined) throw new Error('three jobs were expected')
    const settlements: Settlement[] = [
      { ...first, as: 'done' },
      { ...second, as: 'retry', delayMs: 60_000 },
      { ...third, as: 'dead', error: 'no' },
    ]
    expect((await store.queues.settle('q', settlements, POLICY)).settled).toEqual(['ok', 'ok', 'ok'])
    expect(await remove(store.queues, 'q', ids[3] ?? '')).toBe(true)
    await store.queues.detach('q', holder, session, 'release', POLICY)
    await attached(store)
    await server.cli('config', 'set', 'maxmemory', '0')
    expect((await infoOf(store.queues, 'q'))?.counts).toEqual({
      ...{ sent: 4, ready: 0, delayed: 1, held: 0, waiting: 0, done: 1, dead: 1, removed: 1 },
    })
    expect((await send(store, 5)).ids).toHaveLength(1)
  })

  test('a restart with appendfsync always keeps leases, and what they ended in', async () => {
    const session = await attached(store)
    await send(store, 1, 2)
    const jobs = await claimed(store, session)
    expect((await store.queues.settle('q', done(jobs.slice(0, 1)), POLICY)).settled).toEqual(['ok'])
    await server.restart()
    expect((await store.queues.settle('q', done(jobs), POLICY)).settled).toEqual(['ok', 'ok'])
    expect((await infoOf(store.queues, 'q'))?.counts).toMatchObject({ done: 2, held: 0 })
  })

  test('after an older state came back, leases and ids of the lost time are not taken for new ones', async () => {
    await server.restart({ appendonly: 'no' })
    const session = await attached(store)
    await send(store, 'kept')
    await server.cli('save')
    const lostIds = (await send(store, 'lost')).ids
    const old = await claimed(store, session, 2)
    expect(old).toHaveLength(2)
    expect((await store.queues.settle('q', done(old.slice(1)), POLICY)).settled).toEqual(['ok'])
    await server.restart({ appendonly: 'no' })
    // Numbers are given again, tokens are not.
    const newIds = (await send(store, 'new')).ids
    const again = await claimed(store, session, 2)
    expect(again).toHaveLength(2)
    expect(newIds).not.toEqual(lostIds)
    expect(await jobOf(store.queues, 'q', lostIds[0] ?? '')).toBeUndefined()
    expect((await store.queues.settle('q', done(old), POLICY)).settled).toEqual(['lost', 'lost'])
    expect((await store.queues.settle('q', done(again), POLICY)).settled).toEqual(['ok', 'ok'])
    expect((await store.queues.settle('q', done(old), POLICY)).settled).toEqual(['lost', 'lost'])
    expect((await infoOf(store.queues, 'q'))?.counts).toMatchObject({ sent: 2, done: 2 })
  })

  test('a script that fails in its midst is told, and the next call finds a sound queue', async () => {
    const session = await attached(store)
    await send(store, 1)
    const key = 'reprise:{q:q}:ready'
    await server.cli('rename', key, `${key}-away`)
    await server.cli('set', key, 'spoilt')
    await expect(send(store, 2)).rejects.toMatchObject({ code: 'internal' })
    await server.cli('del', key)
    await server.cli('rename', `${key}-away`, key)
    await send(store, 3)
    const jobs = await claimed(store, session)
    expect(jobs.map(({ body }) => body?.json)).toEqual(['{"data":1}', '{"data":3}'])
    expect((await store.queues.settle('q', done(jobs), POLICY)).settled).toEqual(['ok', 'ok'])
    expect((await infoOf(store.queues, 'q'))?.counts).toMatchObject({ sent: 2, done: 2, ready: 0 })
  })

  test('a job whose body was damaged is delivered without one, by itself or with settlements, and ended like any other', async () => {
    const session = await attached(store)
    const { ids } = await send(store, 'x'.repeat(1_000), 2, 'y'.repeat(1_000))
    for (const n of ['1', '3']) await server.cli('hset', 'reprise:{q:q}:bodies', n, 'spoilt')
    const [spoilt, sound] = await claimed(store, session, 2)
    if (spoilt === undefined || sound === undefined) throw new Error('two jobs were expected')
    expect([spoilt.body, sound.body?.json]).toEqual([undefined, '{"data":2}'])
    const { id, lease } = spoilt
    const next = { consumer: holder, session, max: 2, bytes: 1e9, leaseMs: 30_000, capMs: 60_000, policy: POLICY }
    const dead = [{ id, lease, as: 'dead', error: 'damaged' } as const]
    const outcome = await store.queues.settle('q', dead, POLICY, holder, next)
    expect(outcome).toMatchObject({ settled: ['ok'], claimed: { jobs: [{ id: ids[2], body: undefined }] } })
    const letter = await jobOf(store.queues, 'q/dead', id)
    expect(letter).toMatchObject({ dead: { reason: 'rejected', error: 'damaged' }, state: 'ready', body: undefined })
  })

  test('a node finds what fell due at another one that is gone', async () => {
    await attached(store)
    const body = text('later')
    const drafts = [{ body, priority: 4, ttlMs: 3_600_000, due: { delayMs: 20 } }]
    await store.queues.enqueue('q', { subject: 'ann', drafts, limit: LIMIT })
    await store.close()
    store = await openRedis(server.url)
    await expect.poll(() => firedIn(store), { interval: 5 }).toEqual(['q'])
    expect(await store.maintain(() => POLICY, 'q')).toMatchObject({ more: false })
    expect(await firedIn(store)).toEqual([])
    expect((await infoOf(store.queues, 'q'))?.counts).toMatchObject({ ready: 1, delayed: 0 })
  })

  test('of jobs that are gone nothing is left behind, however they ended and however large they were', async () => {
    const session = await attached(store)
    const drafts = Array.from({ length: 120 }, (_, i) => ({
      body: text('x'.repeat((i % 7) * 60)),
      priority: i % 10,
      ttlMs: 3_600_000,
      ...(i % 3 === 0 && { key: `k${i % 5}` }),
      ...(i % 4 === 0 && { id: `i${i}`, replyMs: 40_000 }),
    }))
    const { ids } = await store.queues.enqueue('q', { subject: 'ann', drafts, limit: LIMIT })
    for (const id of ids.slice(0, 20)) await remove(store.queues, 'q', id)
    const sizes: number[] = []
    for (let round = 0; (await infoOf(store.queues, 'q'))?.counts.ready !== 0; round++) {
      const jobs = await claimed(store, session, 1 + (round % 9))
      sizes.push(...jobs.map(({ body }) => body?.json.length ?? 0))
      const as = (['done', 'retry', 'dead', 'done', 'release'] as const)[round % 5] ?? 'done'
      await store.queues.settle(
        'q',
        jobs.map(({ id, lease }) => ({ id, lease, as })),
        NOW,
      )
    }
    expect(Math.max(...sizes)).toBeGreaterThan(360)
    expect(Math.min(...sizes)).toBeLessThan(20)
    await store.queues.redrive('q', ids.slice(0, 60), { ttlMs: 3_600_000 })
    for (;;) {
      const jobs = await claimed(store, session)
      if (jobs.length === 0) break
      await store.queues.settle('q', done(jobs), NOW)
    }
    while ((await store.queues.purge('q/dead', { before: Date.now() + 1_000, limit: 50 })) > 0);
    const { sent, done: ended, removed } = (await infoOf(store.queues, 'q'))?.counts ?? { sent: 0, done: 0, removed: 0 }
    expect([sent, ended + removed]).toEqual([120, 120])
    const keys = (await server.cli('keys', '*')).split('\n').filter((key) => key.includes('{q:q}'))
    const kept = ['meta', 'holders', 'present', 'due', 'answers', 'subjects', 'ids:ann', 'idlog:ann']
    const names = keys.map((key) => key.slice(key.indexOf('}') + 2)).filter((name) => !name.startsWith('ended:'))
    expect(names.filter((name) => !kept.includes(name))).toEqual([])
  })

  test('of a queue that is dropped nothing is left behind', async () => {
    const names = async () => {
      const keys = (await server.cli('keys', '*')).split('\n').filter((key) => key.includes('{q:q}'))
      return keys.map((key) => key.slice(key.indexOf('}') + 2))
    }
    await useQueue(store, 'q')
    expect(await names()).toEqual(expect.arrayContaining(['meta', 'ended:0', 'finished', 'produced:3:annp']))
    expect(await store.queues.drop('q')).toEqual({ more: false })
    expect(await names()).toEqual([])
    for (const list of ['queues', 'turns']) {
      while ((await store.maintain(() => POLICY)).more);
      const [key = ''] = (await server.cli('keys', `*${list}`)).trim().split('\n')
      expect((await server.cli('zscore', key, 'q')).trim(), list).toBe('')
    }
  })

  test('a queue that is made while another node takes the name of a dropped one away is found in the list', async () => {
    const [slow, slower] = [await startRelay(server.url), await startRelay(server.url)]
    const open = ({ port }: Relay) => openRedis(`redis://127.0.0.1:${port}`)
    const [dropping, sending] = [await open(slow), await open(slower)]
    const calls = async (command: string) => {
      const [, count = '0'] =
        new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(await server.cli('info', 'commandstats')) ?? []
      return Number(count)
    }
    const [id = ''] = (await send(store, 1)).ids
    await remove(store.queues, 'q', id)
    const figures = (await server.cli('keys', '*{q:q}:meta')).trim()
    // The drop is done, and its node does not know yet.
    slow.delay(100)
    const dropped = dropping.queues.drop('q')
    const gone = async () => (await server.cli('exists', figures)).trim() === '0'
    await until(gone, { what: 'the drop', everyMs: 1 })
    slow.blackHole(true)
    // The other one has written the name, and does not know yet.
    const before = await calls('zadd')
    slower.delay(150)
    const sent = send(sending, 2)
    await until(async () => (await calls('zadd')) > before, { what: 'the name', everyMs: 1 })
    slow.delay(0)
    slow.blackHole(false)
    expect(await dropped).toEqual({ more: false })
    slower.delay(0)
    await sent
    expect((await store.queues.list({ limit: 10 })).map(({ queue }) => queue)).toEqual(['q'])
    // A node that is slower yet finds the queue that another one has made by then.
    while ((await store.queues.purge('q', { before: Date.now() + 1_000, limit: 50 })) > 0);
    slow.delay(100)
    const late = dropping.queues.drop('q')
    await until(gone, { what: 'the second drop', everyMs: 1 })
    slow.blackHole(true)
    await send(store, 3)
    slow.delay(0)
    slow.blackHole(false)
    expect(await late).toEqual({ more: false })
    expect((await store.queues.list({ limit: 10 })).map(({ queue }) => queue)).toEqual(['q'])
    await Promise.all([dropping.close(), sending.close()])
  })
})
