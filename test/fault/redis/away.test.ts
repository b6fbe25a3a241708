/** Hubs whose Redis is away, silent, busy, full or forgetful: what callers are told, and how all come back. */

import { describe, expect, it } from 'vitest'
import type { Position } from '../../../shared/positions.ts'
import type { Published } from '../../../shared/protocol.ts'
import { Publisher } from '../../support/clients/publisher.ts'
import { join, type Wire } from '../../support/clients/wire.ts'
import { Witness } from '../../support/clients/witness.ts'
import { startHub } from '../../support/hub/hub.ts'
import { type RedisServer, startRedis } from '../../support/redis/redis.ts'
import { has } from '../../support/tools.ts'
import { until } from '../../support/until.ts'

const DURABLE = { appendonly: 'yes', appendfsync: 'always' }

async function readiness(url: string): Promise<number> {
  const response = await fetch(`${url}/readyz`)
  await response.text()
  return response.status
}

async function turns(url: string, status: number, deadlineMs = 12_000): Promise<void> {
  await until(async () => (await readiness(url)) === status, {
    what: `/readyz to say ${status}`,
    deadlineMs,
    everyMs: 50,
  })
}

async function signal({ pid }: RedisServer, name: NodeJS.Signals): Promise<void> {
  process.kill(pid, name)
}

describe.runIf(has('redis-server'))('a hub whose Redis', () => {
  it('is stopped or gone says so within seconds, keeps its subscribers, and goes on by itself', {
    timeout: 60_000,
  }, async () => {
    // Side by side, as each of them waits most of the time.
    const [stopped, gone] = [await standBy(), await standBy()]
    await Promise.all([
      outage(
        stopped,
        () => signal(stopped.redis, 'SIGSTOP'),
        () => signal(stopped.redis, 'SIGCONT'),
      ),
      outage(
        gone,
        () => gone.redis.kill(),
        () => gone.redis.restart(),
      ),
    ])
  })

  it('cuts off its subscribers’ connections has what they missed read again, in order', async () => {
    const redis = await startRedis(DURABLE)
    const [one, two] = [await startHub({ store: redis.url }), await startHub({ store: redis.url })]
    const publisher = new Publisher(one.url, 'orders', { name: 'p', batch: 3, pauseMs: 1 })
    const witness = new Witness(two.url, 'orders', 'witness')
    for (let round = 0; round < 5; round++) {
      const at = publisher.acknowledged.size
      await until(() => publisher.acknowledged.size > at + 50, { what: 'events' })
      await redis.cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
    }
    await publisher.stop()
    await witness.reaches(publisher.acknowledged.size)
    expect([...witness.faults, ...witness.gaps]).toEqual([])
  })

  it('pauses, sleeps, or forgets its scripts stores nothing twice', { timeout: 40_000 }, async () => {
    const redis = await startRedis({ ...DURABLE, 'enable-debug-command': 'yes' })
    const { url } = await startHub({ store: redis.url })
    const publisher = new Publisher(url, 'orders', { name: 'p', batch: 2, pauseMs: 2 })
    const witness = new Witness(url, 'orders', 'witness', { client: 'c' })
    const more = async (count: number) => {
      const at = publisher.acknowledged.size
      await until(() => publisher.acknowledged.size > at + count, { what: 'events', deadlineMs: 20_000 })
    }
    for (const command of [
      ['SCRIPT', 'FLUSH'],
      ['CLIENT', 'PAUSE', '800', 'ALL'],
      ['CLIENT', 'PAUSE', '800', 'WRITE'],
      ['DEBUG', 'SLEEP', '0.8'],
      ['SCRIPT', 'FLUSH'],
      // Longer than any call waits.
      ['CLIENT', 'PAUSE', '6500', 'WRITE'],
    ]) {
      await more(20)
      await redis.cli(...command)
    }
    await more(20)
    await publisher.stop()
    await witness.reaches(publisher.acknowledged.size)
    expect([...witness.faults, ...witness.gaps]).toEqual([])
    const numbers = [...witness.events.values()].map(({ data }) => (data as { n: number }).n)
    expect(numbers).toEqual(numbers.map((_, index) => index + 1))
  })

  it('is full refuses what needs room, goes on with the rest, and recovers', { timeout: 40_000 }, async () => {
    const redis = await startRedis({ ...DURABLE, maxmemory: '12mb' })
    const { url } = await startHub({
      store: redis.url,
      topics: { '*': { retain: { events: 'unlimited', bytes: 'unlimited' } } },
    })
    const wire = await join(url, 'orders', { client: 'c', from: 'start' })
    let last: Position = { epoch: '', offset: 0 }
    for (;;) {
      const reply = await wire.call<Published>(
        'publish',
        Array.from({ length: 10 }, () => ({ data: 'x'.repeat(20_000) })),
      )
      if (!reply.ok) {
        expect(reply.error).toMatchObject({ code: 'storage_full', retryable: true })
        break
      }
      last = { epoch: reply.value.epoch, offset: reply.value.offsets.at(-1) ?? 0 }
    }
    await wire.eventsSeen(last.offset)
    expect(await wire.value('ack', last)).toEqual(last)
    expect(await wire.value('read', { after: last.offset - 1 })).toMatchObject({ last: last.offset })
    const again = await join(url, 'orders', { client: 'c' })
    expect(await again.seen('subscribed')).toMatchObject({ position: last, behind: 0 })
    expect((await fetch(`${url}/v1/topics/orders`, { method: 'DELETE' })).status).toBe(204)
    await until(async () => (await again.call('publish', [{ data: 'small' }])).ok, { what: 'room', everyMs: 50 })
  })

  it('has lost keys by hand says what is gone, and never the same twice', async () => {
    const redis = await startRedis(DURABLE)
    const { url } = await startHub({ store: `${redis.url}?prefix=p:` })
    const keysOf = async (topic: string) => (await redis.cli('--scan', '--pattern', `p:{t:${topic}}*`)).split('\n')
    const again = [0, 1, 2, 3, 4]
    for (const [topic, ending, left] of [
      ['without-log', ':blocks', again],
      // A log that nobody can place goes on under an epoch of its own: it is told from its beginning.
      ['without-record', ':meta', [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...again]],
    ] as const) {
      const wire = await join(url, topic, { from: 'start' })
      const { epoch } = await publishTo(wire, 10)
      await wire.eventsSeen(10)
      const key = (await keysOf(topic)).find((name) => name.endsWith(ending))
      await redis.cli('DEL', key ?? '')
      await publishTo(wire, 5)
      const reader = await join(url, topic, { from: { epoch, offset: 4 } })
      await reader.seen('live')
      const gaps = reader.all('gap')
      expect(gaps.length, topic).toBeGreaterThan(0)
      expect(
        reader.events().map(({ data }) => data),
        topic,
      ).toEqual(left)
    }
  })
})

