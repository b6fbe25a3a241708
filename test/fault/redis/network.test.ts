/** A bad network between hubs and a healthy Redis: connections that go silent, and answers that are cut on their way. */

import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { connect } from '../../../client/index.ts'
import { openRedis } from '../../../server/store/redis/store.ts'
import { publish } from '../../store/conformance/fixture.ts'
import { readAll } from '../../support/books/ledger.ts'
import { joinQueues, settlement } from '../../support/clients/jobs.ts'
import { Publisher } from '../../support/clients/publisher.ts'
import { join } from '../../support/clients/wire.ts'
import { Witness } from '../../support/clients/witness.ts'
import { startHub } from '../../support/hub/hub.ts'
import { startRelay } from '../../support/network/relay.ts'
import { startRedis } from '../../support/redis/redis.ts'
import { runSeed, seededRandom } from '../../support/seed.ts'
import { has } from '../../support/tools.ts'
import { until } from '../../support/until.ts'

const DURABLE = { appendonly: 'yes', appendfsync: 'always' }

it.runIf(has('redis-server'))(
  'a hub whose connections to Redis go silent for ever finds out and makes new ones',
  { timeout: 40_000 },
  async () => {
    const redis = await startRedis(DURABLE)
    const relay = await startRelay(redis.url.replace('redis', 'http'))
    const near = await startHub({ store: redis.url })
    const nearOnly = await listeners(redis)
    const far = await startHub({ store: relay.url.replace('http', 'redis') })
    const witness = new Witness(far.url, 'orders', 'behind the relay')
    const publisher = new Publisher(near.url, 'orders', { name: 'p', batch: 2, pauseMs: 5 })
    await witness.reaches(20)
    const before = (await listeners(redis)).filter((id) => !nearOnly.includes(id))
    expect(before).toHaveLength(1)
    relay.freeze()
    const renewed = async () => (await listeners(redis)).some((id) => ![...nearOnly, ...before].includes(id))
    await until(renewed, { what: 'another connection for notifications', deadlineMs: 6_000 })
    await publisher.stop()
    await witness.reaches(publisher.acknowledged.size)
    const wire = await join(far.url, 'orders')
    await until(async () => (await wire.call('publish', [{ data: 'through' }])).ok, { what: 'a publish' })
    await until(async () => (await fetch(`${far.url}/readyz`)).status === 200, { what: '/readyz to say 200' })
    expect([...witness.faults, ...witness.gaps]).toEqual([])
  },
)

it.runIf(has('redis-server'))(
  'a connection that goes silent under many calls is given up once',
  { timeout: 40_000 },
  async () => {
    const redis = await startRedis(DURABLE)
    const relay = await startRelay(redis.url.replace('redis', 'http'))
    const store = await openRedis(relay.url.replace('http', 'redis'))
    const warnings: string[] = []
    const warned = ({ name, message }: Error) => void warnings.push(`${name}: ${message}`)
    process.on('warning', warned)
    relay.freeze()
    const calls = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => publish(store, `t${i}`, i)))
    await publish(store, 't', 'through')
    process.off('warning', warned)
    await store.close()
    expect(calls.map(({ status }) => status)).toEqual(calls.map(() => 'rejected'))
    // A listener that each of them left on the socket would be told of as a leak.
    expect(warnings).toEqual([])
  },
)

