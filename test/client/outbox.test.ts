import { afterEach, describe, expect, it, vi } from 'vitest'
import { RepriseError } from '../../client/index.ts'
import { Outbox } from '../../client/outbox.ts'
import type { Draft, Published } from '../../shared/protocol.ts'
import { until } from '../support/until.ts'
import { type FakeHub, nextPublish, startFakeHub } from './support/fake-hub.ts'
import { errorOf, open } from './support/handles.ts'

const data = (drafts: readonly { readonly data: unknown }[]) => drafts.map((draft) => draft.data)

async function publisher(options = {}) {
  const fake = await startFakeHub()
  const hub = open(fake.url, options)
  return { fake, hub, topic: hub.topic('orders') }
}

/** Drafts that fill the whole window of packets in flight: four packets, told apart by their first draft. */
async function fourPackets(fake: FakeHub, topic: { publish(data: unknown): Promise<unknown> }) {
  const outcomes: Promise<unknown>[] = []
  const packets = []
  for (const name of ['a', 'b', 'c', 'd']) {
    outcomes.push(topic.publish(name))
    packets.push(await nextPublish(fake))
  }
  const [a, b, c, d] = packets
  if (a === undefined || b === undefined || c === undefined || d === undefined) throw new Error('four came')
  return { outcomes, a, b, c, d }
}

