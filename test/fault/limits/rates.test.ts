/** What one may ask for in a second and have at a time: what is over it is refused with when to come back, and others go on. */

import { describe, expect, it } from 'vitest'
import { addressesBehind, readNetworks } from '../../../server/options/proxies.ts'
import type { Reply } from '../../../shared/protocol.ts'
import { connectRaw } from '../../support/clients/rawSocket.ts'
import { SECRET, tokenOf } from '../../support/clients/tokens.ts'
import { join, joinNamespace, type Wire } from '../../support/clients/wire.ts'
import { startHub } from '../../support/hub/hub.ts'
import { open } from '../../support/sdk/handles.ts'
import { until } from '../../support/until.ts'

const tooMany = (limit: string) => ({
  code: 'too_many',
  message: expect.stringContaining(`limits.${limit}`),
  retryable: true,
  retryAfterMs: expect.any(Number),
})

const many = <T>(count: number, make: (index: number) => T) => Array.from({ length: count }, (_, index) => make(index))

/** What became of so many calls that are made at once. */
async function burst(wire: Wire, count: number, ...call: [string, ...unknown[]]): Promise<Reply<unknown>[]> {
  return await Promise.all(many(count, () => wire.call(...call)))
}

const refusalsOf = (replies: readonly Reply<unknown>[]) => replies.flatMap((reply) => (reply.ok ? [] : [reply.error]))

const jsonOf = async (response: Response) => [response.status, await response.json()]

describe('calls of a connection', () => {
  it('above so many a second are refused, those of another one are not, and later there is room', async () => {
    const { url } = await startHub({ limits: { callsPerSecond: 40 } })
    const wire = await join(url, 'orders', { from: 'none' })
    const other = await join(url, 'orders', { from: 'none' })
    const refusals = refusalsOf(await burst(wire, 300, 'read', {}))
    expect(refusals[0]).toEqual(tooMany('callsPerSecond'))
    expect(await other.call('read', {})).toMatchObject({ ok: true })
    const { retryAfterMs = 0 } = refusals[0] ?? {}
    await new Promise((resolve) => setTimeout(resolve, retryAfterMs))
    expect(await wire.call('read', {})).toMatchObject({ ok: true })
    // Again and again.
    void burst(wire, 3_000, 'read', {}).catch(() => {})
    await wire.disconnected
    expect(await other.call('read', {})).toMatchObject({ ok: true })
  })

  it('of the SDK come to their end all the same: reads, publishes, entrances, jobs', async () => {
    const { url } = await startHub({ limits: { callsPerSecond: 100 } })
    const hub = open(url)
    const topics = many(60, (i) => hub.topic(`topic-${i}`))
    const got = new Set<unknown>()
    for (const topic of topics) topic.subscribe(({ data }) => void got.add(data), { from: 'start' })
    const published = topics.map((topic, i) => topic.publish(i))
    const read = many(60, () => hub.topic('topic-0').read())
    const emails = hub.queue('emails')
    emails.consume(({ data }) => data, { concurrency: 20 })
    const asked = many(60, (i) => emails.request(i))
    expect((await Promise.all(published)).map(({ offset }) => offset)).toEqual(many(60, () => 1))
    expect(await Promise.all(read)).toHaveLength(60)
    expect(await Promise.all(asked)).toEqual(many(60, (i) => i))
    await until(() => got.size === 60, { what: 'an event of each topic', seen: () => got.size })
  })
})

describe('bytes of a connection', () => {
  const limits = { payload: 50_000, packet: 60_000, bytesPerSecond: 300_000 }

  it('above so many a second are refused, and the SDK keeps what waits', async () => {
    const { url } = await startHub({ limits })
    const wire = await join(url, 'orders', { from: 'none' })
    const replies = await burst(wire, 20, 'publish', [{ data: 'x'.repeat(49_000) }])
    expect(refusalsOf(replies)[0]).toEqual(tooMany('bytesPerSecond'))
    // They are not counted a second time, with the request that the connection began as.
    wire.close()
    await wire.disconnected
    expect((await fetch(`${url}/v1/topics`)).status).toBe(200)
    const topic = open(url).topic('large')
    const kept = await Promise.all(many(8, () => topic.publish('x'.repeat(49_000))))
    expect(kept.map(({ offset }) => offset)).toEqual(many(8, (i) => i + 1))
  })

  it('that nobody can answer end it', async () => {
    const { url } = await startHub({ limits })
    const wire = await join(url, 'orders', { from: 'none' })
    for (let i = 0; i < 200; i++) wire.socket.emit('read', 'x'.repeat(50_000))
    await wire.disconnected
  })
})

