import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { createHub } from '../../server/index.ts'
import { asking } from '../support/clients/ask.ts'
import { listen, type Source } from '../support/clients/eventSource.ts'
import { atEnd } from '../support/ending.ts'
import { startHub } from '../support/hub/hub.ts'
import { startRelay } from '../support/network/relay.ts'
import { runSeed, seededRandom } from '../support/seed.ts'
import { tempFolder } from '../support/temp.ts'
import { until, within } from '../support/until.ts'

const hub = await startHub()
const ask = asking(hub.url)

const streamOf = (topic: string, query = '', url = hub.url) => `${url}/v1/topics/${topic}/stream${query}`
const numbers = (count: number) => Array.from({ length: count }, (_, i) => i + 1)
const offsets = (source: Source) => source.events().map(({ offset }) => offset)

async function publish(topic: string, ...values: unknown[]) {
  return await hub.hub.topic(topic).publishAll(values.map((data) => ({ data })))
}

/** A client that can stop reading: below the level where libraries read on by themselves. */
function readSlowly(port: number, path: string) {
  const socket = connect(port, '127.0.0.1')
  atEnd(() => {
    socket.destroy()
  })
  let text = ''
  socket.setEncoding('utf8')
  socket.on('data', (chunk: string) => {
    text += chunk
  })
  socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
  // Without the sizes of the chunks, which may stand within an event.
  return { socket, text: () => text.replace(/\r\n[0-9a-f]+\r\n/g, '') }
}

async function subscribers(topic: string): Promise<number> {
  return (await ask<{ subscribers: number }>('GET', `/v1/topics/${topic}`)).body.subscribers
}

