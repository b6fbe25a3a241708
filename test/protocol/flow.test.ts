/** Clients that ask for much: what they do not take is not made, and nobody else waits for it. */

import { EventEmitter } from 'node:events'
import { IncomingMessage, ServerResponse } from 'node:http'
import { connect, Socket as TcpSocket } from 'node:net'
import { Decoder } from 'socket.io-parser'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { WebSocket } from 'ws'
import type { Hub } from '../../server/api.ts'
import { Log } from '../../server/core/topics/log.ts'
import { type Begun, intakeOf } from '../../server/socket/transport/intake.ts'
import { paceRequests } from '../../server/socket/transport/pacing.ts'
import type { Published, ReadPage } from '../../shared/protocol.ts'
import { join, type Wire } from '../support/clients/wire.ts'
import { atEnd } from '../support/ending.ts'
import { startHub } from '../support/hub/hub.ts'
import { until } from '../support/until.ts'

/** Of events in a page, and of all of its bytes. */
const PAGE = { events: 4, bytes: 1_000_000 }
const CALLS = 120
/** Of a connection that takes nothing: what fits in its buffers, and what is under way. */
const FEW = 40

let url: string
let hub: Hub
let number = 0

/** A topic with one full page, and how often it was read since. */
async function fullTopic(): Promise<{ topic: string; reads: () => number }> {
  const topic = `flow-${++number}`
  await hub.topic(topic).publishAll(Array.from({ length: PAGE.events }, () => ({ data: 'x'.repeat(250_000) })))
  const spy = vi.spyOn(Log.prototype, 'read')
  atEnd(() => spy.mockRestore())
  return { topic, reads: () => spy.mock.calls.filter(([, name]) => name === topic).length }
}

/** The TCP connection below a client's WebSocket. */
function below(wire: Wire): { pause(): void; resume(): void } {
  const { transport } = wire.socket.io.engine as unknown as {
    transport: { ws: { _socket: { pause(): void; resume(): void } } }
  }
  return transport.ws._socket
}

/** Others are served while all of it waits. */
async function othersAreServed(): Promise<void> {
  const other = await join(url, `flow-${++number}`, { from: 'end' })
  await other.seen('live')
  for (let i = 0; i < 20; i++) await other.value('publish', [{ data: i }])
  await other.eventsSeen(20)
  expect((await fetch(`${url}/healthz`)).status).toBe(200)
}