describe('requests of an address', () => {
  it('above so many a second are refused with 429, and not those of another client of a trusted proxy', async () => {
    const { url } = await startHub({ limits: { callsPerSecond: 5 }, trustProxy: ['127.0.0.1'] })
    const ask = async (address: string) =>
      await fetch(`${url}/v1/topics`, { headers: { 'x-forwarded-for': `9.9.9.9, ${address}` } })
    const answers = await Promise.all(many(60, () => ask('10.0.0.1')))
    const refused = answers.filter(({ status }) => status === 429)
    expect(refused.length).toBeGreaterThan(0)
    expect(Number(refused[0]?.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await refused[0]?.json()).toMatchObject(tooMany('callsPerSecond'))
    expect((await ask('10.0.0.2')).status).toBe(200)
    const polling = `${url}/socket.io/?EIO=4&transport=polling`
    const knock = async (address: string) => (await fetch(polling, { headers: { 'x-forwarded-for': address } })).status
    expect(await Promise.all(many(30, () => knock('10.0.0.1')))).toContain(429)
    expect(await knock('10.0.0.2')).toBe(200)
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
    // The same count for all that has to be made or to be checked for an answer.
    for (const path of ['/metrics', '/openapi.json', '/asyncapi.json']) {
      const headers = { 'x-forwarded-for': '10.0.0.1' }
      const statuses = await Promise.all(many(12, async () => (await fetch(`${url}${path}`, { headers })).status))
      expect(statuses, path).toContain(429)
    }
  })

  it('are refused so that a page which may use the hub can read it, and its rule is not asked for that', async () => {
    const asked: string[] = []
    const allowOrigins = (origin: string) => asked.push(origin) > 0 && origin.endsWith('.example.com')
    const { url } = await startHub({ limits: { callsPerSecond: 10 }, allowOrigins })
    const [friend, stranger] = ['https://app.example.com', 'https://evil.io']
    const ask = (origin: string) => fetch(`${url}/v1/topics`, { headers: { origin } })
    expect([(await ask(friend)).status, (await ask(stranger)).status]).toEqual([200, 403])
    const answers = await Promise.all(many(80, (i) => ask(i % 2 === 0 ? friend : stranger)))
    const refused = (from: number) => answers.filter(({ status }, i) => i % 2 === from && status === 429)
    const [read, unread] = [refused(0), refused(1)]
    expect(read.length * unread.length).toBeGreaterThan(0)
    expect(asked).toHaveLength(2 + answers.length - read.length - unread.length)
    for (const { headers } of read) {
      expect(headers.get('access-control-allow-origin')).toBe(friend)
      expect(headers.get('access-control-expose-headers')).toContain('retry-after')
    }
    for (const { headers } of unread) expect(headers.get('access-control-allow-origin')).toBe(null)
    for (const { headers } of [...read, ...unread]) {
      expect([headers.get('vary'), headers.has('retry-after')]).toEqual(['Origin', true])
    }
    // What the browser asks before is answered, or the page would see nothing of the refusal.
    const asking = { origin: friend, 'access-control-request-method': 'GET' }
    const before = await Promise.all(many(20, () => fetch(`${url}/v1/topics`, { method: 'OPTIONS', headers: asking })))
    expect(new Set(before.map(({ status }) => status))).toEqual(new Set([204]))
  })

  it('are of the other end of the connection where nobody is trusted', async () => {
    const { url } = await startHub({ limits: { callsPerSecond: 5 } })
    const statuses = await Promise.all(
      many(40, async (i) => {
        const headers = { 'x-forwarded-for': `10.0.0.${i}` }
        return (await fetch(`${url}/v1/topics`, { headers })).status
      }),
    )
    expect(statuses).toContain(429)
    // Again and again.
    await expect(Promise.all(many(200, () => fetch(`${url}/v1/topics`)))).rejects.toThrow()
  })

  it('bring so many bytes a second, in whatever form they come', async () => {
    const { url } = await startHub({ limits: { payload: 50_000, packet: 60_000, bytesPerSecond: 60_000 } })
    const body = JSON.stringify({ data: 'x'.repeat(49_000) })
    const headers = { 'content-type': 'application/json' }
    const post = (body: BodyInit) =>
      fetch(`${url}/v1/topics/t/events`, { method: 'POST', headers, body, duplex: 'half' } as RequestInit)
    for (const make of [() => body, () => new Blob([body]).stream()]) {
      const statuses: number[] = []
      for (let i = 0; i < 20; i++) statuses.push((await post(make())).status)
      expect(statuses).toContain(429)
    }
  })
})

describe('drafts of a subject', () => {
  it('above so many a second are refused, of events and of jobs, and its own alone', async () => {
    const { url, hub: own } = await startHub({
      limits: { publishesPerSecond: 100 },
      auth: { jwt: { secret: SECRET } },
    })
    const [ann, bob] = await Promise.all([tokenOf('ann'), tokenOf('bob')])
    const wire = await join(url, 'orders', { token: ann, from: 'none' })
    const queues = await joinNamespace(url, '/queues', { token: ann })
    const thousand = many(1_000, (i) => ({ data: i }))
    await wire.value('publish', thousand)
    const refused = { ok: false, error: tooMany('publishesPerSecond') }
    expect(await wire.call('publish', [{ data: 1 }])).toMatchObject(refused)
    expect(await queues.call('send', 'emails', [{ data: 1 }])).toMatchObject(refused)
    expect(await queues.call('request', 'emails', { data: 1 })).toMatchObject(refused)
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${ann}` }
    const post = await fetch(`${url}/v1/topics/t/events`, { method: 'POST', headers, body: '{"data":1}' })
    expect(await jsonOf(post)).toMatchObject([429, tooMany('publishesPerSecond')])
    const other = await join(url, 'orders', { token: bob, from: 'none' })
    expect(await other.value('publish', thousand)).toBeDefined()
    // Nobody counts what the program itself does.
    await own.topic('orders').publishAll(thousand)
    await own.topic('orders').publishAll(thousand)
  })

  it('wait in the SDK, and what is more at once than a second takes comes to its end, too', async () => {
    const { url } = await startHub({ limits: { publishesPerSecond: 200 } })
    const topic = open(url).topic('orders')
    const kept = await Promise.all(many(300, (i) => topic.publish(i)))
    kept.push(await topic.publish('last'))
    expect(kept.map(({ offset }) => offset)).toEqual(many(301, (i) => i + 1))
    // Where nobody is asked who is calling, an address is one caller.
    const [wire, queue] = [await join(url, 'other', { from: 'none' }), await joinNamespace(url, '/queues')]
    await until(
      async () =>
        (
          await wire.call(
            'publish',
            many(1_000, (i) => ({ data: i })),
          )
        ).ok,
      { what: 'room for a large call' },
    )
    expect(await queue.call('send', 'emails', [{ data: 1 }])).toMatchObject({ ok: false, error: { code: 'too_many' } })
  })
})

describe('a handshake', () => {
  it('has so many bytes, counted before it is read', async () => {
    const { url } = await startHub({ limits: { handshakeBytes: 1_000 } })
    const raw = await connectRaw(url, '/topics/orders', { from: 'none' })
    expect(await raw.refusal('/topics/other', `{"token":"${'x'.repeat(1_000)}`)).toMatchObject({
      code: 'too_large',
      message: expect.stringContaining('limits.handshakeBytes'),
    })
    expect(await raw.call('["read",{}]')).toMatchObject({ ok: true })
  })
})