describe('a stream', () => {
  it('starts at the end, and its events are JSON with ids', async () => {
    const { epoch } = await publish('a', 'before')
    const source = await listen(streamOf('a'))
    expect(source.response?.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store, no-transform',
    })
    await source.saw('live')
    expect((await source.saw('subscribed')).data).toMatchObject({
      topic: 'a',
      position: { epoch, offset: 1 },
      behind: 0,
    })
    await publish('a', { text: 'line\nline\r\n\u2028' })
    expect(await source.seen(1)).toEqual([
      { offset: 2, at: expect.any(Number), data: { text: 'line\nline\r\n\u2028' } },
    ])
    expect(source.lastEventId).toBe(`${epoch}:2`)
    expect(source.retryMs).toBeGreaterThan(100)
  })

  it('carries binary as base64', async () => {
    const source = await listen(streamOf('b', '?from=start'))
    await ask('POST', '/v1/topics/b/events', [{ data: 1 }, { base64: 'AAEC' }, { data: 2 }])
    const at = expect.any(Number)
    expect(await source.seen(3)).toEqual([
      { offset: 1, at, data: 1 },
      { offset: 2, at, base64: 'AAEC' },
      { offset: 3, at, data: 2 },
    ])
  })

  it('starts where it is told', async () => {
    const { epoch } = await publish('c', ...numbers(5))
    const [event] = (await ask<{ events: { at: number }[] }>('GET', '/v1/topics/c/events')).body.events
    for (const [query, expected] of [
      ['?from=start', [1, 2, 3, 4, 5]],
      ['?from=last:2', [4, 5]],
      [`?from=${epoch}:3`, [4, 5]],
      [`?lastEventId=${epoch}:4`, [5]],
      [`?from=start&lastEventId=${epoch}:4`, [5]],
      [`?from=${event?.at}`, [1, 2, 3, 4, 5]],
      ['?from=end', []],
      ['', []],
    ] as const) {
      const source = await listen(streamOf('c', query))
      await source.saw('live')
      expect(offsets(source), query).toEqual(expected)
      source.close()
    }
    const header = await listen(streamOf('c', `?lastEventId=${epoch}:1`), {
      headers: { 'last-event-id': `${epoch}:4` },
    })
    await header.saw('live')
    expect(offsets(header)).toEqual([5])
  })

  it.each([
    ['?from=cursor', {}, 'from has to be start, end'],
    ['?from=yesterday', {}, 'from has to be start, end'],
    ['?form=start', {}, 'did you mean from'],
    ['?lastEventId=7', {}, 'lastEventId is a position'],
    ['?onGap=ignore', {}, 'onGap'],
    ['', { 'last-event-id': 'seven' }, 'Last-Event-ID'],
  ])('asked for with %s %o is refused', async (query, headers, message) => {
    const { status, body } = await ask<{ detail: string }>('GET', `/v1/topics/c/stream${query}`, undefined, headers)
    expect(status).toBe(400)
    expect(body.detail).toContain(message)
  })

  it('that never brought an event brings what was missed', async () => {
    const source = await listen(streamOf('quiet', '?from=end'), { reconnect: true })
    await source.saw('live')
    source.drop()
    await publish('quiet', 1, 2, 3)
    await source.seen(3)
    expect(offsets(source)).toEqual([1, 2, 3])
    expect(source.gaps()).toEqual([])
  })

  it('takes no position that would write lines of its own into it', async () => {
    for (const query of [
      '?from=a%0Adata:%20b%0A%0A:5',
      '?lastEventId=a%0D:5',
      '?from=a%20b:5',
      '?lastEventId=a%00:5',
    ]) {
      const { status, body } = await ask<{ code: string }>('GET', `/v1/topics/lines/stream${query}`)
      expect([status, body.code], query).toEqual([400, 'bad_request'])
    }
  })

  it('goes to nobody when its client has gone', async () => {
    await publish('left', 1)
    const source = await listen(streamOf('left'))
    await source.saw('live')
    expect(await subscribers('left')).toBe(1)
    source.close()
    await until(async () => (await subscribers('left')) === 0, { what: 'the stream to be gone' })
  })

  it('answers HEAD without opening one', async () => {
    expect((await fetch(`${hub.url}/v1/topics/no%20name/stream`, { method: 'HEAD' })).status).toBe(400)
    const { status, headers } = await ask('HEAD', '/v1/topics/a/stream')
    expect([status, headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8'])
  })
})

describe('gaps in a stream', () => {
  it('come before any later event, with an id to come back behind them', async () => {
    await ask('PUT', '/v1/topics/trimmed', { retain: { events: 3 } })
    const { epoch } = await publish('trimmed', ...numbers(10))
    const source = await listen(streamOf('trimmed', `?from=${epoch}:2`))
    await source.seen(3)
    const names = source.blocks.map(({ name, id }) => `${name} ${id.split(':')[1]}`)
    expect(names).toEqual(['subscribed 2', 'gap 7', 'message 8', 'message 9', 'message 10', 'live 10'])
    expect(source.gaps()).toMatchObject([{ from: 3, to: 7, count: 5, reason: 'trimmed' }])
  })

  it('of a foreign epoch are resets', async () => {
    const source = await listen(streamOf('trimmed', '?from=foreign:5'))
    await source.saw('live')
    expect(source.gaps()).toMatchObject([{ from: null, to: null, reason: 'reset' }])
    expect(offsets(source)).toEqual([8, 9, 10])
  })

  it('lead to the head with onGap=end', async () => {
    const { epoch } = await publish('trimmed', 11)
    const source = await listen(streamOf('trimmed', `?from=${epoch}:2&onGap=end`))
    await source.saw('live')
    await publish('trimmed', 12)
    await source.seen(1)
    expect(offsets(source)).toEqual([12])
    expect(source.gaps()).toMatchObject([{ from: 3, position: { offset: 11 } }])
  })

  it('end it with onGap=fail, and coming back does not jump over them', async () => {
    const { epoch } = await publish('trimmed', 13)
    const source = await listen(streamOf('trimmed', `?from=${epoch}:2&onGap=fail`))
    expect((await source.saw('end')).data).toMatchObject({ code: 'gap', retryable: false })
    expect(source.events()).toEqual([])
    expect(source.lastEventId).toBe(`${epoch}:2`)
  })
})

describe('a stream under faults', () => {
  it('that is dropped again and again while events are published at full rate has each once', async () => {
    const random = seededRandom(runSeed('dropped streams'))
    const relay = await startRelay(hub.url)
    const sources = await Promise.all(
      [1, 2, 3].map(() => listen(streamOf('rate', '?from=start', relay.url), { reconnect: true })),
    )
    let count = 0
    let done = false
    const publishing = (async () => {
      // Until each has been dropped, however fast the machine is.
      while (count < 4_000 || sources.some(({ connections }) => connections < 3)) {
        await publish('rate', ...numbers(40).map((i) => count + i))
        count += 40
      }
      done = true
    })()
    while (!done) {
      await new Promise((resolve) => setTimeout(resolve, random.integer(5, 60)))
      random.chance(0.2) ? relay.cut() : random.pick(sources).drop()
    }
    await publishing
    for (const source of sources) {
      const events = await source.seen(count, 20_000)
      expect(events.map(({ data }) => data)).toEqual(numbers(count))
      expect(source.gaps()).toEqual([])
    }
  })

  it('whose client reads nothing costs no memory, and in the end has everything', async () => {
    const count = 240
    const text = 'x'.repeat(100_000)
    const embedded = createHub({ store: `${await tempFolder()}/data`, logLevel: 'silent' })
    const server = createServer(embedded.handler).listen(0, '127.0.0.1')
    atEnd(async () => {
      server.closeAllConnections()
      server.close()
      await embedded.close()
    })
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const connection = once(server, 'connection')
    const slow = readSlowly(port, '/v1/topics/slow/stream?from=start')
    const [hubSide] = (await connection) as [Socket]
    await until(() => slow.text().includes('event: live'), { what: 'the slow stream to be live' })
    slow.socket.pause()

    const quick = await listen(`http://127.0.0.1:${port}/v1/topics/slow/stream?from=start`)
    let held = 0
    for (let n = 0; n < count; n += 8) {
      await embedded.topic('slow').publishAll(numbers(8).map((i) => ({ data: { n: n + i, text } })))
      held = Math.max(held, hubSide.writableLength)
    }
    await quick.seen(count)
    // 24 MB were published; what waits for the slow one is bounded by the outlet's limit and a packet or two.
    expect(held).toBeLessThan(2_500_000)
    expect(held).toBeGreaterThan(0)

    slow.socket.resume()
    // Each look at the text goes through all of it, which takes longer than what is waited for.
    const isThere = () => slow.text().includes(`"n":${count},`)
    await until(isThere, { what: 'the last event', deadlineMs: 20_000, everyMs: 250 })
    expect([...slow.text().matchAll(/"n":(\d+),/g)].map(([, n]) => Number(n))).toEqual(numbers(count))
    expect(slow.text()).toContain('event: behind')
    await until(() => slow.text().split('event: live').length === 3, { what: 'the slow stream to be live again' })
  })

  it('ends when the hub drains, and finds its place in the next one', async () => {
    const store = `${await tempFolder()}/data`
    const first = await startHub({ store })
    await first.hub.topic('t').publishAll([{ data: 1 }, { data: 2 }])
    const source = await listen(streamOf('t', '?from=start', first.url))
    await source.seen(2)
    const ended = new Promise((resolve) => source.response?.once('end', resolve))
    await first.close()
    await within(ended, 2_000, 'the end of the stream')
    const second = await startHub({ store })
    await second.hub.topic('t').publish(3)
    const next = await listen(streamOf('t', '', second.url), { headers: { 'last-event-id': source.lastEventId } })
    await next.seen(1)
    expect(offsets(next)).toEqual([3])
    expect(next.gaps()).toEqual([])
  })
})

describe('a ticket', () => {
  it('opens one stream', async () => {
    const { status, body } = await ask<{ ticket: string; expiresInMs: number }>('POST', '/v1/tickets')
    expect(status).toBe(201)
    expect(body.expiresInMs).toBeGreaterThan(1_000)
    const source = await listen(streamOf('a', `?ticket=${body.ticket}`))
    await source.saw('live')
    const again = await ask('GET', `/v1/topics/a/stream?ticket=${body.ticket}`)
    expect(again).toMatchObject({ status: 401, body: { code: 'unauthorized' } })
  })
})
