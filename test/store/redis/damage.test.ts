/** Keys of the store in Redis, or parts of them, that somebody has taken away or spoilt: nothing waits for ever in silence. */

import { beforeAll, describe, expect, test } from 'vitest'
import type { Store } from '../../../server/store/contract/store.ts'
import { openStore } from '../../../server/store/open.ts'
import { type RedisServer, startRedis } from '../../support/redis/redis.ts'
import { runSeed, seededRandom } from '../../support/seed.ts'
import { has, soak } from '../../support/tools.ts'
import { infoOf, maintain } from '../conformance/calls.ts'
import { ALL, publish, START } from '../conformance/fixture.ts'
import { deskOf, named, TTL } from '../conformance/queueDesk.ts'

const LATER = START + 3_600_000
const JOBS = 12
const TAG = 'reprise:{q:q}:'

/** All in the long run, some in the short one. */
function some<T>(all: readonly T[]): T[] {
  const random = seededRandom(runSeed('what of a queue in Redis is spoilt'))
  return random.shuffle(all).slice(0, soak ? all.length : Math.ceil(all.length / 3))
}

/** Takes away the keys that fit a pattern; spoils the fields of a hash. */
const AWAY = "for _, key in ipairs(redis.call('keys', ARGV[1])) do redis.call('del', key) end"
const SPOIL = "for _, f in ipairs(redis.call('hkeys', KEYS[1])) do redis.call('hset', KEYS[1], f, 'spoilt') end"

/** A queue with jobs in all states, whose clock can be moved. */
async function made(server: RedisServer) {
  await server.cli('flushall')
  const clock = { now: START }
  const told: string[] = []
  const store = await openStore(server.url, { now: () => clock.now, warn: (message) => told.push(message) })
  const desk = deskOf(store)
  const ids: string[] = []
  const send = async (count: number, options: (i: number) => object = () => ({})): Promise<void> => {
    const drafts = Array.from({ length: count }, (_, i) => named(`job-${ids.length + i}`, options(i)))
    ids.push(...drafts.map(({ id }) => id ?? ''))
    await desk.send(drafts)
  }
  await send(JOBS, (i) => (i % 3 === 0 ? { body: { json: JSON.stringify({ data: 'x'.repeat(700) }) } } : {}))
  await send(4, (i) => ({ key: `key-${i % 2}` }))
  await send(3, () => ({ due: { delayMs: 1_800_000 } }))
  const drafts = ['a', 'b'].map((data) => ({ body: { json: JSON.stringify({ data }) }, priority: 0, ttlMs: TTL }))
  const family = named('parent', { children: { drafts, onDead: 'fail', bytes: 1_000 } })
  const { childIds = [] } = await desk.send([family])
  ids.push('parent', ...childIds)
  const { jobs } = await desk.claim('old', { max: 8 })
  const [dead, retried, done] = jobs
  if (dead === undefined || retried === undefined || done === undefined) throw new Error('nothing was handed out')
  const endings = [
    { ...dead, as: 'dead' },
    { ...retried, as: 'retry' },
    { ...done, as: 'done' },
  ] as const
  await store.queues.settle('q', endings, desk.policy)
  await publish(store, 't', 1, 2, 3)
  await store.cursors.open('t', { subject: 'ann', client: 'phone' }, 'start')
  clock.now = LATER
  const left = ids.filter((id) => id !== done.id)
  return { store, told, left }
}