describe('at a time', () => {
  it('one caller has so many requests that wait, streams and replays', async () => {
    const { url, hub } = await startHub({ limits: { longPolls: 1, streams: 1, replays: 1 } })
    for (let i = 0; i < 3; i++) await hub.topic('t').publishAll(many(1_000, (i) => ({ data: i })))
    const { epoch, offset } = await hub.topic('t').head()
    const waiting = new AbortController()
    const poll = (signal?: AbortSignal) =>
      fetch(`${url}/v1/topics/t/events?after=${epoch}:${offset}&waitMs=20000`, { signal: signal ?? null })
    const first = poll(waiting.signal).catch(() => {})
    await until(async () => (await hubRefuses(() => poll(AbortSignal.timeout(300)))) === 429, {
      what: 'a second to be refused',
    })
    const claim = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"waitMs":20000}' }
    expect(await jsonOf(await fetch(`${url}/v1/queues/q/claims`, claim))).toMatchObject([429, tooMany('longPolls')])
    waiting.abort()
    await first

    const stream = await fetch(`${url}/v1/topics/t/stream`)
    expect(await jsonOf(await fetch(`${url}/v1/topics/t/stream`))).toMatchObject([429, tooMany('streams')])
    await stream.body?.cancel()
    await until(async () => {
      const next = await fetch(`${url}/v1/topics/t/stream`)
      await next.body?.cancel()
      return next.status === 200
    })

    const slow = await join(url, 't', { from: 'start', paced: true }, { holdPages: true })
    await slow.seen('events')
    const second = await join(url, 't', { from: 'none' })
    const replay = { ok: false, error: tooMany('replays') }
    expect(await second.call('subscribe', { from: 'start' })).toMatchObject(replay)
    expect(await second.call('subscribe', { from: 'end' })).toMatchObject({ ok: true })
    // A handshake is not refused: it waits for its turn.
    const third = await join(url, 't', { from: 'start' })
    slow.close()
    expect(await third.eventsSeen(3_000)).toHaveLength(3_000)
    await third.seen('live')
    // It has read all: another one of the same subject may.
    expect(await second.call('subscribe', { from: 'start' })).toMatchObject({ ok: true })
    await second.eventsSeen(3_000)
    expect(third.socket.connected).toBe(true)
  })
})