describe('publishing', () => {
  it('joins with from none and numbers drafts from 1 under one name', async () => {
    const { fake, topic } = await publisher({ client: 'me' })
    const first = topic.publish({ n: 1 })
    expect((await fake.guest()).auth).toEqual({ client: 'me', protocol: 1, paced: true, from: 'none' })
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
  ])('%s is refused at once', async (_name, options) => {
    const { topic } = await publisher()
    expect(await errorOf(topic.publish(1, options))).toMatchObject({ code: 'bad_request' })
  })

  it('a draft over the payload limit is refused at once, its neighbours travel', async () => {
    const { fake, topic } = await publisher()
    const before = topic.publish('before')
    expect(await errorOf(topic.publish('é'.repeat(140_000)))).toMatchObject({ code: 'too_large' })
    const after = topic.publish('after')
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

describe('when replies are lost', () => {
  it('sends the same drafts with the same numbers again, in order', async () => {
    const { fake, topic } = await publisher()
    const { outcomes, a, b, c, d } = await fourPackets(fake, topic)
    const guest = await fake.guest()
    a.kept(1)
    await outcomes[0]
    guest.cut()
    const again = [await nextPublish(fake), await nextPublish(fake), await nextPublish(fake)]
    expect(again.map((packet) => data(packet.drafts))).toEqual([['b'], ['c'], ['d']])
    expect(again.map((packet) => packet.row)).toEqual([b.row, c.row, d.row])
    for (const [i, packet] of again.entries()) packet.kept(2 + i)
    expect(await Promise.all(outcomes.slice(1))).toMatchObject([{ offset: 2 }, { offset: 3 }, { offset: 4 }])
  })

  it('keeps drafts published while away, behind those that were on their way', async () => {
    const { fake, hub, topic } = await publisher()
    const first = topic.publish('first')
    await nextPublish(fake)
    hub.suspend()
    const second = topic.publish('second')
    hub.resume()
    const again = await nextPublish(fake)
    const later = await nextPublish(fake)
    expect([again.row.seq, data(again.drafts), later.row.seq, data(later.drafts)]).toEqual([
      1,
      ['first'],
      2,
      ['second'],
    ])
    again.kept(1)
    later.kept(2)
    await Promise.all([first, second])
  })

  it('says that the outcome is unknown when the hub has forgotten the producer, and goes on under another name', async () => {
    const { fake, topic } = await publisher()
    const first = topic.publish('first')
    const lost = await nextPublish(fake)
    ;(await fake.guest()).cut()
    const again = await nextPublish(fake)
    const second = topic.publish('second')
    const behind = await nextPublish(fake)
    again.refuse('conflict')
    behind.refuse('conflict')
    const error = await errorOf(first)
    expect(error).toBeInstanceOf(RepriseError)
    expect(error).toMatchObject({ code: 'conflict', message: expect.stringContaining('outcome is unknown') })
    const fresh = await nextPublish(fake)
    expect(data(fresh.drafts)).toEqual(['second'])
    expect(fresh.row.seq).toBe(1)
    expect(fresh.row.producer).not.toBe(lost.row.producer)
    fresh.kept(9)
    expect(await second).toMatchObject({ offset: 9 })
  })

  it('begins anew without a word when the hub has forgotten a producer that had nothing on its way', async () => {
    const { fake, topic } = await publisher()
    const first = topic.publish('first')
    ;(await nextPublish(fake)).kept(1)
    await first
    const second = topic.publish('second')
    const refused = await nextPublish(fake)
    expect(refused.row.seq).toBe(2)
    refused.refuse('conflict')
    const fresh = await nextPublish(fake)
    expect(fresh.row.seq).toBe(1)
    fresh.kept(1)
    expect(await second).toMatchObject({ offset: 1 })
  })

  it('halves a packet that is lost again and again, as it may be what closes the connection', async () => {
    const { fake, topic } = await publisher()
    const outcomes = Promise.all([topic.publish(1), topic.publish(2), topic.publish(3)])
    for (let i = 0; i < 3; i++) {
      expect(data((await nextPublish(fake)).drafts)).toEqual([1, 2, 3])
      ;(await fake.guest()).cut()
    }
    const halves = [await nextPublish(fake), await nextPublish(fake)]
    expect(halves.map((half) => [half.row.seq, data(half.drafts)])).toEqual([
      [1, [1, 2]],
      [3, [3]],
    ])
    halves[0]?.kept(1)
    halves[1]?.kept(3)
    await outcomes
  })
})

describe('an outbox that slept', () => {
  afterEach(() => {
    vi.useRealTimers()
  })

  it('sends what the hub may have forgotten to have kept no more, but says that its outcome is unknown', async () => {
    const sent: unknown[] = []
    let lose: (error: RepriseError) => void = () => {}
    const post = {
      connected: true,
      open: () => {},
      publish: (drafts: readonly Draft[]) => {
        sent.push(...data(drafts))
        return new Promise<Published>((_, reject) => {
          lose = reject
        })
      },
    }
    const outbox = new Outbox(post, { maxDrafts: 10, maxBytes: 1_000 })
    const first = errorOf(outbox.add({ data: 'first' }, 5, undefined))
    await until(() => sent.length === 1)
    void outbox.add({ data: 'second' }, 5, undefined).catch(() => {})
    post.connected = false
    lose(new RepriseError('unavailable', 'the connection was lost'))
    await new Promise((resolve) => setImmediate(resolve))
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 7 * 86_400_000 })
    post.connected = true
    outbox.joined()
    expect(await first).toMatchObject({ code: 'conflict', message: expect.stringContaining('unknown') })
    await until(() => sent.at(-1) === 'second')
    expect(sent.filter((name) => name === 'first')).toHaveLength(1)
    outbox.fail(new RepriseError('unavailable', 'the test is over'))
  })
})

describe('when packets are refused', () => {
  it.each(['unavailable', 'too_many', 'storage_full', 'timeout', 'internal'] as const)(
    'sends again after %s, and what failed behind it too, in order',
    async (code) => {
      const { fake, topic } = await publisher()
      const { outcomes, a, b, c, d } = await fourPackets(fake, topic)
      a.kept(1)
      b.refuse(code, 1)
      c.refuse('conflict')
      expect(fake.waiting('publish')).toBe(0)
      d.refuse('conflict')
      const again = [await nextPublish(fake), await nextPublish(fake), await nextPublish(fake)]
      expect(again.map((packet) => packet.row)).toEqual([b.row, c.row, d.row])
      for (const [i, packet] of again.entries()) packet.kept(2 + i)
      expect(await Promise.all(outcomes)).toMatchObject([1, 2, 3, 4].map((offset) => ({ offset })))
    },
  )

  it('waits at least as long as the hub says', async () => {
    const { fake, topic } = await publisher()
    const outcome = topic.publish('x')
    const start = performance.now()
    ;(await nextPublish(fake)).refuse('too_many', 120)
    ;(await nextPublish(fake)).kept(1)
    expect(performance.now() - start).toBeGreaterThanOrEqual(115)
    await outcome
  })

  it.each(['forbidden', 'too_large', 'bad_request'] as const)(
    'rejects with %s and renumbers what was behind',
    async (code) => {
      const { fake, topic } = await publisher()
      const { outcomes, a, b, c, d } = await fourPackets(fake, topic)
      const refused = errorOf(outcomes[1] ?? Promise.resolve())
      a.kept(1)
      b.refuse(code)
      c.refuse('conflict')
      d.refuse('conflict')
      expect(await refused).toMatchObject({ code })
      const again = [await nextPublish(fake), await nextPublish(fake)]
      expect(again.map((packet) => [packet.row, data(packet.drafts)])).toEqual([
        [b.row, ['c']],
        [c.row, ['d']],
      ])
      again[0]?.kept(2)
      again[1]?.kept(3)
      expect(await outcomes[3]).toMatchObject({ offset: 3 })
    },
  )

  it('asks for each draft alone when a packet of several is too large or wrong', async () => {
    const { fake, topic } = await publisher()
    const outcomes = [topic.publish('good'), topic.publish('bad'), topic.publish('also good')]
    const refused = errorOf(outcomes[1] ?? Promise.resolve())
    ;(await nextPublish(fake)).refuse('bad_request')
    const [good, bad, behind] = [await nextPublish(fake), await nextPublish(fake), await nextPublish(fake)]
    expect([good.row.seq, bad.row.seq, behind.row.seq]).toEqual([1, 2, 3])
    good.kept(1)
    bad.refuse('bad_request')
    behind.refuse('conflict')
    expect(await refused).toMatchObject({ code: 'bad_request' })
    const last = await nextPublish(fake)
    expect([last.row.seq, data(last.drafts)]).toEqual([2, ['also good']])
    last.kept(2)
    expect(await outcomes[2]).toMatchObject({ offset: 2 })
  })

  it('rejects everything when the namespace is refused for good, and tries again with the next publish', async () => {
    const { fake, topic } = await publisher()
    fake.refuse('forbidden')
    expect(await Promise.all([errorOf(topic.publish(1)), errorOf(topic.publish(2))])).toMatchObject([
      { code: 'forbidden' },
      { code: 'forbidden' },
    ])
    const later = topic.publish(3)
    ;(await nextPublish(fake)).kept(1)
    expect(await later).toMatchObject({ offset: 1 })
  })

  it('waits for a namespace that is refused for now', async () => {
    const { fake, topic } = await publisher()
    fake.refuse('unavailable', { times: 3 })
    const outcome = topic.publish(1)
    ;(await nextPublish(fake)).kept(1)
    expect(await outcome).toMatchObject({ offset: 1 })
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

  it('says that the outcome is unknown when it was sent', async () => {
    const { fake, topic } = await publisher()
    const error = errorOf(topic.publish('slow', { timeoutMs: 30 }))
    await nextPublish(fake)
    expect(await error).toMatchObject({ code: 'timeout', message: expect.stringContaining('unknown') })
  })
})

describe('closing', () => {
  it('waits until the outbox is empty', async () => {
    const { fake, hub, topic } = await publisher()
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
