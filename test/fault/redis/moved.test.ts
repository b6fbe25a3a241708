/**
 * A client leaves a hub that cannot reach Redis, and is at another one when that hub comes back. What the first one still
 * had to ask for it is of a connection that is gone: it takes nothing away from the new one.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { joinQueues, settlement } from '../../support/clients/jobs.ts'
import { join } from '../../support/clients/wire.ts'
import { startHub } from '../../support/hub/hub.ts'
import { startRelay } from '../../support/network/relay.ts'
import { startRedis } from '../../support/redis/redis.ts'
import { has } from '../../support/tools.ts'
import { until } from '../../support/until.ts'

/** After which a hub asks again. */
const RETRY_MS = 500
/** Whoever was heard of so short a time ago is taken for alive. */
const SURE_MS = 1_200
const CREDIT = { credit: 5, leaseMs: 60_000 }

async function twoHubs() {
  const redis = await startRedis({ appendonly: 'yes', appendfsync: 'always' })
  const relay = await startRelay(redis.url.replace('redis', 'http'))
  const far = await startHub({ store: relay.url.replace('http', 'redis') })
  const near = await startHub({ store: redis.url })
  return {
    far,
    near,
    /** What is under way to Redis has no answer; it may be done all the same. */
    away() {
      relay.refuse(true)
      relay.cut()
    },
    swallow: () => relay.blackHole(true),
    /** Resolves when the far hub has done what waited, too. */
    async back() {
      relay.blackHole(false)
      relay.refuse(false)
      await until(async () => (await fetch(`${far.url}/readyz`)).status === 200, { what: 'the far hub to be ready' })
      const probe = await join(far.url, 'orders')
      await until(async () => (await probe.call('publish', [{ data: 'through' }])).ok, { what: 'a publish' })
    },
  }
}

it.runIf(has('redis-server')).each([
  ['was on its way in', 'coming'],
  ['had asked for jobs', 'asking'],
  ['said again what it holds', 'again'],
] as const)(
  'a consumer that %s when its hub lost Redis keeps what another hub gives it meanwhile',
  { timeout: 40_000 },
  async (_what, when) => {
    const { far, near, swallow, away, back } = await twoHubs()
    const first = await joinQueues(far.url, { client: 'c' })
    if (when !== 'coming') {
      await first.consume('work', CREDIT)
      await first.send('work', { data: 0 })
      const [job] = await first.jobsSeen(1)
      if (job !== undefined) await first.settle('work', settlement(job))
    }
    if (when === 'asking') {
      swallow()
      // What comes of more credit is lost on its way: the hub attaches it anew before it asks again.
      await first.consume('work', { ...CREDIT, credit: 6 })
      away()
      await sleep(RETRY_MS + 200)
    } else {
      away()
      void first.call('consume', 'work', { ...CREDIT, holding: [] }).catch(() => {})
    }
    // Answered after what was called before it is on its way.
    await first.call('auth', {})
    first.cut()
    await first.disconnected
    const second = await joinQueues(near.url, { client: 'c' })
    await second.consume('work', { ...CREDIT, holding: [] })
    await second.send('work', { data: 1 }, { data: 2 })
    const jobs = await second.jobsSeen(2)
    await back()
    const other = await joinQueues(near.url, { client: 'd' })
    await other.consume('work', CREDIT)
    expect(second.jobs()).toEqual(jobs)
    expect(await second.settle('work', ...jobs.map((job) => settlement(job)))).toEqual(['ok', 'ok'])
    expect(other.jobs()).toEqual([])
    expect(second.packets.map(({ name }) => name)).not.toContain('error')
    expect(second.socket.connected).toBe(true)
  },
)

it.runIf(has('redis-server'))(
  'a subscriber that was on its way in when its hub lost Redis stays at the hub where it came in',
  { timeout: 40_000 },
  async () => {
    const { far, near, away, back } = await twoHubs()
    const other = await join(far.url, 'orders')
    await other.value('publish', [{ data: 0 }])
    away()
    const first = await join(far.url, 'orders', { client: 'c', from: 'start' })
    first.cut()
    await first.disconnected
    const second = await join(near.url, 'orders', { client: 'c', from: 'start' })
    await second.eventsSeen(1)
    await back()
    await second.eventsSeen(2)
    const { epoch } = await second.seen('subscribed')
    expect(await second.value('ack', { epoch, offset: 2 })).toMatchObject({ epoch, offset: 2 })
    expect(second.socket.connected).toBe(true)
  },
)

it.runIf(has('redis-server')).each(['coming', 'asking'] as const)(
  'a consumer (%s) whose connection is dead without a word takes nothing back when its hub has Redis again',
  { timeout: 40_000 },
  async (when) => {
    const { far, near, swallow, away, back } = await twoHubs()
    const road = await startRelay(far.url)
    const first = await joinQueues(road.url, { client: 'c' })
    if (when === 'asking') {
      await first.consume('work', CREDIT)
      swallow()
      await first.consume('work', { ...CREDIT, credit: 6 })
      away()
      await sleep(RETRY_MS + 200)
    } else {
      away()
      void first.call('consume', 'work', { ...CREDIT, holding: [] }).catch(() => {})
      await first.call('auth', {})
    }
    road.freeze()
    const second = await joinQueues(near.url, { client: 'c' })
    await second.consume('work', { ...CREDIT, holding: [] })
    await second.send('work', { data: 1 }, { data: 2 })
    const jobs = await second.jobsSeen(2)
    await sleep(SURE_MS)
    await back()
    await sleep(RETRY_MS + 200)
    expect(await second.settle('work', ...jobs.map((job) => settlement(job)))).toEqual(['ok', 'ok'])
    await second.send('work', { data: 3 })
    await second.jobsSeen(3)
    expect(second.packets.map(({ name }) => name)).not.toContain('error')
  },
)

it.runIf(has('redis-server'))(
  'a subscriber whose connection is dead without a word does not end the one that it has at another hub',
  { timeout: 40_000 },
  async () => {
    const { far, near, away, back } = await twoHubs()
    const road = await startRelay(far.url)
    const other = await join(far.url, 'orders')
    await other.value('publish', [{ data: 0 }])
    away()
    const first = await join(road.url, 'orders', { client: 'c', from: 'start' })
    road.freeze()
    const second = await join(near.url, 'orders', { client: 'c', from: 'start' })
    await second.eventsSeen(1)
    await sleep(SURE_MS)
    await back()
    await second.eventsSeen(2)
    await sleep(RETRY_MS + 200)
    const { epoch } = await second.seen('subscribed')
    expect(await second.value('ack', { epoch, offset: 2 })).toMatchObject({ epoch, offset: 2 })
    expect(second.socket.connected).toBe(true)
    expect(first.packets.map(({ name }) => name)).not.toContain('subscribed')
  },
)