describe('a client that takes nothing', () => {
  beforeAll(async () => {
    ;({ url, hub } = await startHub())
  })

  it('has few of its calls begun, and all of them once it takes what they answer', async () => {
    const { topic, reads } = await fullTopic()
    const wire = await join(url, topic, { from: 'none' }, { deadlineMs: 60_000 })
    below(wire).pause()
    const replies = Array.from({ length: CALLS }, () => wire.value<ReadPage>('read', { limit: 1 }))
    await until(() => reads() > 0)
    await othersAreServed()
    expect(reads()).toBeLessThan(FEW)
    below(wire).resume()
    expect((await Promise.all(replies)).map(({ events }) => events.length)).toEqual(replies.map(() => 1))
  })

  it('and leaves has nothing done any more', async () => {
    const { topic, reads } = await fullTopic()
    const wire = await join(url, topic, { from: 'none' })
    below(wire).pause()
    for (let i = 0; i < CALLS; i++) wire.socket.emit('read', {}, () => {})
    await until(() => reads() > 0)
    wire.cut()
    await othersAreServed()
    expect(reads()).toBeLessThan(FEW)
  })

  it('is not read any further over long polling, and is again once it polls', async () => {
    const { topic, reads } = await fullTopic()
    const polling = `${url}/socket.io/?EIO=4&transport=polling`
    const { sid } = JSON.parse((await (await fetch(polling)).text()).slice(1)) as { sid: string }
    const session = `${polling}&sid=${sid}`
    const post = (body: string) => fetch(session, { method: 'POST', body })
    await post(`40/topics/${topic},{"from":"none"}`)
    expect(await (await fetch(session)).text()).toContain('sid')
    const call = (i: number) => (i < 100 ? '["read",{"limit":1}]' : '["unsubscribe"]')
    const calls = Array.from({ length: 1_200 }, (_, i) => `42/topics/${topic},${i}${call(i)}`)
    expect(await (await post(calls.join('\u001e'))).text()).toBe('ok')
    let isTaken = false
    const held = post(`42/topics/${topic},5000["read",{"limit":1}]`).then(() => {
      isTaken = true
    })
    await othersAreServed()
    expect([isTaken, reads() < FEW]).toEqual([false, true])
    while (!isTaken) await (await fetch(session)).text()
    await held
  })

  it('gets what one turn sends in one write: the beginning, the page and that it is live', async () => {
    const topic = `flow-${++number}`
    await hub.topic(topic).publish('first')
    const written = vi.spyOn(TcpSocket.prototype, '_writev')
    atEnd(() => written.mockRestore())
    const wire = await join(url, topic, { from: 'start' })
    await wire.seen('live')
    const writes = written.mock.calls.map(([chunks]) => chunks.map(({ chunk }) => String(chunk)).join(''))
    const write = writes.find((text) => text.includes('["subscribed"')) ?? ''
    expect([...write.matchAll(/\["(\w+)"/g)].map(([, name]) => name)).toEqual(['subscribed', 'events', 'live'])
  })

  it('has all the calls of one payload served in order, however many they are', async () => {
    const topic = `flow-${++number}`
    const many = 6_000
    const wire = await join(url, topic, { from: 'none' }, { transports: ['polling'], deadlineMs: 60_000 })
    const replies = Array.from({ length: many }, (_, i) => wire.value<Published>('publish', [{ data: i }]))
    const offsets = (await Promise.all(replies)).map(({ offsets }) => offsets[0])
    expect(offsets).toEqual(Array.from({ length: many }, (_, i) => i + 1))
    expect(wire.socket.connected).toBe(true)
  })

  it('is served a few requests of many over HTTP, and all of them when it takes the answers', async () => {
    const { topic, reads } = await fullTopic()
    const { port } = new URL(url)
    const socket = connect(Number(port), '127.0.0.1')
    atEnd(() => {
      socket.destroy()
    })
    socket.pause()
    const request = `GET /v1/topics/${topic}/events HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`
    const many = 40
    socket.write(request.repeat(many))
    await until(() => reads() > 0)
    await othersAreServed()
    // What the system takes in is more than an answer or two.
    expect(reads()).toBeLessThan(25)
    let bytes = 0
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length
    })
    socket.resume()
    await until(() => bytes > many * PAGE.bytes, { deadlineMs: 25_000, seen: () => bytes })
    expect(reads()).toBe(many)
  })
})

/** What the hub knows of a connection, and of a socket on it. */
function bareConnection() {
  const connection = Object.assign(new EventEmitter(), { transport: {}, writeBuffer: [], readyState: 'open' })
  return connection as unknown as Parameters<typeof intakeOf>[0]
}

describe('a connection', () => {
  it('has ten thousand requests that wait, and is refused one more until one of them is answered', async () => {
    const connection = bareConnection()
    const socket = { conn: connection, connected: true } as unknown as Parameters<ReturnType<typeof intakeOf>['add']>[0]
    const intake = intakeOf(connection)
    const ends: (() => void)[] = []
    const refused: unknown[] = []
    const ask = () =>
      new Promise<void>((begun) => {
        intake.add(socket, { weight: 0, bytes: 0 }, async (call: Begun) => {
          try {
            call.willWait()()
            const answered = new Promise<void>((resolve) => ends.push(resolve))
            begun()
            await answered
          } catch (error) {
            refused.push(error)
            begun()
          }
        })
      })
    for (let i = 0; i < 10_000; i++) await ask()
    expect(refused).toEqual([])
    await ask()
    expect(refused).toEqual([expect.objectContaining({ code: 'too_many', retryAfterMs: expect.any(Number) })])
    ends[0]?.()
    await until(async () => {
      await ask()
      return ends.length === 10_001
    })
  })

  it('on long polling gets no answer before the one before it is taken', async () => {
    const connection = bareConnection()
    let judge: (request: object, response: object, next: () => void) => void = () => {}
    const engine = { clients: { a: connection }, use: (middleware: typeof judge) => (judge = middleware) }
    paceRequests(engine as unknown as Parameters<typeof paceRequests>[0])
    const poll = () => {
      const request = Object.assign(new IncomingMessage(new TcpSocket()), { method: 'GET', _query: { sid: 'a' } })
      const response = new ServerResponse(request)
      const next = vi.fn()
      judge(request, response, next)
      return { response, next }
    }
    const first = poll()
    expect(first.next).toHaveBeenCalled()
    first.response.writeHead(200).end('answer')
    const second = poll()
    expect(second.next).not.toHaveBeenCalled()
    first.response.emit('close')
    expect(second.next).toHaveBeenCalled()
  })
})

