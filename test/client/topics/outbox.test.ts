import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { RepriseError } from '../../../client/index.ts'
import { measure } from '../../../client/outgoing/measure.ts'
import { nextPublish } from '../../support/sdk/fakeHub.ts'
import { errorOf, open } from '../../support/sdk/handles.ts'
import { data, publisher } from '../../support/sdk/publisher.ts'
import { until } from '../../support/until.ts'

describe('publishing', () => {
  it('joins with from none and numbers drafts from 1 under one name', async () => {
    const { fake, topic } = await publisher({ client: 'me' })
    const first = topic.publish({ n: 1 })
    expect((await fake.guest()).auth).toEqual({
      client: 'me',
      protocol: 1,
      limits: true,
      joined: true,
      paced: true,
      from: 'none',
    })
    const one = await nextPublish(fake)
    one.kept(7)
    expect(await first).toEqual({ epoch: 'a', offset: 7, durability: 'fsync' })
    const second = topic.publish({ n: 2 })
    const two = await nextPublish(fake)
    two.kept(8)
    await second
    expect([one.row.seq, two.row.seq]).toEqual([1, 2])
    expect(two.row.producer).toBe(one.row.producer)
  })

  it('sends the drafts of one tick as one packet, also those published in answer to one reply', async () => {
    const { fake, topic } = await publisher()
    const chain = async (name: string) => {
      await topic.publish(`${name}1`)
      await topic.publish(`${name}2`)
    }
    const all = Promise.all([chain('a'), chain('b'), chain('c')])
    const one = await nextPublish(fake)
    expect(data(one.drafts)).toEqual(['a1', 'b1', 'c1'])
    one.kept(1)
    const two = await nextPublish(fake)
    expect(data(two.drafts)).toEqual(['a2', 'b2', 'c2'])
    expect(two.row.seq).toBe(4)
    two.kept(4)
    await all
  })

  it('passes id, key and headers on', async () => {
    const { fake, topic } = await publisher()
    const outcome = topic.publish('x', { id: 'i', key: 'k', headers: { a: 'b' }, timeoutMs: 5_000 })
    const one = await nextPublish(fake)
    expect(one.drafts).toEqual([{ data: 'x', id: 'i', key: 'k', headers: { a: 'b' } }])
    one.kept(1)
    await outcome
  })

  it('never has more drafts in flight than the hub remembers offsets of a producer', async () => {
    const { fake, topic } = await publisher()
    const outcomes = Promise.all(Array.from({ length: 3_000 }, (_, i) => topic.publish(i)))
    const flight = [await nextPublish(fake), await nextPublish(fake), await nextPublish(fake), await nextPublish(fake)]
    expect(flight.reduce((sum, packet) => sum + packet.drafts.length, 0)).toBeLessThanOrEqual(1_024)
    expect(fake.waiting('publish')).toBe(0)
    let next = 1
    for (const packet of flight) {
      packet.kept(next)
      next += packet.drafts.length
    }
    while (next <= 3_000) {
      const packet = await nextPublish(fake)
      packet.kept(next)
      next += packet.drafts.length
    }
    expect((await outcomes).map(({ offset }) => offset)).toEqual(Array.from({ length: 3_000 }, (_, i) => i + 1))
  })

  it.each([
    ['spreads what waits over its packets', 'everysec', [50, 50, 50, 50]],
    ['sends what waits together where each packet costs a sync', 'fsync', [200]],
  ] as const)('%s', async (_does, durability, sizes) => {
    const { fake, topic } = await publisher()
    const first = topic.publish('first')
    const one = await nextPublish(fake)
    one.kept(1, 'a', durability)
    await first
    const outcomes = Promise.all(Array.from({ length: 200 }, (_, i) => topic.publish(i)))
    let next = 2
    for (const size of sizes) {
      const packet = await nextPublish(fake)
      expect(packet.drafts).toHaveLength(size)
      packet.kept(next, 'a', durability)
      next += size
    }
    expect(await outcomes).toHaveLength(200)
  })

  it('splits by bytes, so that no packet comes near the limits', async () => {
    const { fake, topic } = await publisher()
    const big = 'x'.repeat(200_000)
    const outcomes = Promise.all(Array.from({ length: 6 }, () => topic.publish(big)))
    let next = 1
    while (next <= 6) {
      const packet = await nextPublish(fake)
      expect(packet.drafts.length).toBeLessThanOrEqual(2)
      packet.kept(next)
      next += packet.drafts.length
    }
    await outcomes
  })
})

it('the bytes of a text are those of its JSON text, whatever is in it', () => {
  const units = Array.from({ length: 0x1_0000 }, (_, unit) => String.fromCharCode(unit))
  const texts = [
    ...units,
    ...units.map((unit) => `a${unit}\ud83d\ude00b`),
    '\ude00\ud83d',
    '\ud83d\ud83d\ude00',
    '""\\',
  ]
  const wrong = texts.filter((text) => measure(text).bytes !== Buffer.byteLength(JSON.stringify(text)))
  expect(wrong).toEqual([])
})

