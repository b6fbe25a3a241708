/** A topic that is born while several nodes look at it: nobody's place from before its birth is told as lost. */

import { describe, expect, it } from 'vitest'
import { openRedis } from '../../server/store/redis/store.ts'
import { placeIn } from '../../shared/positions.ts'
import { drafts, KEEP } from '../store/conformance/fixture.ts'
import { atEnd } from '../support/ending.ts'
import { startRedis } from '../support/redis/redis.ts'
import { runSeed, seededRandom } from '../support/seed.ts'
import { has } from '../support/tools.ts'

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
})