describe('a burst of a connection', () => {
  beforeAll(async () => {
    ;({ url, hub } = await startHub())
  })

  /** How many packets Socket.IO was given in one turn of the event loop, at most. */
  async function mostInATurn(run: () => Promise<void>): Promise<number> {
    let [most, now, isOver] = [0, 0, false]
    const add = Decoder.prototype.add
    const spy = vi.spyOn(Decoder.prototype, 'add').mockImplementation(function (this: Decoder, packet: unknown) {
      now += 1
      most = Math.max(most, now)
      add.call(this, packet)
    })
    atEnd(() => spy.mockRestore())
    const turn = () => {
      now = 0
      if (!isOver) setImmediate(turn)
    }
    turn()
    await run()
    isOver = true
    spy.mockRestore()
    return most
  }

  interface Raw {
    /** All at once. */
    send(packets: readonly string[]): void
    /** What has come back so far. */
    seen(): string
  }

  async function websocket(): Promise<Raw> {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`)
    atEnd(() => socket.terminate())
    let seen = ''
    socket.on('message', (data) => {
      seen += data
    })
    await until(() => seen !== '')
    return {
      send: (packets) => {
        for (const packet of packets) socket.send(packet)
      },
      seen: () => seen,
    }
  }

  async function polling(): Promise<Raw> {
    const begin = `${url}/socket.io/?EIO=4&transport=polling`
    const { sid } = JSON.parse((await (await fetch(begin)).text()).slice(1)) as { sid: string }
    const session = `${begin}&sid=${sid}`
    let [seen, isOver] = ['', false]
    atEnd(() => {
      isOver = true
    })
    const poll = async () => {
      while (!isOver) seen += await (await fetch(session)).text()
    }
    void poll().catch(() => {})
    return {
      send: (packets) => void fetch(session, { method: 'POST', body: packets.join('\u001e') }),
      seen: () => seen,
    }
  }

  for (const transport of [websocket, polling]) {
    it(`is taken a few packets a turn by ${transport.name}, all of them and in their order`, async () => {
      const name = `flow-${++number}`
      const entrances = Array.from({ length: 600 }, (_, i) => `40/topics/${name}-${i},{"from":"none"}`)
      const calls = Array.from({ length: 900 }, (_, i) => `42/topics/${name}-0,${i}["unsubscribe"]`)
      const { send, seen } = await transport()
      const most = await mostInATurn(async () => {
        send(entrances)
        await until(() => seen().includes(`40/topics/${name}-599,`), { deadlineMs: 20_000 })
        const entered = [...seen().matchAll(/40\/topics\/[^,]*-(\d+),/g)].map(([, i]) => Number(i))
        expect(entered).toEqual(entrances.map((_, i) => i))
        send(calls)
        await until(() => seen().includes(`43/topics/${name}-0,899`), { deadlineMs: 20_000 })
        const answered = [...seen().matchAll(/43\/topics\/[^,]*,(\d+)\[/g)].map(([, i]) => Number(i))
        expect(answered).toEqual(calls.map((_, i) => i))
      })
      expect(most).toBeLessThan(300)
      // Who is in and asks again is in once, and goes on.
      send([`40/topics/${name}-0,{}`, `42/topics/${name}-0,900["unsubscribe"]`])
      await until(() => seen().includes(`43/topics/${name}-0,900`))
      expect(seen().split(`40/topics/${name}-0,`)).toHaveLength(2)
    })
  }
})