describe('what cannot be published', () => {
  const cycle: { self?: unknown } = {}
  cycle.self = cycle

  it.each([
    ['undefined', undefined],
    ['a function', () => {}],
    ['a symbol', Symbol('s')],
    ['a bigint', 1n],
    ['NaN', { a: [Number.NaN] }],
    ['a bigint inside', { a: { b: 1n } }],
    ['a function inside', { f() {} }],
    ['a cycle', cycle],
    ['a Map', new Map([[1, 2]])],
    ['a Blob', { file: new Blob(['x']) }],
    ['a boxed NaN', { a: new Number(Number.NaN) }],
    ['a Date that is none', { at: new Date(Number.NaN) }],
    ['a promise', Promise.resolve(1)],
  ])('%s is refused at once and harms no neighbour', async (_name, value) => {
    const { fake, topic } = await publisher()
    const before = topic.publish('before')
    expect(await errorOf(topic.publish(value))).toMatchObject({ code: 'bad_request' })
    const after = topic.publish('after')
    const packet = await nextPublish(fake)
    expect(data(packet.drafts)).toEqual(['before', 'after'])
    packet.kept(1)
    await Promise.all([before, after])
  })

  it.each([
    ['an empty id', { id: '' }],
    ['a long key', { key: 'x'.repeat(257) }],
    ['a header that is no string', { headers: { a: 1 } as never }],
    ['a Headers', { headers: new Headers({ a: 'b' }) as never }],
  ])('%s is refused at once', async (_name, options) => {
    const { topic } = await publisher()
    expect(await errorOf(topic.publish(1, options))).toMatchObject({ code: 'bad_request' })
  })

  it('a draft over the payload limit is refused, its neighbours travel', async () => {
    const { fake, topic } = await publisher()
    const before = topic.publish('before')
    const over = errorOf(topic.publish('é'.repeat(140_000)))
    const after = topic.publish('after')
    expect(await over).toMatchObject({ code: 'too_large' })
    const packet = await nextPublish(fake)
    expect(data(packet.drafts)).toEqual(['before', 'after'])
    packet.kept(1)
    await Promise.all([before, after])
  })

  it('a full outbox refuses, by drafts and by bytes, and takes again when there is room', async () => {
    const { fake, topic } = await publisher({ maxOutbox: 2, maxOutboxBytes: 1_000 })
    const kept = [topic.publish('a'), topic.publish('b')]
    expect(await errorOf(topic.publish('c'))).toMatchObject({ code: 'too_many', retryable: true })
    ;(await nextPublish(fake)).kept(1)
    await Promise.all(kept)
    expect(await errorOf(topic.publish('x'.repeat(1_000)))).toMatchObject({ code: 'too_many' })
    const again = topic.publish('d')
    ;(await nextPublish(fake)).kept(3)
    expect(await again).toMatchObject({ offset: 3 })
  })
})

describe('a publish with a time limit', () => {
  it('is never sent when the limit passes before, and says so', async () => {
    const { fake, hub, topic } = await publisher()
    hub.suspend()
    const error = await errorOf(topic.publish('late', { timeoutMs: 10 }))
    expect(error).toMatchObject({ code: 'timeout', message: expect.stringContaining('not sent') })
    const outcome = topic.publish('next')
    hub.resume()
    const packet = await nextPublish(fake)
    expect(data(packet.drafts)).toEqual(['next'])
    packet.kept(1)
    await outcome
  })

  it('leaves nothing in memory while the hub is away, nor does a call whose time is up', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const hub = open('http://127.0.0.1:1', { readTimeoutMs: 1 })
    const over = async (call: Promise<unknown>) => new WeakRef((await errorOf(call)) as object)
    const publish = (data: object) => {
      const told = over(hub.topic('t').publish(data, { timeoutMs: 1 }))
      return [new WeakRef(data), told] as const
    }
    const refs = await Promise.all([
      ...publish({ much: 'x'.repeat(1_000) }),
      over(hub.topic('t').head()),
      over(hub.queue('q').counts()),
      over(hub.queue('q').send(1, { timeoutMs: 1 })),
    ])
    await until(() => {
      collect()
      return refs.every((ref) => ref.deref() === undefined)
    })
  })

  it('says what the hub has refused it with until then', async () => {
    const { fake, topic } = await publisher()
    const error = errorOf(topic.publish('early', { timeoutMs: 500 }))
    ;(await nextPublish(fake)).refuse('too_many', 60_000)
    expect(await error).toMatchObject({
      code: 'timeout',
      message: expect.stringMatching(/was not sent .*: scripted too_many$/),
    })
  })

  it('says that the outcome is unknown when it was sent', async () => {
    const { fake, topic } = await publisher()
    const error = errorOf(topic.publish('slow', { timeoutMs: 500 }))
    await nextPublish(fake)
    expect(await error).toMatchObject({ code: 'timeout', message: expect.stringContaining('unknown') })
  })
})

describe('closing', () => {
  it('waits until the outbox is empty', async () => {
    const { fake, hub, topic } = await publisher({ drainMs: 20_000 })
    const outcome = topic.publish('last')
    const closed = hub.close()
    ;(await nextPublish(fake)).kept(1)
    await closed
    expect(await outcome).toMatchObject({ offset: 1 })
    expect(await errorOf(topic.publish('more'))).toMatchObject({ code: 'unavailable' })
    expect(() => hub.topic('orders')).toThrow(RepriseError)
  })

  it('gives up after drainMs and says of each draft what became of it', async () => {
    const { fake, hub, topic } = await publisher({ drainMs: 50 })
    const sent = errorOf(topic.publish('sent'))
    await nextPublish(fake)
    await hub.close()
    expect(await sent).toMatchObject({ code: 'unavailable', message: expect.stringContaining('unknown') })
  })
})