/** The status, or nothing where it waits. */
async function hubRefuses(ask: () => Promise<Response>): Promise<number | undefined> {
  return await ask().then(
    ({ status }) => status,
    () => undefined,
  )
}

describe('the address of a request', () => {
  const from = (remoteAddress: string | undefined, forwarded?: string) => ({
    socket: { remoteAddress },
    headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
  })

  it('is what the proxies that are trusted say of it, from the nearest on', () => {
    const { of, isProxy } = addressesBehind(['127.0.0.1', '10.0.0.0/8', '2001:db8::/32'])
    expect(of(from('9.9.9.9', '1.2.3.4'))).toBe('9.9.9.9')
    expect(of(from('::ffff:127.0.0.1', '6.6.6.6, 1.2.3.4'))).toBe('1.2.3.4')
    expect(of(from('127.0.0.1', '6.6.6.6, 1.2.3.4, 10.1.1.1'))).toBe('1.2.3.4')
    expect(of(from('2001:db8::1', '2001:db9::7'))).toBe('2001:db9::7')
    expect(of(from('127.0.0.1', 'no address'))).toBe('127.0.0.1')
    expect(of(from('127.0.0.1'))).toBe('127.0.0.1')
    expect(of(from(undefined, '1.2.3.4'))).toBe(undefined)
    expect([isProxy('10.2.3.4'), isProxy('11.0.0.1'), isProxy(undefined)]).toEqual([true, false, false])
    expect(addressesBehind([]).of(from('127.0.0.1', '1.2.3.4'))).toBe('127.0.0.1')
    const right = ['10.0.0.1', '10.0.0.0/8', '::1', '2001:db8::/32']
    expect(readNetworks(right.join(', '))).toEqual(right)
    const wrong = ['', 'proxy', '10.0.0.0/33', '10.0.0.0/8/8', '10.0.0.0/', '::1/129', '1.2.3']
    expect(wrong.filter((text) => readNetworks([text]) !== undefined)).toEqual([])
  })
})
