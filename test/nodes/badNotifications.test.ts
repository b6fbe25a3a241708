/** Three nodes on one Redis whose notifications are late, doubled, and one in a hundred lost. */

import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { openStore } from '../../server/store/open.ts'
import { hubOn, withBadNotifications } from '../support/core/bare.ts'
import { TestChannel, TestOutlet } from '../support/core/outlet.ts'
import { atEnd } from '../support/ending.ts'
import { startRedis } from '../support/redis/redis.ts'
import { runSeed, seededRandom } from '../support/seed.ts'
import { has, soak } from '../support/tools.ts'
import { until } from '../support/until.ts'

const ROUNDS = soak ? 100 : 2
const EVENTS = 1_500

it.runIf(has('redis-server'))(
  'every subscriber of every node has every event in the same order, once',
  {
    timeout: soak ? 3_600_000 : 60_000,
  },
  async () => {
    const { url } = await startRedis()
    const seed = runSeed('bad notifications on three nodes')
    const stores = await Promise.all([1, 2, 3].map(() => openStore(url)))
    atEnd(async () => {
      await Promise.all(stores.map((store) => store.close()))
    })
    for (let round = 0; round < ROUNDS; round++) {
      const random = seededRandom(seed + round)
      const hubs = await Promise.all(stores.map((store) => hubOn(withBadNotifications(store, random, 0.01))))
      const topic = `t-${round}`
      const readers: { outlet: TestOutlet; first: number }[] = []
      let published = 0
      const publishers = hubs.map(async (hub, node) => {
        for (let n = 0; n < EVENTS / hubs.length; ) {
          const count = random.integer(1, 20)
          await hub.publish(
            topic,
            Array.from({ length: count }, (_, i) => `${node}:${n + i}`),
          )
          n += count
          published += count
        }
      })
      let going = true
      const done = Promise.all(publishers).then(() => {
        going = false
      })
      while (going) {
        const hub = random.pick(hubs)
        const pace = random.chance(0.5) ? () => sleep(random.integer(0, 10)) : async () => {}
        const outlet = new TestOutlet(new TestChannel(), pace)
        const info = await hub.subscribe(topic, outlet).start({ from: random.pick(['start', 'end'] as const) }, false)
        readers.push({ outlet, first: info.position.offset + 1 })
        const victim = random.pick(readers).outlet
        if (victim.isLive && random.chance(0.3)) victim.overfull = true
        await sleep(random.integer(1, 15))
      }
      await done
      const data = (outlet: TestOutlet) => outlet.told.flatMap((told) => (told.kind === 'event' ? [told.data] : []))
      const whole = readers.find(({ first }) => first === 1)
      for (const { outlet, first } of readers) {
        await until(() => outlet.offsets.length >= published - first + 1 && outlet.isLive, {
          what: `a reader from ${first} to have all ${published} (seed ${seed + round})`,
          seen: () => ({ last: outlet.offsets.at(-1), live: outlet.isLive }),
          deadlineMs: 15_000,
        })
      }
      for (const { outlet, first } of readers) {
        expect(outlet.offsets).toEqual(Array.from({ length: published - first + 1 }, (_, i) => first + i))
        expect(outlet.told.filter(({ kind }) => kind === 'gap')).toEqual([])
        if (whole !== undefined) expect(data(outlet)).toEqual(data(whole.outlet).slice(first - 1))
      }
      for (const { fanout } of hubs) fanout.close()
    }
  },
)

it.runIf(has('redis-server'))('a node is told only of the topics that it serves', async () => {
  const redis = await startRedis()
  const [busy, quiet] = [await openStore(redis.url), await openStore(redis.url)]
  atEnd(async () => {
    await Promise.all([busy.close(), quiet.close()])
  })
  const [one, two] = [await hubOn(busy), await hubOn(quiet)]
  const outlet = new TestOutlet(new TestChannel())
  await two.subscribe('mine', outlet).start({ from: 'start' }, false)
  await until(() => outlet.isLive, { what: 'the subscriber to be live' })
  const received = async () => {
    const clients = (await redis.cli('CLIENT', 'LIST', 'TYPE', 'pubsub')).split('\n')
    return clients.map((line) => Number(/tot-net-out=(\d+)/.exec(line)?.[1] ?? 0))
  }
  const channels = (await redis.cli('PUBSUB', 'SHARDCHANNELS')).split('\n').filter((name) => name.includes('{t:'))
  expect(channels.filter((name) => !name.includes('{t:mine}'))).toEqual([])
  const before = await received()
  for (let i = 0; i < 50; i++) await one.publish(`other-${i % 5}`, ['x'.repeat(10_000)])
  await one.publish('mine', ['here'])
  await until(() => outlet.offsets.length === 1, { what: 'the event of its own topic' })
  const after = await received()
  // Redis before 7.4 does not count what it sends: there the list of channels says it all.
  if (before.every((bytes) => bytes > 0)) {
    expect(Math.max(...after.map((bytes, i) => bytes - (before[i] ?? 0)))).toBeLessThan(50_000)
  }
  for (const { fanout } of [one, two]) fanout.close()
})
