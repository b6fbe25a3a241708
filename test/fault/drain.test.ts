/** SIGTERM under load, and the next hub in the same place. */

import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import type { Published } from '../../shared/protocol.ts'
import { contradictions, readAll } from '../support/books/ledger.ts'
import { Publisher } from '../support/clients/publisher.ts'
import { join } from '../support/clients/wire.ts'
import { Witness } from '../support/clients/witness.ts'
import { describeStores } from '../support/hub/stores.ts'
import { startRelay } from '../support/network/relay.ts'
import { runSeed, seededRandom } from '../support/seed.ts'
import { soak } from '../support/tools.ts'
import { until, within } from '../support/until.ts'

const TOPIC = 'orders'
/** Clients that hardly read are waited for so long. */
const DRAIN = ['--drain-ms', '1s']
const ROUNDS = soak ? 500 : 1
const TIMEOUT_MS = soak ? 3_600_000 : 60_000

describeStores('a hub on $name that is told to stop', (store) => {
  it('ends well under load; everyone comes back to the next one and lacks nothing', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const random = seededRandom(runSeed('drain'))
    const place = await store.place()
    let hub = await place.spawn({ args: DRAIN })
    const { url, port } = hub
    const relay = await startRelay(url)
    const publishers = [
      new Publisher(url, TOPIC, { name: 'p1', batch: 5, pauseMs: 4 }),
      new Publisher(url, TOPIC, { name: 'p2', batch: 1, window: 16, pauseMs: 4 }),
      new Publisher(url, TOPIC, { name: 'p3', transports: ['polling'], pauseMs: 4 }),
    ]
    const witnesses = [
      new Witness(url, TOPIC, 'position'),
      new Witness(url, TOPIC, 'polling', { transports: ['polling'] }),
      new Witness(url, TOPIC, 'paced', { paced: true, holdMs: 20 }),
      new Witness(url, TOPIC, 'cursor', { client: 'c1' }),
    ]
    // It takes a page and never asks for more; another one hardly reads.
    await join(url, TOPIC, { from: 'start', paced: true }, { holdPages: true })
    new Witness(relay.url, TOPIC, 'slow')
    relay.throttle(1_000)
    for (let round = 0; round < ROUNDS; round++) {
      await until(() => [...publishers, ...witnesses].every(({ socket }) => socket.connected), { what: 'everyone' })
      await sleep(random.integer(20, 400))
      hub.process.kill('SIGTERM')
      const exit = await within(hub.exited, 9_000, 'the end of the hub')
      expect(exit).toEqual({ code: 0, signal: null })
      // Nobody was told that it is final.
      for (const { socket } of [...publishers, ...witnesses]) expect(socket.active).toBe(true)
      await sleep(random.integer(0, 300))
      hub = await place.spawn({ port, args: DRAIN })
    }
    await Promise.all(publishers.map((publisher) => publisher.stop()))
    const events = await readAll(url, TOPIC)
    expect(contradictions(events, publishers)).toEqual([])
    for (const witness of witnesses) {
      await witness.reaches(events.length)
      expect(witness.faults, witness.name).toEqual([])
      expect(witness.gaps, witness.name).toEqual([])
      expect(witness.errors, witness.name).toEqual([])
      expect(witness.events.size).toBe(events.length)
    }
    for (const { errors } of publishers) for (const { code } of errors) expect(code).toBe('unavailable')
    expect((await hub.kill('SIGTERM')).code).toBe(0)
  })

  it('answers what it has accepted; a reply that is lost all the same is found by its number', async () => {
    const place = await store.place()
    const hub = await place.spawn({ args: DRAIN })
    const relay = await startRelay(hub.url)
    const direct = await join(hub.url, TOPIC, { from: 'none' })
    const behindRelay = await join(relay.url, TOPIC, { from: 'none' })
    relay.throttle(0.01)
    const accepted: number[] = []
    const drafts = Array.from({ length: 50 }, (_, i) => ({ data: i }))
    for (let call = 0; call < 20; call++) {
      direct.socket.emit('publish', drafts, { producer: 'direct', seq: 1 + call * 50 }, (reply: { ok: boolean }) => {
        if (reply.ok) accepted.push(call)
      })
      behindRelay.socket.emit('publish', drafts, { producer: 'relay', seq: 1 + call * 50 }, () => {})
    }
    await until(() => accepted.length > 0)
    hub.process.kill('SIGTERM')
    expect(await within(hub.exited, 6_000, 'the end of the hub')).toMatchObject({ code: 0 })
    const next = await place.spawn({ port: hub.port })
    const kept = await readAll(next.url, TOPIC)
    const wire = await join(next.url, TOPIC, { from: 'none' })
    const row = { producer: 'relay', seq: 1 }
    expect(kept.length).toBeGreaterThanOrEqual(accepted.length * 50)
    const reply = await wire.call<Published>('publish', drafts, row)
    expect(reply.ok).toBe(true)
    const again = await wire.value<Published>('publish', drafts, row)
    expect(again.duplicates).toBe(50)
    const after = await readAll(next.url, TOPIC)
    expect(after.length - kept.length).toBe(50 - (reply.ok ? reply.value.duplicates : 0))
  })

  it('tells clients over both transports at once, those that are not subscribed too', async () => {
    const place = await store.place()
    const hub = await place.spawn()
    const wires = await Promise.all(
      (['websocket', 'polling'] as const).flatMap((transport) =>
        [{}, { from: 'none' }, { client: `c-${transport}` }].map((auth) =>
          join(hub.url, TOPIC, auth, { transports: [transport] }),
        ),
      ),
    )
    const began = performance.now()
    hub.process.kill('SIGTERM')
    const reasons = await within(Promise.all(wires.map(({ disconnected }) => disconnected)), 8_000, 'all to be told')
    // A transport that closes, which clients answer by coming back; not `io server disconnect`, which is final.
    for (const reason of reasons) expect(reason).toMatch(/^transport (close|error)$/)
    expect(await hub.exited).toMatchObject({ code: 0 })
    // Sooner than a stop that waits for them.
    expect(performance.now() - began).toBeLessThan(9_000)
    for (const wire of wires) expect(wire.all('error')).toEqual([])
  })
})
