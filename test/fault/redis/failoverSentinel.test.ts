/** Sentinel replaces the master under hubs that publish and read: nothing silent, no two truths, and they heal alone. */

import { setTimeout as sleep } from 'node:timers/promises'
import { beforeEach, describe, expect, it } from 'vitest'
import { connect } from '../../../client/index.ts'
import { cutOff, judge, ready, rejoin, startLoad, startReader } from '../../support/books/failover.ts'
import { atEnd } from '../../support/ending.ts'
import { type SentinelSet, startSentinelSet } from '../../support/redis/sentinel.ts'
import { runSeed, seededRandom } from '../../support/seed.ts'
import { has, soak } from '../../support/tools.ts'
import { until } from '../../support/until.ts'

describe.runIf(has('redis-server'))('hubs on Redis with Sentinel', { timeout: soak ? 600_000 : 60_000 }, () => {
  let set: SentinelSet

  // One for each test: sentinels that have just replaced a master hold back, and may disagree for long.
  beforeEach(async () => {
    set = await startSentinelSet()
  })

  it('heal when the master is killed, and tell what the others had not got: exactly, to those who had seen it', async () => {
    const { url, master, masterAfter } = set
    const store = url()
    const { urls, claims, readers, feeders } = await startLoad([store, store, store], 'orders')
    const sdk = connect(urls[2] ?? '')
    atEnd(() => sdk.close())
    const topic = sdk.topic<string>('orders')
    const handled = new Map<number, unknown>()
    const subscription = topic.subscribe(({ offset, data }) => void handled.set(offset, data), { from: 'start' })
    subscription.onGap(({ from, to }) => {
      for (let offset = from ?? 0; offset <= (to ?? 0); offset++) handled.delete(offset)
    })
    const old = await master()
    await cutOff(old)
    const [first] = readers
    const seen = first?.witness.position?.offset ?? 0
    await until(() => readers.every(({ witness }) => (witness.position?.offset ?? 0) > seen + 50))
    await until(() => handled.has(seen + 50))
    // Acknowledged, and lost with its producer's number: the SDK goes on all the same.
    await topic.publish('of the SDK, lost')
    await old.kill()
    const began = performance.now()
    await masterAfter(old)
    // Somebody who was not there for the lost events.
    const late = startReader(urls[1] ?? '', 'orders', 'late', claims)
    await Promise.all(feeders.map((feeder) => feeder.goesOn()))
    await topic.publish('of the SDK, kept')
    const healedMs = performance.now() - began
    await until(async () => (await Promise.all(urls.map(ready))).every(Boolean), { what: 'all to be ready' })
    await Promise.all(feeders.map((feeder) => feeder.stop()))
    const { lost, log, unkept } = await judge(store, 'orders', claims, [...readers, late], feeders)
    // Those of another master's time may have to be told that they are gone.
    await until(() => handled.has(log.head) && handled.size === log.events.size)
    expect([...handled].sort(([a], [b]) => a - b)).toEqual([...log.events])
    expect([...log.events.values()]).toContain('of the SDK, kept')
    expect(lost).toBeGreaterThan(40)
    expect(unkept.length).toBeGreaterThan(40)
    for (const { losses, witness } of readers) expect(losses.length, witness.name).toBeGreaterThan(0)
    // Where the machine is slow the sentinels replace the new master in its turn: that is judged above.
    if (readers.every(({ losses }) => losses.length === 1)) {
      expect(late.losses).toEqual([])
      expect(log.lineage.at(-1)?.startsAfter).toBe((readers[0]?.losses[0]?.gap.from ?? 0) - 1)
    }
    console.info(`${lost} lost and told, acknowledged again ${healedMs.toFixed(0)} ms after the kill`)
  })

  it.runIf(soak)('lose nothing that a replica had when it takes over', async () => {
    const { url, master, masterAfter } = set
    // Both have it, so whichever takes over.
    const store = url('?replicas=2')
    const { claims, readers, feeders } = await startLoad([store, store], 'orders')
    const old = await master()
    await old.kill()
    await masterAfter(old)
    await Promise.all(feeders.map((feeder) => feeder.goesOn()))
    await Promise.all(feeders.map((feeder) => feeder.stop()))
    const { unkept } = await judge(store, 'orders', claims, readers, feeders)
    expect(unkept.filter(({ durability }) => durability === 'replicated:2')).toEqual([])
    const named = feeders.flatMap(({ acknowledged }) => [...acknowledged.values()].map(({ durability }) => durability))
    expect(named.filter((durability) => durability === 'replicated:2').length).toBeGreaterThan(30)
  })

  it.runIf(soak)('never disagree, when the old master is a master for a while beside the new one', async () => {
    const { url, master, masterAfter, whole } = set
    const old = await master()
    // The third hub stays with the old master whatever the sentinels say, like one on the wrong side of a cut.
    const named = url()
    const apart = old.url
    const { urls, claims, readers, feeders } = await startLoad([named, named, apart], 'orders')
    process.kill(old.pid, 'SIGSTOP')
    try {
      await masterAfter(old)
      await Promise.all(feeders.slice(0, 2).map((feeder) => feeder.goesOn()))
    } finally {
      process.kill(old.pid, 'SIGCONT')
    }
    // Two masters take writes.
    const aside = feeders[2]
    const before = aside?.acknowledged.size ?? 0
    await until(() => (aside?.acknowledged.size ?? 0) > before + 20, { what: 'publishes to the old master' })
    await Promise.all(feeders.slice(0, 2).map((feeder) => feeder.goesOn()))
    await whole()
    await until(() => readers[2]?.losses.length, { what: 'the reader at the old master to be told' })
    aside?.abandon()
    await Promise.all(feeders.slice(0, 2).map((feeder) => feeder.stop()))
    const { unkept } = await judge(named, 'orders', claims, readers, feeders)
    expect(unkept.length).toBeGreaterThan(20)
    await until(async () => !(await ready(urls[2] ?? '')), { what: 'the hub at the old master to be red' })
  })

  it('go on with a healthy master while the sentinels are gone, and find the next one when they are back', async () => {
    const { url, master, masterAfter, sentinels, whole } = set
    const store = url()
    const { claims, readers, feeders, urls } = await startLoad([store, store], 'orders')
    const old = await master()
    const [stopped, ...killed] = sentinels
    if (stopped === undefined) throw new Error('no sentinels')
    process.kill(stopped.pid, 'SIGSTOP')
    await Promise.all(killed.map(({ kill }) => kill()))
    await Promise.all(feeders.map((feeder) => feeder.goesOn()))
    expect(await Promise.all(urls.map(ready))).toEqual([true, true])
    expect(feeders.flatMap(({ errors }) => errors)).toEqual([])
    await old.kill()
    for (const { restart } of killed) await restart()
    // One sentinel still hangs: two are enough for a new master, and for the hubs to hear of it.
    await masterAfter(old)
    await Promise.all(feeders.map((feeder) => feeder.goesOn()))
    process.kill(stopped.pid, 'SIGCONT')
    await old.restart()
    await whole()
    await Promise.all(feeders.map((feeder) => feeder.stop()))
    await judge(store, 'orders', claims, readers, feeders)
  })

  it.runIf(soak)('stay true to what they told through many failovers at any moment', async () => {
    const random = seededRandom(runSeed('failover-sentinel'))
    const { url, master, masterAfter, whole } = set
    const store = url()
    const { claims, readers, feeders } = await startLoad([store, store, store], 'orders')
    for (let round = 0; round < 8; round++) {
      await sleep(random.integer(0, 1_500))
      const old = await master()
      if (random.chance(0.5)) await cutOff(old)
      await sleep(random.integer(0, 300))
      const stops = random.chance(0.4)
      if (stops) process.kill(old.pid, 'SIGSTOP')
      else await old.kill()
      await masterAfter(old)
      if (stops) process.kill(old.pid, 'SIGCONT')
      else await old.restart()
      await Promise.all(feeders.map((feeder) => feeder.goesOn()))
      await rejoin(old)
      await whole()
    }
    await Promise.all(feeders.map((feeder) => feeder.stop()))
    const { lost, log } = await judge(store, 'orders', claims, readers, feeders)
    console.info(`${log.head} events, ${lost} lost and told, ${log.lineage.length} epochs`)
  })
})
