import { afterEach, describe, expect, it, vi } from 'vitest'
import { RepriseError } from '../../../client/index.ts'
import { type DraftStore, Keeping, type KeptDraft } from '../../../client/outgoing/keeping.ts'
import { measure } from '../../../client/outgoing/measure.ts'
import { Outbox } from '../../../client/outgoing/outbox.ts'
import { DEFAULT_LIMITS, type Draft } from '../../../shared/protocol.ts'
import { nextPublish } from '../../support/sdk/fakeHub.ts'
import { errorOf } from '../../support/sdk/handles.ts'
import { data, fourPackets, publisher } from '../../support/sdk/publisher.ts'
import { until } from '../../support/until.ts'

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
      send: (drafts: readonly Draft[]) => {
        sent.push(...data(drafts))
        return new Promise<never>((_, reject) => {
          lose = reject
        })
      },
    }
    const outbox = new Outbox(post, { maxDrafts: 10, maxBytes: 1_000 })
    const first = errorOf(outbox.add({ data: 'first' }, { bytes: 5, attachments: 0 }, undefined))
    await until(() => sent.length === 1)
    void outbox.add({ data: 'second' }, { bytes: 5, attachments: 0 }, undefined).catch(() => {})
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

describe('a draft that is kept beyond the page', () => {
  it('is kept no longer when its time was up as the hub refused it for now', async () => {
    const kept = new Map<number, KeptDraft>()
    let keys = 0
    const store: DraftStore = {
      nextKey: () => [0, 'page', ++keys],
      put: async (drafts) => void drafts.map((draft) => kept.set(draft.key[2], draft)),
      delete: ([, , number]) => void kept.delete(number),
    }
    const sent: { resolve(receipts: object[]): void; reject(error: RepriseError): void }[] = []
    const send = () => new Promise<object[]>((resolve, reject) => sent.push({ resolve, reject }))
    const post = { connected: true, limits: DEFAULT_LIMITS, open: () => {}, send }
    const keeping = new Keeping<object>(store, 'orders')
    const outbox = new Outbox<object>(post, { maxDrafts: 10, maxBytes: 1_000, keeping })
    const late = errorOf(outbox.add({ data: 'late' }, measure('late'), 20))
    await until(() => sent.length === 1)
    expect(await late).toMatchObject({ code: 'timeout' })
    sent[0]?.reject(new RepriseError('too_many', 'full', { retryAfterMs: 1 }))
    const next = outbox.add({ data: 'next' }, measure('next'), undefined)
    await until(() => sent.length === 2)
    sent[1]?.resolve([{}])
    await next
    // Its number is that of the next one by now: another page would be told that the hub has it.
    expect([...kept.values()]).toEqual([])
  })
})
