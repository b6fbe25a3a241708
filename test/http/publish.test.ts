import { request } from 'node:http'
import { describe, expect, it } from 'vitest'
import type { Published, ReadPage } from '../../shared/protocol.ts'
import { asking } from '../support/clients/ask.ts'
import { listen } from '../support/clients/eventSource.ts'
import { join } from '../support/clients/wire.ts'
import { startHub } from '../support/hub/hub.ts'

const hub = await startHub({ limits: { payload: 2_000, batch: 10, packet: 20_000 } })
const ask = asking(hub.url)

const EVENTS = '/v1/topics/orders/events'

async function lastEvent(topic: string) {
  const { body } = await ask<ReadPage>('GET', `/v1/topics/${topic}/events?before=999999&limit=1`)
  return body.events[0]
}

describe('a publish over HTTP', () => {
  it('answers 201 with offset and durability, after the event can be read', async () => {
    const { status, body } = await ask<Published>('POST', EVENTS, { data: { a: 1 }, key: 'k', headers: { h: 'v' } })
    expect(status).toBe(201)
    expect(body).toEqual({ epoch: expect.any(String), offsets: [1], duplicates: 0, durability: 'fsync' })
    expect(await lastEvent('orders')).toEqual({
      offset: 1,
      at: expect.any(Number),
      data: { a: 1 },
      key: 'k',
      headers: { h: 'v' },
    })
  })

  it('takes an array as a whole', async () => {
    const { body } = await ask<Published>('POST', EVENTS, [{ data: 1 }, { data: null }, { base64: 'AAH/' }])
    expect(body.offsets).toHaveLength(3)
    const [first = 0] = body.offsets
    expect(body.offsets).toEqual([first, first + 1, first + 2])
  })

  it('stores a draft once for each Idempotency-Key', async () => {
    const headers = { 'idempotency-key': 'order-7' }
    const first = await ask<Published>('POST', EVENTS, { data: 7 }, headers)
    const second = await ask<Published>('POST', EVENTS, { data: 7 }, headers)
    expect([first.body.duplicates, second.body.duplicates]).toEqual([0, 1])
    expect(second.body.offsets).toEqual(first.body.offsets)
    expect(second.status).toBe(201)
    expect(await lastEvent('orders')).toMatchObject({ id: 'order-7' })
  })

  it('refuses an Idempotency-Key that contradicts the id, or for an array', async () => {
    const headers = { 'idempotency-key': 'x' }
    const contradicting = await ask('POST', EVENTS, { data: 1, id: 'y' }, headers)
    expect(contradicting).toMatchObject({ status: 400, body: { code: 'bad_request' } })
    expect(await ask('POST', EVENTS, [{ data: 1 }], headers)).toMatchObject({ status: 400 })
    expect(await ask('POST', EVENTS, { data: 1 }, { 'idempotency-key': 'x'.repeat(257) })).toMatchObject({
      status: 400,
    })
  })

  it('takes binary as base64, which subscribers get as bytes', async () => {
    const subscriber = await join(hub.url, 'bytes')
    await subscriber.seen('live')
    await ask('POST', '/v1/topics/bytes/events', { base64: 'AAEC/w==', id: 'b' })
    const [event] = await subscriber.eventsSeen(1)
    expect(Buffer.from(event?.data as Uint8Array)).toEqual(Buffer.from([0, 1, 2, 255]))
    expect(await lastEvent('bytes')).toEqual({ offset: 1, at: expect.any(Number), base64: 'AAEC/w==', id: 'b' })
  })

  it('shows binary within data in its place, and says where', async () => {
    const publisher = await join(hub.url, 'nested', { from: 'none' })
    await publisher.value(
      'publish',
      [{ data: { name: 'a', image: Buffer.from('hi'), more: [1, Buffer.from('ho')] } }],
      null,
    )
    expect(await lastEvent('nested')).toEqual({
      offset: 1,
      at: expect.any(Number),
      data: { name: 'a', image: 'aGk=', more: [1, 'aG8='] },
      binary: expect.arrayContaining([['image'], ['more', 1]]),
    })
    // What Socket.IO does not carry beside binary is as it was sent, over HTTP too.
    const json = '{"__proto__":null,"mark":{"_placeholder":true,"num":0}}'
    const odd = { joined: { json, parts: [[['__proto__'], 2]], bytes: Buffer.from('hi') } }
    await publisher.value('publish', [odd], null)
    const shown = { data: JSON.parse(json.replace('null', '"aGk="')), binary: [['__proto__']] }
    expect(JSON.stringify(await lastEvent('nested'))).toContain(JSON.stringify(shown).slice(1, -1))
    const source = await listen(`${hub.url}/v1/topics/nested/stream?from=start`)
    expect(JSON.stringify(await source.seen(2))).toContain(JSON.stringify(shown).slice(1, -1))
  })

  it.each([
    ['nothing in it', {}, 'data is missing'],
    ['data and base64', { data: 1, base64: 'AA==' }, 'data and base64'],
    ['base64 that is none', { base64: 'A' }, 'base64'],
    ['base64 of the URL kind', { base64: '-_-_' }, 'base64'],
    ['an empty array', [], 'at least one draft'],
    ['no object', 5, 'draft'],
    ['a draft in an array that is none', [{ data: 1 }, 5], 'drafts[1]'],
  ])('with %s is refused', async (_what, body, message) => {
    const answer = await ask<{ detail: string }>('POST', EVENTS, body)
    expect(answer).toMatchObject({
      status: 400,
      body: { code: 'bad_request', detail: expect.stringContaining(message) },
    })
  })

  it('with a part that this hub does not know is refused as unsupported', async () => {
    expect(await ask('POST', EVENTS, { data: 1, delayMs: 5 })).toMatchObject({
      status: 426,
      body: { code: 'unsupported' },
    })
  })

  it('that is no JSON is told what and where', async () => {
    const answer = await ask<{ detail: string }>('POST', EVENTS, '{"data": 1,}')
    expect(answer.status).toBe(400)
    expect(answer.body.detail).toMatch(/not JSON.*position 11/)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(await ask('POST', EVENTS, '  ')).toMatchObject({ status: 400 })
  })

  it('needs JSON as its content type, in UTF-8 and as it is', async () => {
    const plain = await ask('POST', EVENTS, '{"data":1}', { 'content-type': 'text/plain' })
    expect(plain).toMatchObject({
      status: 415,
      body: { code: 'bad_request', detail: expect.stringContaining('text/plain') },
    })
    expect(plain.headers.get('accept')).toBe('application/json')
    const latin = await ask('POST', EVENTS, '{"data":1}', { 'content-type': 'application/json; charset=latin1' })
    expect(latin.status).toBe(415)
    expect((await ask('POST', EVENTS, '{"data":1}', { 'content-encoding': 'gzip' })).status).toBe(415)
    const good = await ask('POST', EVENTS, '{"data":1}', { 'content-type': 'application/json; charset="UTF-8"' })
    expect(good.status).toBe(201)
  })

  it('over a limit is too large, and the connection lives', async () => {
    const draft = await ask('POST', EVENTS, { data: 'x'.repeat(2_001) })
    expect(draft).toMatchObject({ status: 413, body: { code: 'too_large', retryable: false } })
    const batch = await ask(
      'POST',
      EVENTS,
      Array.from({ length: 11 }, () => ({ data: 1 })),
    )
    expect(batch).toMatchObject({ status: 413, body: { code: 'too_large' } })
    const body = await ask('POST', EVENTS, { data: 'x'.repeat(40_000) })
    expect(body).toMatchObject({ status: 413, body: { detail: expect.stringContaining('20000 bytes') } })
    expect((await ask('POST', EVENTS, { data: 1 })).status).toBe(201)
  })

  it('of a body without end is answered while it comes, and cut off', async () => {
    const sending = request(`${hub.url}${EVENTS}`, { method: 'POST', headers: { 'content-type': 'application/json' } })
    const status = new Promise<number | undefined>((resolve) => {
      sending.on('response', (response) => resolve(response.statusCode))
    })
    const cut = new Promise((resolve) => sending.on('close', resolve))
    sending.on('error', () => {})
    const more = () => {
      if (sending.destroyed) return
      sending.write('x'.repeat(4_096))
      setImmediate(more)
    }
    more()
    expect(await status).toBe(413)
    await cut
  })

  it('keeps every JSON as it is', async () => {
    const values = [
      0,
      -1.5e300,
      '',
      'ä\u2028\u0000🐌"\\',
      false,
      [],
      {},
      [[[]]],
      { '': { '': null } },
      'line\nline\r\n',
    ]
    const { body } = await ask<Published>(
      'POST',
      '/v1/topics/shapes/events',
      values.map((data) => ({ data })),
    )
    expect(body.offsets).toHaveLength(values.length)
    const page = await ask<ReadPage>('GET', '/v1/topics/shapes/events')
    expect(page.body.events.map(({ data }) => data)).toEqual(values)
    const odd = await ask('POST', '/v1/topics/odd/events', '{"data":{"__proto__":{"a":1},"constructor":2}}')
    expect(odd.status).toBe(201)
    expect(JSON.stringify((await lastEvent('odd'))?.data)).toBe('{"__proto__":{"a":1},"constructor":2}')
  })

  it('to what is no name of a topic is refused', async () => {
    for (const name of ['.a', 'a%20b', 'x'.repeat(129), 'a*']) {
      expect(await ask('POST', `/v1/topics/${name}/events`, { data: 1 })).toMatchObject({ status: 400 })
    }
  })
})
