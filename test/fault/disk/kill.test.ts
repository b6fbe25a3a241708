/** `kill -9` of the hub at any moment, again and again, on the same store. */

import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import type { Published } from '../../../shared/protocol.ts'
import { contradictions, readAll } from '../../support/books/ledger.ts'
import { Publisher } from '../../support/clients/publisher.ts'
import { join } from '../../support/clients/wire.ts'
import { Witness } from '../../support/clients/witness.ts'
import { describeStores } from '../../support/hub/stores.ts'
import { startRelay } from '../../support/network/relay.ts'
import { runSeed, seededRandom } from '../../support/seed.ts'
import { soak } from '../../support/tools.ts'
import { until } from '../../support/until.ts'

const ROUNDS = soak ? 1_000 : 1
const TIMEOUT_MS = soak ? 3_600_000 : 60_000

describeStores('a hub on $name that is killed', (store) => {
  it('keeps every acknowledged event once, in order, and leads every subscriber on without a gap', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const random = seededRandom(runSeed('kill'))
    const place = await store.place()
    let hub = await place.spawn()
    const { url, port } = hub
    const relay = await startRelay(url)
    const topic = 'orders'
    const publishers = [
      new Publisher(url, topic, { name: 'p1', batch: 7, pauseMs: 4 }),
      new Publisher(url, topic, { name: 'p2', batch: 1, window: 16, pauseMs: 4 }),
      new Publisher(url, topic, { name: 'p3', transports: ['polling'], padding: 2_000, pauseMs: 4 }),
    ]
    const witnesses = [
      new Witness(url, topic, 'position'),
      new Witness(relay.url, topic, 'position, slow', { paced: true, holdMs: 5 }),
      new Witness(url, topic, 'position, polling', { transports: ['polling'] }),
      new Witness(url, topic, 'cursor', { client: 'c1' }),
      new Witness(url, topic, 'cursor, polling', { client: 'c2', transports: ['polling'], paced: true }),
    ]
    // Of hubs that may have died in the middle of the topic's birth: the next one cannot tell that from a loss of all.
    let unborn = 0
    let isSeen = false
    const kill = async (victim: { kill(): Promise<unknown> }) => {
      isSeen ||= witnesses.some(({ events }) => events.size > 0)
      if (publishers.every(({ acknowledged }) => acknowledged.size === 0)) unborn++
      await victim.kill()
    }
    for (let round = 0; round < ROUNDS; round++) {
      // A new one each time replays from the start while the hub dies.
      const late = new Witness(url, topic, `late ${round}`, { keep: false })
      await sleep(random.integer(0, 500))
      if (random.chance(0.3)) relay.cut()
      await kill(hub)
      const stillborn = random.chance(0.3)
      if (stillborn) {
        const starting = place.spawn({ port }).catch(() => undefined)
        await sleep(random.integer(0, 900))
        const other = await starting
        if (other !== undefined) await kill(other)
      }
      hub = await place.spawn({ port })
      await until(() => publishers.every(({ socket }) => socket.connected), { what: 'the publishers to be back' })
      expect(late.faults).toEqual([])
      late.close()
      if (witnesses.some(({ faults }) => faults.length > 0)) break
    }
    await Promise.all(publishers.map((publisher) => publisher.stop()))
    const events = await readAll(url, topic)
    expect(contradictions(events, publishers)).toEqual([])
    const head = events.length
    for (const witness of witnesses) await witness.reaches(head, 60_000)
    for (const witness of witnesses) {
      expect(witness.faults, witness.name).toEqual([])
      expect(witness.gaps, witness.name).toEqual([])
      expect(witness.errors, witness.name).toEqual([])
      expect(witness.events.size, witness.name).toBe(head)
      // A Redis goes on where its hub ends.
      if (store.name !== 'lmdb') expect(witness.epochs.size, witness.name).toBeLessThanOrEqual(1 + unborn)
    }
    // The embedded store ends with its hub; who was slow may have come when all was over, or all of them.
    if (store.name === 'lmdb' && isSeen)
      expect(Math.max(...witnesses.map(({ epochs }) => epochs.size))).toBeGreaterThan(1)
    expect(events.map(({ data }) => data)).toEqual([...(witnesses[0]?.events.values() ?? [])].map(({ data }) => data))
    for (const { errors } of publishers) expect(errors).toEqual([])
    expect(head).toBeGreaterThan(ROUNDS)
  })

  it('finds a publish whose reply was lost by its number and by its id', async () => {
    const place = await store.place()
    let hub = await place.spawn()
    const relay = await startRelay(hub.url)
    const witness = new Witness(hub.url, 'orders', 'witness')
    const wire = await join(relay.url, 'orders', { from: 'none' })
    await wire.value('publish', [{ data: 1 }], { producer: 'p', seq: 1 })
    relay.throttle(0.01)
    wire.socket.emit('publish', [{ data: 2 }, { data: 3 }], { producer: 'p', seq: 2 }, () => {
      throw new Error('the reply was not lost')
    })
    wire.socket.emit('publish', [{ data: 4, id: 'four' }], null, () => {})
    await witness.reaches(4)
    await hub.kill()
    relay.cut()
    hub = await place.spawn({ port: hub.port })
    const again = await join(hub.url, 'orders', { from: 'none' })
    const row = (seq: number) => ({ producer: 'p', seq })
    const part = await again.value<Published>('publish', [{ data: 3 }, { data: 5 }], row(3))
    expect(part).toMatchObject({ offsets: [3, 5], duplicates: 1 })
    expect(await again.value('publish', [{ data: 1 }], row(1))).toMatchObject({ offsets: [1], duplicates: 1 })
    expect(await again.value('publish', [{ data: 4, id: 'four' }])).toMatchObject({ offsets: [4], duplicates: 1 })
    expect(await again.call('publish', [{ data: 9 }], row(9))).toMatchObject({ error: { code: 'conflict' } })
    expect((await readAll(hub.url, 'orders')).map(({ data }) => data)).toEqual([1, 2, 3, 4, 5])
    await witness.reaches(5)
    expect([...witness.faults, ...witness.gaps]).toEqual([])
  })

  it('is back for its clients as soon as it serves, those included that came while it was starting', async () => {
    const place = await store.place()
    const { port, url, kill } = await place.spawn()
    const witnesses = (['websocket', 'polling'] as const).map(
      (transport) => new Witness(url, 'orders', transport, { transports: [transport] }),
    )
    await until(() => witnesses.every(({ live }) => live === 1), { what: 'the witnesses to be live' })
    await kill()
    await place.spawn({ port })
    await until(() => witnesses.every(({ live }) => live === 2), { what: 'them to be live again', deadlineMs: 2_000 })
  })
})