it.runIf(has('redis-server'))(
  'an SDK asks again for what was cut on its way, and is stored once, in order',
  {
    timeout: 40_000,
  },
  async () => {
    const random = seededRandom(runSeed('redis-network'))
    const redis = await startRedis(DURABLE)
    const relay = await startRelay(redis.url.replace('redis', 'http'))
    const { url } = await startHub({ store: relay.url.replace('http', 'redis') })
    const hub = connect(url)
    const topic = hub.topic('orders')
    const heard: unknown[] = []
    const subscription = topic.subscribe((event) => void heard.push(event.data), { from: 'start' })
    const receipts: Promise<unknown>[] = []
    relay.delay(2)
    for (let round = 0; round < 8; round++) {
      for (let i = 0; i < 25; i++) {
        receipts.push(topic.publish(receipts.length))
        if (i % 5 === 4) await sleep(random.integer(0, 4))
      }
      relay.cut()
      await receipts.at(random.integer(-25, -1))
    }
    await Promise.all(receipts)
    const wanted = receipts.map((_, n) => n)
    expect((await readAll(url, 'orders')).map(({ data }) => data)).toEqual(wanted)
    await until(() => heard.length >= wanted.length, { what: 'the events', seen: () => heard.length })
    expect(heard).toEqual(wanted)
    await subscription.close()
    await hub.close()
  },
)

it.runIf(has('redis-server'))(
  'a worker behind a split network loses its lease, and settles nothing that another has done',
  { timeout: 40_000 },
  async () => {
    const redis = await startRedis(DURABLE)
    const relay = await startRelay(redis.url.replace('redis', 'http'))
    const near = await startHub({ store: redis.url })
    const far = await startHub({ store: relay.url.replace('http', 'redis') })
    const sender = await joinQueues(near.url)
    const cutOff = await joinQueues(far.url, { client: 'far' }, { transports: ['polling'] })
    await cutOff.consume('work', { credit: 1, leaseMs: 500 })
    const { ids } = await sender.send('work', { data: 1 }, { data: 2 })
    const [held] = await cutOff.jobsSeen(1)
    if (held === undefined) throw new Error('nothing was handed out')
    relay.blackHole(true)
    const worker = await joinQueues(near.url, { client: 'near' })
    await worker.consume('work', { credit: 2, leaseMs: 30_000 })
    const taken = await worker.jobsSeen(2)
    expect(taken.map(({ id }) => id).sort()).toEqual([...ids].sort())
    for (const job of taken) expect(await worker.settle('work', settlement(job))).toEqual(['ok'])
    relay.blackHole(false)
    const settled = await until(
      async () => {
        const reply = await cutOff.call('settle', 'work', [settlement(held)])
        return reply.ok ? reply.value : undefined
      },
      { what: 'an answer through the network', deadlineMs: 20_000 },
    )
    expect(settled).toEqual(['lost'])
    const { counts } = (await (await fetch(`${near.url}/v1/queues/work`)).json()) as { counts: Record<string, number> }
    expect(counts).toMatchObject({ sent: 2, done: 2, ready: 0, held: 0 })
  },
)

/** The connections of hubs on which Redis tells what happened. */
async function listeners(redis: { cli(...args: string[]): Promise<string> }): Promise<string[]> {
  const lines = (await redis.cli('CLIENT', 'LIST', 'TYPE', 'pubsub')).split('\n')
  return lines.flatMap((line) => /^id=(\d+)/.exec(line)?.[1] ?? [])
}

it.runIf(has('redis-server'))(
  'a drop that is done is answered, though Redis goes before its name is forgotten',
  async () => {
    const redis = await startRedis()
    const relay = await startRelay(redis.url)
    const near = await openRedis(redis.url)
    const far = await openRedis(`redis://127.0.0.1:${relay.port}`)
    const bytes = () => relay.bytesToClients
    await publish(near, 'orders', 1)
    await far.topics.read('orders', 0, { events: 1, bytes: 1 })
    relay.delay(100)
    const dropped = far.topics.drop('orders')
    const isGone = async () => (await near.topics.list({ names: ['orders'] })).length === 0
    await until(isGone, { what: 'the drop', everyMs: 1 })
    const before = bytes()
    await until(() => bytes() > before, { what: 'the word of it', everyMs: 1 })
    relay.cut()
    relay.refuse(true)
    expect(await dropped).toBe(true)
    relay.refuse(false)
    relay.delay(0)
    await publish(near, 'orders', 2)
    expect((await near.topics.list({ limit: 10 })).map(({ topic }) => topic)).toEqual(['orders'])
    await Promise.all([near.close(), far.close()])
  },
)