/** What a consumer gets that comes now, and what is in the dead letters then. */
async function worked(store: Store): Promise<{ jobs: string[]; letters: string[]; wrong: string[] }> {
  const desk = deskOf(store)
  const wrong: string[] = []
  const jobs: string[] = []
  const attempt = async <T>(call: () => Promise<T>): Promise<T | undefined> => {
    for (let tries = 0; tries < 2; tries++) {
      try {
        return await call()
      } catch (error) {
        // What was spoilt may be met once.
        if (tries > 0) wrong.push((error as Error).message)
      }
    }
    return undefined
  }
  await attempt(() => desk.send([named('new')]))
  await attempt(() => desk.turn())
  for (let round = 0; round < 60; round++) {
    const claimed = await attempt(() => desk.claim('new', { max: 100 }))
    if (claimed === undefined || claimed.jobs.length === 0) {
      if ((claimed?.waiting ?? 0) === 0 && (claimed?.nextAt ?? Number.POSITIVE_INFINITY) > LATER) break
      continue
    }
    jobs.push(...claimed.jobs.flatMap(({ id, body }) => (body === undefined ? [] : [id])))
    const done = claimed.jobs.map(({ id, lease, body }) => {
      return { id, lease, as: body === undefined ? ('dead' as const) : ('done' as const) }
    })
    await attempt(() => store.queues.settle('q', done, desk.policy))
  }
  const letters = (await attempt(() => desk.listed('ready', 'q/dead'))) ?? []
  const {
    ready = 0,
    delayed = 0,
    held = 0,
    waiting = 0,
  } = (await attempt(() => infoOf(store.queues, 'q')))?.counts ?? {}
  const left = ready + delayed + held + waiting
  if (left > 0) wrong.push(`still ${ready} ready, ${delayed} delayed, ${held} held, ${waiting} waiting`)
  await attempt(() => maintain(store))
  return { jobs, letters, wrong }
}

