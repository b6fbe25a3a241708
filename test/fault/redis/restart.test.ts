/** Hubs on one Redis that is killed and started again: under load, with everything kept, and with its tail cut off. */

import { cp, rm } from 'node:fs/promises'
import { join as joinPath } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Position } from '../../../shared/positions.ts'
import { contradictions, readAll } from '../../support/books/ledger.ts'
import { Publisher } from '../../support/clients/publisher.ts'
import { join } from '../../support/clients/wire.ts'
import { Witness } from '../../support/clients/witness.ts'
import type { HubProcess } from '../../support/hub/process.ts'
import { spawnHub } from '../../support/hub/process.ts'
import { type RedisServer, startRedis } from '../../support/redis/redis.ts'
import { type Random, runSeed, seededRandom } from '../../support/seed.ts'
import { tempFolder } from '../../support/temp.ts'
import { has, soak } from '../../support/tools.ts'
import { until } from '../../support/until.ts'

const ROUNDS = soak ? 100 : 2
const TIMEOUT_MS = soak ? 3_600_000 : 60_000

describe.runIf(has('redis-server'))('hubs on a Redis that is killed', () => {
  it('keep every acknowledged event with appendfsync always, whatever ends first, and come back by themselves', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const random = seededRandom(runSeed('redis-restart'))
    const redis = await startRedis({ appendonly: 'yes', appendfsync: 'always' })
    const hubs = [await spawnHub({ store: redis.url }), await spawnHub({ store: redis.url })]
    const [one, two] = hubs.map(({ url }) => url) as [string, string]
    const publishers = [
      new Publisher(one, 'orders', { name: 'p1', batch: 5, pauseMs: 3 }),
      new Publisher(two, 'orders', { name: 'p2', batch: 1, window: 8, pauseMs: 3 }),
    ]
    const witnesses = [
      new Witness(one, 'orders', 'position on one'),
      new Witness(two, 'orders', 'position on two'),
      new Witness(one, 'orders', 'cursor on one', { client: 'c1' }),
      new Witness(two, 'orders', 'paced cursor on two', { client: 'c2', paced: true }),
    ]
    for (let round = 0; round < ROUNDS; round++) {
      await sleep(random.integer(100, 600))
      await disturb(redis, hubs, random)
      await until(() => publishers.every(({ socket }) => socket.connected), { what: 'the publishers to be back' })
      if (witnesses.some(({ faults }) => faults.length > 0)) break
    }
    await Promise.all(publishers.map((publisher) => publisher.stop()))
    const events = await readAll(one, 'orders')
    expect(contradictions(events, publishers)).toEqual([])
    for (const witness of witnesses) await witness.reaches(events.length)
    for (const witness of witnesses) {
      expect(witness.faults, witness.name).toEqual([])
      expect(witness.gaps, witness.name).toEqual([])
      expect(witness.errors, witness.name).toEqual([])
      expect(witness.events.size, witness.name).toBe(events.length)
    }
    expect(events.length).toBeGreaterThan(ROUNDS * 5)
  })

  it.each(['go on', 'are started anew'])(
    'tell exactly the events that a cut file has lost, to those who had seen them and to nobody else, when they %s',
    async (meanwhile) => {
      const redis = await startRedis({ appendonly: 'yes', appendfsync: 'everysec' })
      let hubs = [await spawnHub({ store: redis.url }), await spawnHub({ store: redis.url })]
      const [one, two] = hubs.map(({ url }) => url) as [string, string]
      const publisher = new Publisher(one, 'orders', { name: 'p', batch: 20, total: 100 })
      await publisher.settled()
      const beyond = new Witness(two, 'orders', 'beyond')
      const cursorBeyond = new Witness(one, 'orders', 'cursor beyond', { client: 'beyond' })
      const before = new Witness(two, 'orders', 'before')
      const cursorBefore = new Witness(one, 'orders', 'cursor before', { client: 'before' })
      for (const witness of [beyond, cursorBeyond, before, cursorBefore]) await witness.reaches(100)
      await until(() => cursorBefore.acknowledged === 100 && cursorBeyond.acknowledged === 100, { what: 'acks' })
      const seen = beyond.position as Position
      const elsewhere = await join(one, 'orders', { client: 'elsewhere', from: seen })
      await elsewhere.seen('live')
      elsewhere.close()
      before.socket.disconnect()
      cursorBefore.socket.disconnect()
      const kept = joinPath(await tempFolder(), 'kept')
      await redis.cli('WAIT', '0', '0')
      await cp(joinPath(redis.folder, 'appendonlydir'), kept, { recursive: true })
      const lost = new Publisher(one, 'orders', { name: 'lost', batch: 10, total: 50 })
      await lost.settled()
      for (const witness of [beyond, cursorBeyond]) await witness.reaches(150)
      await until(() => cursorBeyond.acknowledged === 150, { what: 'the ack that will be lost' })
      const last = beyond.position as Position

      await redis.kill()
      if (meanwhile === 'are started anew') for (const hub of hubs) await hub.kill()
      await rm(joinPath(redis.folder, 'appendonlydir'), { recursive: true })
      await cp(kept, joinPath(redis.folder, 'appendonlydir'), { recursive: true })
      await redis.restart()
      if (meanwhile === 'are started anew')
        hubs = await Promise.all(hubs.map(({ port }) => spawnHub({ store: redis.url, port })))

      const after = new Publisher(two, 'orders', { name: 'after', batch: 10, total: 70 })
      await after.settled()
      before.socket.connect()
      cursorBefore.socket.connect()
      for (const witness of [beyond, before, cursorBefore, cursorBeyond]) await witness.reaches(170)
      expect(beyond.gaps).toMatchObject([{ from: 101, to: 150, count: 50, reason: 'reset' }])
      // Its cursor went back to what Redis has; what it held itself is not asked for.
      for (const witness of [before, cursorBefore]) expect(witness.gaps, witness.name).toEqual([])
      for (const witness of [beyond, before, cursorBefore]) {
        expect(witness.faults, witness.name).toEqual([])
        expect(witness.events.size, witness.name).toBe(170)
      }
      expect(beyond.epochs.size).toBeGreaterThan(1)
      // Cursors come back later, on the other hub: one that was before the cut, one that brings what it had seen.
      const same = await join(two, 'orders', { client: 'elsewhere', onGap: 'fail' })
      expect((await same.eventsSeen(70)).map(({ offset }) => offset)).toEqual(numbersFrom(101, 70))
      const late = await join(two, 'orders', { client: 'elsewhere', from: last })
      expect((await late.eventsSeen(70)).map(({ offset }) => offset)).toEqual(numbersFrom(101, 70))
      expect(late.all('gap')).toMatchObject([{ from: 101, to: 150, count: 50, reason: 'reset' }])
    },
  )
})

function numbersFrom(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + i)
}

/** Ends Redis, hubs or both in some order, and starts what was ended. */
async function disturb(redis: RedisServer, hubs: HubProcess[], random: Random): Promise<void> {
  const fate = random.integer(0, 3)
  const at = random.integer(0, hubs.length - 1)
  const { port } = hubs[at] as HubProcess
  const again = async () => {
    hubs[at] = await spawnHub({ store: redis.url, port })
  }
  if (fate === 0) await redis.restart()
  else if (fate === 1) {
    await redis.kill()
    await sleep(random.integer(0, 1_500))
    await redis.restart()
  } else if (fate === 2) {
    await hubs[at]?.kill()
    await redis.restart()
    await again()
  } else {
    await redis.kill()
    await hubs[at]?.kill()
    await redis.restart()
    await again()
  }
}
