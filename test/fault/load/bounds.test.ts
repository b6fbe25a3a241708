/** What one connection, and one address, may take of a hub: namespaces, answers that nobody reads, unfinished input. */

import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect, type Socket as TcpSocket } from 'node:net'
import { beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { networkOf } from '../../../server/core/guards/addresses.ts'
import { Places } from '../../../server/core/guards/places.ts'
import { createTestHub } from '../../../server/testing.ts'
import { join, joinNamespace } from '../../support/clients/wire.ts'
import { atEnd } from '../../support/ending.ts'
import { startHub } from '../../support/hub/hub.ts'
import { type HubProcess, spawnHub } from '../../support/hub/process.ts'
import { memoryMb } from '../../support/memory.ts'
import { soak } from '../../support/tools.ts'
import { until, within } from '../../support/until.ts'

const POLLING = '/socket.io/?EIO=4&transport=polling'

interface Raw {
  readonly socket: WebSocket
  readonly messages: string[]
  readonly closed: Promise<void>
}

/** A WebSocket of Engine.IO, opened. */
async function open(url: string): Promise<Raw> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`)
  socket.on('error', () => {})
  atEnd(() => socket.terminate())
  const messages: string[] = []
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  const opened = new Promise<void>((resolve) => socket.once('message', () => resolve()))
  socket.on('message', (data) => messages.push(String(data)))
  await within(opened, 10_000, 'a session')
  return { socket, messages, closed }
}

/** A connection that sends what it is told to, and nothing else. */
async function tcp(url: string, text: string): Promise<{ socket: TcpSocket; closed: Promise<void>; seen(): string }> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  atEnd(() => {
    socket.destroy()
  })
  let seen = ''
  socket.on('error', () => {})
  socket.on('data', (data) => {
    seen += String(data)
  })
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  await once(socket, 'connect')
  socket.write(text)
  return { socket, closed, seen: () => seen }
}

describe('one connection', () => {
  it('that enters a namespace very often in one burst is in it once', async () => {
    const { url } = await startHub()
    for (const [namespace, entered] of [
      ['/topics/burst', '40/topics/burst,{"sid"'],
      ['/queues', '40/queues,{"sid"'],
    ] as const) {
      const { socket, messages } = await open(url)
      for (let i = 0; i < 5_000; i++) socket.send(`40${namespace},{}`)
      await until(() => messages.some((message) => message.startsWith(entered)), {
        what: `an entrance to ${namespace}`,
      })
      // What comes behind the entrance closes the connection, as Socket.IO has it; either way there is only one.
      expect(messages.filter((message) => message.startsWith(entered))).toHaveLength(1)
    }
    // The same in one payload of long polling.
    const { sid } = JSON.parse((await (await fetch(`${url}${POLLING}`)).text()).slice(1)) as { sid: string }
    const body = Array.from({ length: 20_000 }, () => '40/topics/payload,{}').join('\x1e')
    await fetch(`${url}${POLLING}&sid=${sid}`, { method: 'POST', body })
    const writer = await join(url, 'payload', { from: 'none' })
    await writer.value('publish', [{ data: 1 }])
    let seen = ''
    while (!seen.includes('["events"')) seen += await (await fetch(`${url}${POLLING}&sid=${sid}`)).text()
    expect(seen.split('"sid"')).toHaveLength(2)
    expect(seen.split('["events"')).toHaveLength(2)
    const { subscribers } = (await (await fetch(`${url}/v1/topics/payload`)).json()) as { subscribers: number }
    expect(subscribers).toBe(1)
  })

  it('is in so many namespaces and no more, pending ones counted, and finds room where it left', async () => {
    const { url } = await startHub({ limits: { namespacesPerSocket: 5 } })
    const { socket, messages } = await open(url)
    const refusals = () => messages.filter((message) => message.startsWith('44'))
    for (let i = 0; i < 8; i++) socket.send(`40/topics/t${i},{"from":"none"}`)
    await until(() => messages.length >= 8, { what: 'eight answers' })
    expect(messages.filter((message) => message.startsWith('40'))).toHaveLength(5)
    expect(refusals()).toHaveLength(3)
    const { data } = JSON.parse((refusals()[0] ?? '').replace(/^44[^{]*/, '')) as { data: object }
    expect(data).toMatchObject({
      code: 'too_many',
      retryable: true,
      retryAfterMs: expect.any(Number),
      message: expect.stringContaining('limits.namespacesPerSocket'),
    })
    // A turn later: Socket.IO takes a leave behind what came with it.
    const leave = async (topic: string) => {
      const { length } = messages
      socket.send(`41/topics/${topic},`)
      socket.send('42/topics/t2,7["read",{}]')
      await until(() => messages.slice(length).some((message) => message.startsWith('43/topics/t2,7')), {
        what: 'a reply',
      })
    }
    await leave('t0')
    socket.send('40/topics/t9,{"from":"none"}')
    await until(() => messages.some((message) => message.startsWith('40/topics/t9')), { what: 'room for another' })
    // A refusal by name takes no room.
    await leave('t1')
    for (let i = 0; i < 3; i++) {
      socket.send(`40/topics/bad name ${i},{}`)
      await until(() => refusals().length === 4 + i, { what: 'another refusal' })
    }
    socket.send('40/topics/t1,{"from":"none"}')
    await until(() => messages.filter((message) => message.startsWith('40/topics/t1,')).length === 2, {
      what: 't1 again',
    })
    // Over it again and again: the transport closes.
    for (let i = 0; i < 8; i++) socket.send(`40/topics/more${i},{}`)
    await until(() => socket.readyState === WebSocket.CLOSED, { what: 'the end of the connection' })
  })

  it('that asks for very many random namespaces leaves nothing behind', { timeout: 120_000 }, async () => {
    const count = soak ? 100_000 : 4_000
    const hub = await spawnHub({ env: { NODE_OPTIONS: '--max-old-space-size=192 --max-semi-space-size=2' } })
    const canary = await join(hub.url, 'canary', {})
    const ask = async (from: number, to: number) => {
      for (let at = from; at < to; ) {
        const { socket, closed } = await open(hub.url)
        const until = Math.min(to, at + 15_000)
        for (; at < until; at++) socket.send(`40/topics/${at % 2 === 0 ? '' : 'bad name '}random-${at},{"from":"none"}`)
        socket.close()
        await closed
      }
    }
    await ask(0, 3_000)
    const before = memoryMb(hub.pid)
    await ask(3_000, 3_000 + count)
    await until(() => memoryMb(hub.pid) < before + 15, { deadlineMs: 20_000, everyMs: 200, what: 'its memory' })
    await canary.value('publish', [{ data: 1 }])
    await canary.eventsSeen(1)
  })
})

describe('answers that nobody reads', () => {
  let hub: HubProcess
  beforeAll(async () => {
    hub = await spawnHub()
  })

  it('to pings end the connection before they fill the memory', { timeout: 60_000 }, async () => {
    const { socket, closed } = await open(hub.url)
    const before = memoryMb(hub.pid)
    const { _socket: raw } = socket as unknown as { _socket: TcpSocket }
    raw.pause()
    const pings = pingFrames(1_000, Buffer.alloc(125, 'x'))
    let sent = 0
    const ended = new Promise<void>((resolve) => {
      raw.once('close', () => resolve())
      raw.once('error', () => resolve())
    })
    const flood = async () => {
      while (!raw.destroyed && sent < 2_000_000) {
        sent += 1_000
        if (!raw.write(pings)) await Promise.race([once(raw, 'drain').catch(() => {}), ended])
      }
    }
    await within(flood(), 40_000, 'the end of the flood')
    expect(sent).toBeLessThan(2_000_000)
    expect(memoryMb(hub.pid) - before).toBeLessThan(60)
    await within(closed, 10_000, 'the end of the connection')
  })

  it('to probes of an upgrade end the upgrade', async () => {
    const { sid } = JSON.parse((await (await fetch(`${hub.url}${POLLING}`)).text()).slice(1)) as { sid: string }
    const socket = new WebSocket(`${hub.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket&sid=${sid}`)
    socket.on('error', () => {})
    await once(socket, 'open')
    for (let i = 0; i < 200; i++) socket.send('2probe')
    await within(once(socket, 'close'), 5_000, 'the end of the upgrade')
  })

  it('to pings that are read do no harm', async () => {
    const { socket, messages } = await open(hub.url)
    for (let i = 0; i < 500; i++) {
      const pong = once(socket, 'pong')
      socket.ping('x')
      await pong
    }
    socket.send('40/topics/pinged,{}')
    await until(() => messages.some((message) => message.includes('"live"')), { what: 'it to be live' })
  })
})

describe('what is never finished ends by itself:', () => {
  let url: string
  beforeAll(async () => {
    ;({ url } = await startHub({ limits: { connectTimeoutMs: 1_000 } }))
  })

  const ends = async (closed: Promise<unknown>, what: string) => await within(closed, 8_000, `the end of ${what}`)

  it('a connection that enters nothing, only the main namespace, or leaves all', async () => {
    const silent = await open(url)
    const main = await open(url)
    main.socket.send('40')
    const left = await open(url)
    left.socket.send('40/topics/t,{}')
    await until(() => left.messages.some((message) => message.includes('"live"')), { what: 'it to be live' })
    left.socket.send('41/topics/t,')
    const stays = await open(url)
    stays.socket.send('40/topics/t,{}')
    await Promise.all([silent, main, left].map(({ closed }) => ends(closed, 'an idle connection')))
    expect(stays.socket.readyState).toBe(WebSocket.OPEN)
  })

  it('a session of long polling that enters nothing', async () => {
    const { sid } = JSON.parse((await (await fetch(`${url}${POLLING}`)).text()).slice(1)) as { sid: string }
    await until(async () => (await fetch(`${url}${POLLING}&sid=${sid}`).then((answer) => answer.status)) === 400, {
      what: 'the end of the session',
    })
  })

  it('a packet whose binary parts do not come, and one whose parts are too many bytes', async () => {
    const unfinished = await open(url)
    unfinished.socket.send('40/topics/t,{}')
    unfinished.socket.send('451-/topics/t,["publish",[{"data":{"_placeholder":true,"num":0}}]]')
    const large = await open(url)
    large.socket.send('40/topics/t,{}')
    large.socket.send('453-/topics/t,["publish",[{"data":{"_placeholder":true,"num":0}}]]')
    large.socket.send(new Uint8Array(1_500_000))
    large.socket.send(new Uint8Array(1_500_000))
    await Promise.all([unfinished, large].map(({ closed }) => ends(closed, 'a packet without its parts')))
  })

  it('a head, and a connection that never sends one', async () => {
    const nothing = await tcp(url, '')
    const head = await tcp(url, 'GET /v1/topics HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ')
    const drip = setInterval(() => head.socket.write('x'), 100)
    await Promise.all([nothing, head].map(({ closed }) => ends(closed, 'a head')))
    clearInterval(drip)
    expect(head.seen()).toMatch(/^HTTP\/1\.1 408 |^$/)
  })

  it.each(['/v1', 'long polling', 'binary parts', 'a frame'])(
    'the largest of all connections together where that is too much: %s',
    async (kind) => {
      const { url } = await startHub({
        limits: { packet: '300KB', payload: '250KB', unfinishedBytes: '1MB', connectTimeoutMs: '1m' },
      })
      const begin = async (bytes: number) => {
        const body = 'x'.repeat(bytes)
        if (kind === '/v1' || kind === 'long polling') {
          let path = '/v1/topics/t/events'
          if (kind !== '/v1') {
            const { sid } = JSON.parse((await (await fetch(`${url}${POLLING}`)).text()).slice(1)) as { sid: string }
            path = `${POLLING}&sid=${sid}`
          }
          const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 290000\r\n\r\n`
          const { closed, seen, socket } = await tcp(url, head)
          socket.write(body)
          return Promise.race([closed, until(() => seen().includes('HTTP/1.1 503'), { deadlineMs: 60_000 })])
        }
        const raw = await open(url)
        raw.socket.send('40/topics/t,{}')
        if (kind === 'a frame') raw.socket.send(body, { fin: false })
        else {
          raw.socket.send(
            '452-/topics/t,["publish",[{"data":[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]}]]',
          )
          raw.socket.send(Buffer.from(body))
        }
        return raw.closed
      }
      const ended: number[] = []
      for (const [i, bytes] of [150_000, 250_000, 150_000, 150_000, 150_000].entries()) {
        void begin(bytes).then(() => ended.push(i))
      }
      // Only together they are too many.
      void begin(200_000).then(() => ended.push(5))
      await until(() => ended.length > 0, { deadlineMs: 20_000, what: 'the end of the largest' })
      expect(ended).toEqual([1])
      const wire = await join(url, 'canary')
      expect(await wire.value('publish', [{ data: 'y'.repeat(200_000) }])).toMatchObject({ offsets: [1] })
    },
  )

  it('a body that drips, of /v1 and of long polling; one that comes slowly arrives', async () => {
    const polling = async () => {
      const { sid } = JSON.parse((await (await fetch(`${url}${POLLING}`)).text()).slice(1)) as { sid: string }
      return `POST ${POLLING}&sid=${sid} HTTP/1.1\r\nContent-Type: text/plain`
    }
    const json = 'POST /v1/topics/t/events HTTP/1.1\r\nContent-Type: application/json'
    const whole = '\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{'
    const chunks = '\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n'
    const heads = [json + whole, json + chunks, (await polling()) + whole, (await polling()) + chunks]
    const dripping = await Promise.all(heads.map((head) => tcp(url, head)))
    const drips = setInterval(() => {
      for (const [i, { socket }] of dripping.entries()) socket.write(i % 2 === 0 ? ' ' : '1\r\n \r\n')
    }, 200)
    const slow = request(`${url}/v1/topics/slow/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
    })
    const answered = once(slow, 'response')
    slow.write('{"data":"')
    const writing = setInterval(() => slow.write('x'.repeat(10_000)), 200)
    setTimeout(() => {
      clearInterval(writing)
      slow.end('"}')
    }, 2_500)
    await Promise.all(dripping.map(({ closed }) => ends(closed, 'a body')))
    clearInterval(drips)
    for (const { seen } of dripping) expect(seen()).toMatch(/^HTTP\/1\.1 408 |^$/)
    const [response] = await within(answered, 8_000, 'the slow one to be answered')
    expect(response.statusCode).toBe(201)
    response.resume()
  })
})

describe('one address', () => {
  it('has so many connections and no more, by Socket.IO and by HTTP, and room again when they end', async () => {
    const { url } = await startHub({ limits: { connectionsPerAddress: 4 } })
    const agent = new Agent({ keepAlive: true })
    atEnd(() => agent.destroy())
    const wires = await Promise.all(['a', 'b', 'c'].map((topic) => join(url, topic, {})))
    const [response] = await once(request(`${url}/healthz`, { agent }).end(), 'response')
    expect(response.statusCode).toBe(200)
    const refused = await tcp(url, 'GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
    await refused.closed
    expect(refused.seen()).toMatch(/^HTTP\/1\.1 429 .*Retry-After/s)
    await expect(joinNamespace(url, '/queues')).rejects.toThrow()
    wires[0]?.close()
    response.resume()
    await until(
      async () =>
        joinNamespace(url, '/queues').then(
          () => true,
          () => false,
        ),
      { what: 'room for another' },
    )
  })

  it('has so many sessions, also over one HTTP connection', async () => {
    const { url } = await startHub({ limits: { connectionsPerAddress: 3 } })
    const statuses: number[] = []
    for (let i = 0; i < 5; i++) statuses.push((await fetch(`${url}${POLLING}`)).status)
    expect(statuses).toEqual([200, 200, 200, 429, 429])
  })

  it('is a network where it is of IPv6', () => {
    expect(networkOf('::ffff:10.0.0.1')).toBe('10.0.0.1')
    expect(networkOf('2001:db8::1')).toBe(networkOf('2001:db8:0:0:ffff::2'))
    expect(networkOf('2001:db8:0:1::1')).not.toBe(networkOf('2001:db8::1'))
    expect(networkOf('fe80::1%eth0')).toBe('fe80:0:0:0')
    const places = new Places(1)
    const leave = places.take('a')
    expect(places.hasRoom('a')).toBe(false)
    expect(places.hasRoom(undefined)).toBe(true)
    leave()
    leave()
    expect(places.hasRoom('a')).toBe(true)
  })
})

describe('an idle HTTP connection', () => {
  it('is kept longer than proxies keep theirs, or as long as is said', async () => {
    const { url } = await startHub()
    expect((await fetch(`${url}/healthz`)).headers.get('keep-alive')).toBe('timeout=75')
    const other = await createTestHub({ keepAliveMs: '2s' })
    atEnd(() => other.close())
    expect((await fetch(`${other.url}/healthz`)).headers.get('keep-alive')).toBe('timeout=2')
  })
})

/** Frames as a client sends them. */
function pingFrames(count: number, payload: Buffer): Buffer {
  const frame = Buffer.concat([Buffer.from([0x89, 0x80 | payload.length, 0, 0, 0, 0]), payload])
  return Buffer.concat(Array.from({ length: count }, () => frame))
}