describe.runIf(has('redis-server'))('a queue in Redis', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await startRedis({})
  })

  async function goesOn(what: string, spoil: () => Promise<unknown>): Promise<void> {
    const { store, told, left } = await made(server)
    try {
      await spoil()
      const { jobs, letters, wrong } = await worked(store)
      expect(wrong, what).toEqual([])
      expect(new Set(jobs).size, `${what}: no job twice`).toBe(jobs.length)
      expect(jobs, what).toContain('new')
      const here = new Set([...jobs, ...letters])
      const missing = left.filter((id) => !here.has(id))
      // Named jobs come back by their names, and each is handed out or dead-lettered.
      if (missing.length > 0) expect(told.join(), `${what}: ${missing} are missing`).toContain(' lost')
    } finally {
      await store.close()
    }
  }

  test('goes on and loses nothing in silence, whichever of its keys goes away', { timeout: 60_000 }, async () => {
    const { store } = await made(server)
    await store.close()
    const keys = (await server.cli('keys', `${TAG}*`)).split('\n').filter((key) => key.startsWith(TAG))
    expect(keys.length).toBeGreaterThan(12)
    for (const key of some(keys))
      await goesOn(`${key} deleted`, () => server.cli('eval', AWAY, '0', key.replaceAll('\0', '?')))
  })

  test('goes on where one record of a key goes away or is spoilt', { timeout: 60_000 }, async () => {
    for (const number of some(['2', '4', '13', '17', '19', '20', '21'])) {
      await goesOn(`job ${number} deleted`, () => server.cli('hdel', `${TAG}jobs`, number))
      await goesOn(`job ${number} cut`, () => server.cli('hset', `${TAG}jobs`, number, 'spoilt'))
    }
    for (const list of some(['ready', 'held', 'again', 'againPlaces', 'behind', 'expiring', 'waiting'])) {
      await goesOn(`${list} lacks one`, () => server.cli('zpopmin', `${TAG}${list}`))
      await goesOn(`${list} has a stranger`, () => server.cli('zadd', `${TAG}${list}`, '1', '12345'))
    }
    for (const hash of ['family', 'children']) {
      await goesOn(`${hash} is gone`, () => server.cli('del', `${TAG}${hash}`))
      for (const n of some(['20', '21']))
        await goesOn(`${hash} lacks ${n}`, () => server.cli('hdel', `${TAG}${hash}`, n))
      await goesOn(`${hash} is spoilt`, () => server.cli('eval', SPOIL, '1', `${TAG}${hash}`))
    }
    await goesOn('a child is gone with its place', async () => {
      await server.cli('hdel', `${TAG}jobs`, '22')
      await server.cli('zrem', `${TAG}ready`, '22')
      await server.cli('hdel', `${TAG}family`, '22')
    })
    await goesOn('a head of a line is gone', () => server.cli('hset', `${TAG}heads`, 'key-0', '12345'))
    await goesOn('the figures are cut', () => server.cli('set', `${TAG}meta`, 'spoilt'))
    await goesOn('a holder is spoilt', async () => {
      await server.cli('eval', SPOIL, '1', `${TAG}holders`)
    })
  })

  test('lost jobs are dead-lettered by the names of their senders, and the log says how many', async () => {
    const { store, told } = await made(server)
    await server.cli('hdel', `${TAG}jobs`, '10', '12')
    const { letters } = await worked(store)
    expect(letters).toEqual(expect.arrayContaining(['job-9', 'job-11']))
    const [letter] = (await store.queues.jobs('q/dead', { state: 'ready', limit: 100 })).filter(
      ({ id }) => id === 'job-9',
    )
    expect(letter).toMatchObject({ dead: { reason: 'rejected', error: 'damaged' } })
    const sentence =
      'the indexes of queue q were damaged and have been made anew: 2 jobs are lost, and dead-lettered as damaged'
    expect(told).toContain(sentence)
    expect(store.damage()).toEqual([sentence])
    await store.close()
  })

  test('a parent whose child is in another queue waits on where all is made anew, and is told of its end', async () => {
    const { store } = await made(server)
    const desk = deskOf(store)
    const child = { body: { json: '{"data":1}' }, queue: 'there', priority: 4, ttlMs: TTL }
    await desk.send([named('away', { children: { drafts: [child], onDead: 'fail', bytes: 1_000 } })])
    const [errand] = (await store.queues.life('q', { limit: 9 }))?.errands?.list ?? []
    await server.cli('zadd', `${TAG}ready`, '1', '12345')
    await worked(store)
    expect(store.damage().join()).toContain('made anew')
    expect(await desk.job('away')).toMatchObject({ state: 'waiting', children: { count: 1, open: 1 } })
    const parent = errand?.parent ?? { id: '', place: '' }
    await store.queues.tellParents('q', [{ parent, child: { queue: 'there', id: 'c', state: 'done' } }])
    expect((await desk.take('new')).children).toEqual([{ queue: 'there', id: 'c', state: 'done' }])
    await store.close()
  })

  test('a store of a newer format is refused with a sentence, and left as it is', async () => {
    const { store } = await made(server)
    await store.close()
    await server.cli('hset', 'reprise:store', 'schema', '3')
    const before = await server.cli('hgetall', 'reprise:store')
    await expect(openStore(server.url)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('schema version 3'),
    })
    expect(await server.cli('hgetall', 'reprise:store')).toBe(before)
  })

  test('and a topic go on where records of cursors, ids and producers are spoilt', async () => {
    const { store } = await made(server)
    const topic = 'reprise:{t:t}:'
    const owner = { subject: 'ann', client: 'phone' }
    const append = (seq: number) =>
      store.topics.append('t', {
        subject: 'ann',
        drafts: [{ body: { json: '{"data":1}' }, id: 'one' }],
        producer: { name: 'p', seq },
        retain: { events: 100, bytes: 1e9, ageMs: 1e15 },
      })
    await append(1)
    for (const key of ['cursors', 'producers', 'ids:ann']) await server.cli('eval', SPOIL, '1', `${topic}${key}`)
    await store.cursors.list('t', { limit: 10 })
    expect(await store.cursors.open('t', owner, 'end')).toMatchObject({ created: true, expired: true })
    await expect(append(2)).rejects.toMatchObject({ code: 'conflict' })
    await append(1)
    await maintain(store)
    expect((await store.topics.read('t', 0, ALL)).events.length).toBeGreaterThan(3)
    await server.cli('hset', 'reprise:settings', 'topics', 'spoilt')
    await store.settings.put('queues', { some: 1 })
    expect([...(await store.settings.all()).keys()]).toEqual(['queues'])
    await store.close()
  })
})