interface Scene {
  readonly redis: RedisServer
  readonly url: string
  readonly wire: Wire
}

async function standBy(): Promise<Scene> {
  const redis = await startRedis(DURABLE)
  const { url } = await startHub({ store: redis.url })
  const wire = await join(url, 'orders', { client: 'c', from: 'start' }, { deadlineMs: 20_000 })
  await wire.value('publish', [{ data: 1 }])
  await wire.eventsSeen(1)
  return { redis, url, wire }
}

async function outage(
  { url, wire }: Scene,
  takeAway: () => Promise<void>,
  bringBack: () => Promise<void>,
): Promise<void> {
  expect(await readiness(url)).toBe(200)
  await takeAway()
  const began = performance.now()
  const refused = wire.call('publish', [{ data: 2, id: 'two' }])
  await turns(url, 503)
  const reply = await refused
  expect(reply, `${takeAway}: ${JSON.stringify(reply)}`).toMatchObject({
    ok: false,
    error: { code: 'unavailable', retryable: true },
  })
  expect(performance.now() - began).toBeLessThan(15_000)
  expect(wire.socket.connected).toBe(true)
  await bringBack()
  await turns(url, 200)
  await until(async () => (await wire.call('publish', [{ data: 2, id: 'two' }])).ok, { what: 'a publish' })
  await wire.eventsSeen(2)
  expect(wire.events().map(({ data }) => data)).toEqual([1, 2])
  expect(wire.all('gap')).toEqual([])
}

async function publishTo(wire: Wire, count: number): Promise<Published> {
  return await wire.value<Published>(
    'publish',
    Array.from({ length: count }, (_, data) => ({ data })),
  )
}
