/** Three hubs, each a process, on one Redis behind a real nginx with the configuration that docs/nodes.md shows. */

import { setTimeout as sleep } from 'node:timers/promises'
import { io } from 'socket.io-client'
import { beforeAll, describe, expect, it } from 'vitest'
import type { ReadPage } from '../../shared/protocol.ts'
import { contradictions, readAll } from '../support/books/ledger.ts'
import { asking } from '../support/clients/ask.ts'
import { listen } from '../support/clients/eventSource.ts'
import { Publisher } from '../support/clients/publisher.ts'
import { join } from '../support/clients/wire.ts'
import { Witness } from '../support/clients/witness.ts'
import { atEnd } from '../support/ending.ts'
import { type HubProcess, spawnHub } from '../support/hub/process.ts'
import { documentedConfiguration, type Nginx, startNginx } from '../support/network/nginx.ts'
import { type RedisServer, startRedis } from '../support/redis/redis.ts'
import { has, soak } from '../support/tools.ts'
import { until, within } from '../support/until.ts'

const POLLING = ['polling'] as const
const NODES = [0, 1, 2] as const

describe.runIf(has('redis-server', 'nginx'))('three hubs behind nginx', () => {
  let redis: RedisServer
  let nginx: Nginx
  const hubs: HubProcess[] = []

  const start = async (port?: number) =>
    await spawnHub({ store: redis.url, args: ['--drain-ms', '2s'], ...(port === undefined ? {} : { port }) })

  beforeAll(async () => {
    redis = await startRedis({ appendonly: 'yes', appendfsync: 'always' })
    hubs.push(...(await Promise.all(NODES.map(() => start()))))
    nginx = await startNginx(hubs.map(({ url }) => url))
  }, 60_000)

  function node(i: number): HubProcess {
    const hub = hubs[i % hubs.length]
    if (hub === undefined) throw new Error('no hubs')
    return hub
  }

  /** How many subscriptions of a topic each node has. */
  async function placesOf(topic: string): Promise<number[]> {
    const answers = hubs.map(({ url }) => asking(url)<{ subscribers: number }>('GET', `/v1/topics/${topic}`))
    return await Promise.all(answers.map((answer) => answer.then(({ body }) => body.subscribers).catch(() => 0)))
  }

  async function fill(topic: string, count: number): Promise<void> {
    const wire = await join(node(0).url, topic, { from: 'none' })
    const seq = (n: number) => ({ producer: 'filler', seq: n })
    for (let n = 0; n < count; n += 1_000) {
      const drafts = Array.from({ length: Math.min(1_000, count - n) }, (_, i) => ({ data: { by: 'f', n: n + i + 1 } }))
      await wire.value('publish', drafts, seq(n + 1))
    }
    wire.close()
  }

  /** What an earlier test has started has ended with it. */
  async function revive(): Promise<void> {
    const gone = NODES.filter((i) => node(i).process.exitCode !== null || node(i).process.signalCode !== null)
    await Promise.all(
      gone.map(async (i) => {
        hubs[i] = await start(node(i).port)
      }),
    )
  }

  async function replace(i: number, signal: NodeJS.Signals): Promise<void> {
    const old = node(i)
    const { code } = await within(old.kill(signal), 10_000, 'the end of a hub')
    if (signal === 'SIGTERM') expect(code).toBe(0)
    hubs[i] = await start(old.port)
  }

  it('spread WebSocket clients, which need not come back to the same one', async () => {
    await fill('spread', 10)
    const wires = await Promise.all(Array.from({ length: 30 }, () => join(nginx.url, 'spread', { from: 'start' })))
    await Promise.all(wires.map((wire) => wire.seen('live')))
    const places = await placesOf('spread')
    expect(places.reduce((sum, count) => sum + count, 0)).toBe(30)
    for (const count of places) expect(count).toBeGreaterThan(4)
    const one = await wires[0]?.value<{ offsets: number[] }>('publish', [{ data: 'all of you' }])
    expect(one?.offsets).toEqual([11])
    for (const wire of wires) expect((await wire.eventsSeen(11)).map(({ offset }) => offset).at(-1)).toBe(11)
  })

  it('keep sessions of long polling, each client at one hub, by the address that it comes from', async () => {
    await fill('polling', 1_500)
    const from = (i: number) => ({ transports: POLLING, headers: { 'x-forwarded-for': `192.0.2.${i}` } })
    const wires = await Promise.all(
      Array.from({ length: 12 }, (_, i) => join(nginx.url, 'polling', { from: 'start' }, from(i))),
    )
    await Promise.all(wires.map((wire) => wire.seen('live')))
    // The second and third leave in one request: more than nginx takes by itself.
    const big = Array.from({ length: 4 }, (_, i) => ({ data: { i, text: 'x'.repeat(200_000) } }))
    await Promise.all([1, 2, 3].map(() => wires[0]?.value('publish', big)))
    await Promise.all(wires.slice(1).map((wire, i) => wire.value('publish', [{ data: i }])))
    for (const wire of wires) {
      const events = await wire.eventsSeen(1_523)
      expect(events.map(({ offset }) => offset)).toEqual(Array.from({ length: 1_523 }, (_, i) => i + 1))
      expect(wire.socket.connected).toBe(true)
    }
    const places = await placesOf('polling')
    expect(places.filter((count) => count > 0).length).toBeGreaterThan(1)
  })

  it('would lose them without', async () => {
    const text = documentedConfiguration().replace(/^ *hash .*$/m, '')
    const loose = await startNginx(
      hubs.map(({ url }) => url),
      { text },
    )
    const lost = Array.from({ length: 3 }, async () => {
      const wire = await join(loose.url, 'polling', {}, { transports: POLLING, deadlineMs: 3_000 })
      await within(wire.seen('live'), 3_000, 'a session')
    })
    expect((await Promise.allSettled(lost)).filter(({ status }) => status === 'rejected').length).toBeGreaterThan(0)
  })

  it('take a session along that begins as long polling and becomes a WebSocket', async () => {
    await fill('upgrade', 3)
    const upgraded = Array.from({ length: 6 }, async (_, i) => {
      const extraHeaders = { 'x-forwarded-for': `198.51.100.${i}` }
      const socket = io(`${nginx.url}/topics/upgrade`, { forceNew: true, reconnection: false, extraHeaders })
      atEnd(() => {
        socket.disconnect()
      })
      await until(() => socket.io.engine?.transport.name === 'websocket', { what: 'the WebSocket', deadlineMs: 5_000 })
      expect(await socket.emitWithAck('read', { limit: 3 })).toMatchObject({ ok: true, value: { last: 3 } })
    })
    await Promise.all(upgraded)
  })

  it('let a newer session of a client take over, whichever node it comes to', async () => {
    await fill('takeover', 5)
    const seenAt = new Set<number>()
    let older = await join(nginx.url, 'takeover', { client: 'c', from: 'start' })
    for (let i = 0; i < 6; i++) {
      await older.eventsSeen(5)
      seenAt.add((await placesOf('takeover')).indexOf(1))
      const newer = await join(nginx.url, 'takeover', { client: 'c' })
      await newer.seen('live')
      expect(await older.seen('error')).toMatchObject({ code: 'taken_over' })
      expect(await older.disconnected).toBe('io server disconnect')
      older = newer
    }
    expect(seenAt.size).toBeGreaterThan(1)
    expect(older.all('error')).toEqual([])
  })

  it('show one order while two of them take publishes to one topic at full rate', async () => {
    const total = soak ? 200_000 : 12_000
    const publishers = [0, 1].map(
      (n) => new Publisher(node(n).url, 'rate', { name: `p${n}`, batch: 20, window: 20, total }),
    )
    const witnesses = [
      ...[0, 1, 2, 0, 1, 2].map((n, i) => new Witness(node(n).url, 'rate', `at ${n}, ${i}`)),
      ...NODES.map((n) => new Witness(nginx.url, 'rate', `paced ${n}`, { paced: true })),
    ]
    await Promise.all(publishers.map((publisher) => publisher.settled(soak ? 300_000 : 25_000)))
    const late = new Witness(nginx.url, 'rate', 'late')
    const events = await readAll(node(0).url, 'rate')
    expect(events.length).toBe(2 * total)
    expect(contradictions(events, publishers)).toEqual([])
    // Both at once, not one behind the other: that would be two. How much of one's goes in one step is the hub's.
    const turns = events.filter((event, i) => event.data.by !== events[i - 1]?.data.by).length
    expect(turns).toBeGreaterThan(3)
    for (const witness of [...witnesses, late]) {
      await witness.reaches(events.length)
      expect(witness.faults).toEqual([])
      expect(witness.gaps).toEqual([])
      expect([...witness.events.values()], witness.name).toEqual(events)
    }
  }, 60_000)

  it('pass server-sent events and long polls on as they come, and honour a ticket', async () => {
    const ask = asking(nginx.url)
    const topic = `${nginx.url}/v1/topics/http`
    await fill('http', 3)
    const sources = await Promise.all(NODES.map(() => listen(`${topic}/stream?from=start`, { reconnect: true })))
    for (const source of sources) await source.seen(3)
    const waiting = NODES.map(() => ask<ReadPage>('GET', '/v1/topics/http/events?after=3&waitMs=10000'))
    await sleep(100)
    const began = performance.now()
    await ask('POST', '/v1/topics/http/events', { data: 'now' })
    for (const source of sources) await source.seen(4, 8_000)
    for (const { body } of await Promise.all(waiting)) expect(body.events.map(({ offset }) => offset)).toEqual([4])
    // A proxy that keeps what it gets keeps it until the poll ends by itself.
    expect(performance.now() - began).toBeLessThan(8_000)

    for (let i = 0; i < 6; i++) {
      const headers = { 'x-forwarded-for': `203.0.113.${i}` }
      const { body } = await ask<{ ticket: string }>('POST', '/v1/tickets', undefined, headers)
      const source = await listen(`${topic}/stream?from=start&ticket=${body.ticket}`, { headers })
      await source.seen(4)
      source.close()
    }

    const places = await placesOf('http')
    const busiest = places.indexOf(Math.max(...places))
    await replace(busiest, 'SIGKILL')
    await ask('POST', '/v1/topics/http/events', { data: 'later' })
    for (const source of sources) {
      const events = await source.seen(5)
      expect(events.map(({ offset }) => offset)).toEqual([1, 2, 3, 4, 5])
      source.close()
    }
    expect(sources.some(({ connections }) => connections > 1)).toBe(true)
  })

  it('lead clients on whose hub is killed or drained in the middle of a replay', async () => {
    await revive()
    const count = soak ? 200_000 : 30_000
    await fill('move', count)
    const slow = { paced: true, holdMs: 80 }
    const witnesses = [
      new Witness(nginx.url, 'move', 'paced', slow),
      new Witness(nginx.url, 'move', 'with a cursor', { ...slow, client: 'mover' }),
      new Witness(nginx.url, 'move', 'polling', { ...slow, transports: POLLING }),
    ]
    const offsets = () => witnesses.map(({ position }) => position?.offset ?? 0)
    const restarted: Promise<void>[] = []
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      const before = offsets()
      await until(() => offsets().every((offset, i) => offset > (before[i] ?? 0)), { what: 'all to read on' })
      const places = await placesOf('move')
      expect(Math.max(...offsets())).toBeLessThan(count)
      restarted.push(replace(places.indexOf(Math.max(...places)), signal))
    }
    await Promise.all(restarted)
    const moves = witnesses.reduce((sum, { connections }) => sum + connections - 1, 0)
    expect(moves).toBeGreaterThan(1)
    for (const witness of witnesses) {
      await witness.reaches(count)
      expect(witness.faults).toEqual([])
      expect(witness.gaps).toEqual([])
      expect(witness.errors).toEqual([])
      expect(witness.events.size).toBe(count)
    }
  }, 60_000)

  it('lose nothing while all of them are restarted one after the other under load', async () => {
    await revive()
    const publishers = [
      new Publisher(nginx.url, 'rolling', { name: 'p1', batch: 10, window: 1, pauseMs: 8 }),
      new Publisher(nginx.url, 'rolling', { name: 'p2', batch: 1, window: 4, pauseMs: 8 }),
      new Publisher(nginx.url, 'rolling', { name: 'p3', transports: POLLING, pauseMs: 8 }),
    ]
    const witnesses = [
      ...NODES.map((n) => new Witness(nginx.url, 'rolling', `position ${n}`)),
      new Witness(nginx.url, 'rolling', 'polling', { transports: POLLING }),
      new Witness(nginx.url, 'rolling', 'paced', { paced: true, holdMs: 5 }),
      new Witness(nginx.url, 'rolling', 'cursor', { client: 'c1' }),
    ]
    const source = await listen(`${nginx.url}/v1/topics/rolling/stream?from=start`, { reconnect: true })
    for (let round = 0; round < (soak ? 20 : 1); round++) {
      for (const i of NODES) {
        const sent = publishers.map((publisher) => publisher.sent)
        await replace(i, 'SIGTERM')
        expect((await fetch(`${node(i).url}/readyz`)).status).toBe(200)
        // Everybody goes on before the next one stops.
        await until(() => publishers.every((publisher, p) => publisher.sent > (sent[p] ?? 0) + 10), {
          what: 'all to publish on',
        })
      }
    }
    await Promise.all(publishers.map((publisher) => publisher.stop()))
    const events = await readAll(node(0).url, 'rolling')
    expect(contradictions(events, publishers)).toEqual([])
    for (const { name, acknowledged, sent } of publishers) expect(acknowledged.size, name).toBe(sent)
    for (const witness of witnesses) {
      await witness.reaches(events.length)
      expect(witness.faults).toEqual([])
      expect(witness.gaps).toEqual([])
      expect(witness.errors).toEqual([])
      expect(witness.events.size).toBe(events.length)
    }
    const streamed = (await source.seen(events.length)).map(({ offset }) => offset)
    expect(streamed).toEqual(events.map(({ offset }) => offset))
    source.close()
    expect(witnesses.some(({ connections }) => connections > 1)).toBe(true)
  }, 90_000)
})
