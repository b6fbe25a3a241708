/** A topic that is born while several nodes look at it: nobody's place from before its birth is told as lost. */

import { describe, expect, it } from 'vitest'
import { openRedis } from '../../server/store/redis/store.ts'
import { placeIn } from '../../shared/positions.ts'
import { drafts, KEEP, publish } from '../store/conformance/fixture.ts'
import { atEnd } from '../support/ending.ts'
import { type Relay, startRelay } from '../support/network/relay.ts'
import { startRedis } from '../support/redis/redis.ts'
import { runSeed, seededRandom } from '../support/seed.ts'
import { has } from '../support/tools.ts'
import { until } from '../support/until.ts'

const TOPICS = 300

describe.runIf(has('redis-server'))('a topic that several nodes bring to life at once', () => {
  it('knows every epoch that was told before', async () => {
    const random = seededRandom(runSeed('birth'))
    const { url } = await startRedis()
    const open = async () => {
      const store = await openRedis(url)
      atEnd(() => store.close())
      return store
    }
    const nodes = await Promise.all([1, 2, 3, 4].map(open))
    const unknown: string[] = []
    const one = async (topic: string) => {
      const told: Promise<{ epoch: string; head: number }>[] = []
      const calls = random.shuffle([...nodes, ...nodes, ...nodes].map((node, i) => ({ node, i })))
      const done = calls.map(async ({ node, i }) => {
        if (random.chance(0.5)) await new Promise((resolve) => setImmediate(resolve))
        if (i % 3 === 0) await node.topics.append(topic, { subject: '', drafts: drafts(i), retain: KEEP })
        else if (i % 3 === 1) told.push(node.topics.read(topic, 0, { events: 1, bytes: 1 }))
        else told.push(node.cursors.open(topic, { subject: '', client: `c${i}` }, 'end'))
      })
      await Promise.all(done)
      const page = await node0().topics.read(topic, 0, { events: 1, bytes: 1 })
      for (const { epoch, head: offset } of await Promise.all(told)) {
        if (placeIn(page, { epoch, offset })?.offset !== offset) unknown.push(`${topic}: ${epoch}:${offset}`)
      }
    }
    const node0 = () => {
      const [first] = nodes
      if (first === undefined) throw new Error('no nodes')
      return first
    }
    for (let i = 0; i < TOPICS; i += 10) {
      await Promise.all(Array.from({ length: 10 }, (_, n) => one(`t${i + n}`)))
      // A drop begins an epoch of the store as well.
      await node0().topics.drop(`t${i}`)
    }
    expect(unknown).toEqual([])
  })

  it('is in the list, though another node takes the name of a dropped one away meanwhile', async () => {
    const server = await startRedis()
    const near = await openRedis(server.url)
    const [slow, slower] = [await startRelay(server.url), await startRelay(server.url)]
    const open = ({ port }: Relay) => openRedis(`redis://127.0.0.1:${port}`)
    const [dropping, publishing] = [await open(slow), await open(slower)]
    const named = async () => (await near.topics.list({ limit: 10 })).map(({ topic }) => topic)
    const calls = async () => {
      const [, count = '0'] = /cmdstat_zadd:calls=(\d+)/.exec(await server.cli('info', 'commandstats')) ?? []
      return Number(count)
    }
    await publish(near, 't', 1)
    // The drop is done, and its node does not know yet.
    slow.delay(100)
    const dropped = dropping.topics.drop('t')
    await until(async () => (await near.topics.list({ names: ['t'] })).length === 0, { what: 'the drop', everyMs: 1 })
    slow.blackHole(true)
    // The other one has written the name, and does not know yet.
    const before = await calls()
    slower.delay(150)
    const published = publish(publishing, 't', 2)
    await until(async () => (await calls()) > before, { what: 'the name', everyMs: 1 })
    slow.delay(0)
    slow.blackHole(false)
    expect(await dropped).toBe(true)
    slower.delay(0)
    await published
    expect(await named()).toEqual(['t'])
    await Promise.all([near.close(), dropping.close(), publishing.close()])
  })
})
