/** Publishing, as a plain client does it. */

import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Hub } from '../../../server/api.ts'
import type { Draft, Event, Published, ReadPage } from '../../../shared/protocol.ts'
import { join, type Wire } from '../../support/clients/wire.ts'
import { startHub } from '../../support/hub/hub.ts'
import { runSeed } from '../../support/seed.ts'

const NONE = { from: 'none' } as const

let url: string
let hub: Hub
let number = 0
const nextTopic = () => `publish-${++number}`

async function readAll(wire: Wire): Promise<readonly Event[]> {
  const events: Event[] = []
  for (;;) {
    const page: ReadPage = await wire.value<ReadPage>('read', { after: events.at(-1)?.offset ?? 0, limit: 1_000 })
    events.push(...page.events)
    if (page.events.length === 0 || events.at(-1)?.offset === page.last) return events
  }
}

describe('publishing', () => {
  beforeAll(async () => {
    ;({ url, hub } = await startHub())
  })

  it('answers with dense offsets, the epoch and the durability', async () => {
    const wire = await join(url, nextTopic(), NONE)
    const first = await wire.value<Published>('publish', [{ data: 1 }, { data: 2 }])
    expect(first).toEqual({ epoch: expect.any(String), offsets: [1, 2], duplicates: 0, durability: 'fsync' })
    const second = await wire.value<Published>('publish', [{ data: 3 }])
    expect(second.offsets).toEqual([3])
    expect(second.epoch).toBe(first.epoch)
  })

  it('keeps id, key and headers, and the time of the store', async () => {
    const wire = await join(url, nextTopic(), NONE)
    const before = Date.now()
    await wire.value('publish', [{ data: { a: 1 }, id: 'x', key: 'k', headers: { h: 'v' } }])
    const [event] = await readAll(wire)
    expect(event).toEqual({ offset: 1, at: expect.any(Number), data: { a: 1 }, id: 'x', key: 'k', headers: { h: 'v' } })
    expect(event?.at).toBeGreaterThanOrEqual(before - 1)
    expect(event?.at).toBeLessThanOrEqual(Date.now() + 1)
  })

  it('stores a repeated id once and answers with the first offset', async () => {
    const topic = nextTopic()
    const wire = await join(url, topic, NONE)
    await wire.value('publish', [{ data: 'first', id: 'same' }])
    const again = await wire.value<Published>('publish', [
      { data: 'second', id: 'same' },
      { data: 'new', id: 'n' },
      { data: 'third', id: 'n' },
    ])
    expect(again).toMatchObject({ offsets: [1, 2, 2], duplicates: 2, duplicatesAt: [0, 2] })
    expect((await readAll(wire)).map(({ data }) => data)).toEqual(['first', 'new'])
    const other = await join(url, nextTopic(), NONE)
    expect(await other.value<Published>('publish', [{ data: 1, id: 'same' }])).toMatchObject({ duplicates: 0 })
  })

  it('stores a repeated producer number once, in whole and in part', async () => {
    const wire = await join(url, nextTopic(), NONE)
    const row = (seq: number) => ({ producer: 'p1', seq })
    expect(await wire.value('publish', [{ data: 1 }, { data: 2 }], row(1))).toMatchObject({ offsets: [1, 2] })
    expect(await wire.value('publish', [{ data: 1 }, { data: 2 }], row(1))).toMatchObject({
      offsets: [1, 2],
      duplicates: 2,
    })
    expect(await wire.value('publish', [{ data: 2 }, { data: 3 }], row(2))).toMatchObject({
      offsets: [2, 3],
      duplicates: 1,
      duplicatesAt: [0],
    })
    const beyond = await wire.call('publish', [{ data: 9 }], row(9))
    expect(beyond).toMatchObject({ ok: false, error: { code: 'conflict', retryable: false } })
    const unknown = await wire.call('publish', [{ data: 9 }], { producer: 'stranger', seq: 7 })
    expect(unknown).toMatchObject({ ok: false, error: { code: 'conflict' } })
    expect((await readAll(wire)).map(({ data }) => data)).toEqual([1, 2, 3])
  })

  it('takes all drafts of a call or none', async () => {
    const wire = await join(url, nextTopic(), NONE)
    const big = 'x'.repeat(300_000)
    expect(await wire.call('publish', [{ data: 1 }, { data: big }, { data: 2 }])).toMatchObject({
      ok: false,
      error: { code: 'too_large', message: expect.stringContaining('draft 1') },
    })
    expect(await wire.call('publish', [{ data: 1 }, { nothing: true }])).toMatchObject({ ok: false })
    expect(await readAll(wire)).toEqual([])
  })

  it('answers each bad input with a clear error, and the connection lives', async () => {
    const wire = await join(url, nextTopic(), NONE)
    const bad: [unknown[], string][] = [
      [[], 'bad_request'],
      [[null], 'bad_request'],
      [['text'], 'bad_request'],
      [[[]], 'bad_request'],
      [[[1]], 'bad_request'],
      [[[{}]], 'bad_request'],
      [[[{ data: 1, id: 7 }]], 'bad_request'],
      [[[{ data: 1, id: '' }]], 'bad_request'],
      [[[{ data: 1, headers: { a: 1 } }]], 'bad_request'],
      [[[{ data: 1, delayMs: 5 }]], 'unsupported'],
      [[[{ data: 1 }], { producer: 'p' }], 'bad_request'],
      [[[{ data: 1 }], { producer: 'no spaces', seq: 1 }], 'bad_request'],
      [[[{ data: 1 }], { producer: 'p', seq: 1.5 }], 'bad_request'],
      [[Array.from({ length: 1_001 }, () => ({ data: 1 }))], 'too_large'],
      [[Array.from({ length: 5 }, () => ({ data: 'x'.repeat(250_000) }))], 'too_large'],
    ]
    for (const [args, code] of bad) {
      const reply = await wire.call('publish', ...args)
      expect(reply, JSON.stringify(args).slice(0, 80)).toMatchObject({ ok: false, error: { code, retryable: false } })
    }
    expect(await wire.call('publsh', [{ data: 1 }])).toMatchObject({ ok: false, error: { code: 'bad_request' } })
    expect(await readAll(wire)).toEqual([])
    expect(wire.socket.connected).toBe(true)
  })

  it('refuses data that is nested too deeply, and the hub lives', async () => {
    const wire = await join(url, nextTopic(), NONE)
    const deep = (levels: number) => {
      let value: unknown = 1
      for (let i = 0; i < levels; i++) value = [value]
      return value
    }
    expect(await wire.call('publish', [{ data: deep(2_000) }])).toMatchObject({
      ok: false,
      error: { code: 'bad_request' },
    })
    expect(await wire.call('publish', [{ data: deep(900) }])).toMatchObject({ ok: true })
    expect((await readAll(wire))[0]?.data).toEqual(deep(900))
  })

  it('carries JSON of every shape unchanged', async () => {
    const seed = runSeed('JSON of every shape')
    const wire = await join(url, nextTopic(), NONE)
    const shape = fc.jsonValue({ maxDepth: 6 }).map((value) => JSON.parse(JSON.stringify(value)) as unknown)
    const samples = [
      ...fc.sample(shape, { seed, numRuns: 300 }),
      '',
      'é😀\u0000\u2028\ud800',
      { __proto__: null, '': 1, 'a.b': [[[]], {}] },
      JSON.parse('{"__proto__":{"x":1},"constructor":1,"toString":2}'),
      { _placeholder: true, num: 0 },
      { base64: 'AAAA' },
      1e308,
      -0.5,
      null,
      false,
    ]
    for (let i = 0; i < samples.length; i += 100) {
      await wire.value('publish', samples.slice(i, i + 100).map((data) => ({ data })) satisfies Draft[])
    }
    const back = await readAll(wire)
    expect(back.map(({ data }) => JSON.stringify(data))).toEqual(samples.map((data) => JSON.stringify(data)))
    const live = await join(url, nextTopic(), { from: 'start' })
    await live.value(
      'publish',
      samples.slice(0, 300).map((data) => ({ data })),
    )
    const seen = await live.eventsSeen(300)
    expect(seen.map(({ data }) => JSON.stringify(data))).toEqual(
      samples.slice(0, 300).map((data) => JSON.stringify(data)),
    )
  })

  it('carries binary wherever JSON may stand, up to the limit', async () => {
    const topic = nextTopic()
    const wire = await join(url, topic, { from: 'start' })
    const limit = Buffer.alloc(262_144 - 100, 7)
    const drafts = [
      { data: Buffer.from([1, 2, 3]) },
      { data: { a: [new Uint8Array([4]), 'text', { b: new Uint8Array([5, 6]).buffer }] } },
      { data: { plain: true, _placeholder: true, num: 0 } },
      { data: Buffer.alloc(0) },
      { data: limit },
    ]
    await wire.value('publish', drafts.slice(0, 2))
    // What looks like Socket.IO's own mark for binary is only safe in a packet without any.
    await wire.value('publish', drafts.slice(2, 3))
    await wire.value('publish', drafts.slice(3))
    const check = (events: readonly Event[]) => {
      expect(events.map(({ offset }) => offset)).toEqual([1, 2, 3, 4, 5])
      expect(Buffer.from(events[0]?.data as Uint8Array)).toEqual(Buffer.from([1, 2, 3]))
      const nested = events[1]?.data as { a: [Uint8Array, string, { b: Uint8Array }] }
      expect(Buffer.from(nested.a[0])).toEqual(Buffer.from([4]))
      expect(Buffer.from(nested.a[2].b)).toEqual(Buffer.from([5, 6]))
      expect(events[2]?.data).toEqual({ plain: true, _placeholder: true, num: 0 })
      expect(Buffer.from(events[3]?.data as Uint8Array).length).toBe(0)
      expect(Buffer.from(events[4]?.data as Uint8Array).equals(limit)).toBe(true)
    }
    check(await wire.eventsSeen(5))
    const later = await join(url, topic, { from: 'start' }, { transports: ['polling'] })
    check(await later.eventsSeen(5))
    const over = await wire.call('publish', [{ data: Buffer.alloc(262_145) }])
    expect(over).toMatchObject({ ok: false, error: { code: 'too_large' } })
    expect(wire.socket.connected).toBe(true)
  })

  it('from within the program is held to the same rules', async () => {
    const topic = hub.topic(nextTopic())
    const bad = [
      [1, { id: '' }],
      [1, { headers: { a: 1 } }],
      [1, { bogus: 1 }],
      [undefined, {}],
    ] as unknown as [unknown, { id?: string }][]
    for (const [data, options] of bad) {
      await expect(topic.publish(data, options), JSON.stringify(options)).rejects.toMatchObject({
        name: 'RepriseError',
      })
    }
    expect(await topic.publish(1, { id: undefined } as unknown as { id: string })).toMatchObject({ offset: 1 })
  })

  it('from within the program takes what says itself what it is as JSON, beside binary too', async () => {
    const name = nextTopic()
    const itself = { bytes: Buffer.from('x'), toJSON: () => 'J' }
    await hub.topic(name).publish({ at: new Date(0), bytes: Buffer.from('ab'), itself })
    const wire = await join(url, name, { from: 'start' })
    expect((await wire.eventsSeen(1))[0]?.data).toEqual({
      at: '1970-01-01T00:00:00.000Z',
      bytes: Buffer.from('ab'),
      itself: 'J',
    })
  })

  it('closes the transport over the packet limit and serves everybody else', async () => {
    const topic = nextTopic()
    const other = await join(url, topic, { from: 'end' })
    const wire = await join(url, topic, NONE)
    wire.socket.emit('publish', [{ data: 'x'.repeat(3_000_000) }])
    await wire.disconnected
    await other.value('publish', [{ data: 'still here' }])
    expect((await other.eventsSeen(1))[0]?.data).toBe('still here')
  })
})
