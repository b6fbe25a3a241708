import { describe, expect, it } from 'vitest'
import type { Gap, Progress, Received } from '../../../client/index.ts'
import { atEnd } from '../../support/ending.ts'
import { startHub } from '../../support/hub/hub.ts'
import { startRelay } from '../../support/network/relay.ts'
import { range } from '../../support/sdk/fakeHub.ts'
import { errorOf, open } from '../../support/sdk/handles.ts'
import { until } from '../../support/until.ts'

const offsets = (events: readonly Received[]) => events.map(({ offset }) => offset)

async function publishMany(topic: { publish(data: unknown): Promise<unknown> }, count: number, from = 0) {
  for (let i = 0; i < count; i += 5_000) {
    const part = Math.min(5_000, count - i)
    await Promise.all(Array.from({ length: part }, (_, k) => topic.publish({ n: from + i + k })))
  }
}

async function relayed(url: string) {
  const relay = await startRelay(url)
  atEnd(() => relay.close())
  return relay
}

describe('with a hub', () => {
  it.each([['websocket'], ['polling']] as const)('publishes and receives over %s', async (transport) => {
    const { url } = await startHub()
    const topic = open(url, { transports: [transport] }).topic('orders')
    const got: Received[] = []
    const sub = topic.subscribe((event) => got.push(event), { from: 'start' })
    const values = [null, 0, -1.5, '', 'ü\u2028😀', [], [1, [2]], {}, { a: { b: null } }, true]
    const receipts = await Promise.all(values.map((value) => topic.publish(value, { key: 'k', headers: { h: 'v' } })))
    await until(() => got.length === values.length)
    expect(got.map(({ data }) => data)).toEqual(values)
    expect(offsets(got)).toEqual(receipts.map(({ offset }) => offset))
    expect(got[0]).toMatchObject({ epoch: receipts[0]?.epoch, key: 'k', headers: { h: 'v' } })
    expect(receipts[0]?.durability).toBe('fsync')
    await until(() => sub.status.state === 'live')
  })

  it('carries binary, alone and inside, up to the limit', async () => {
    const { url } = await startHub()
    const topic = open(url).topic('files')
    const got: Received[] = []
    topic.subscribe((event) => got.push(event), { from: 'start' })
    await topic.publish(Uint8Array.of(1, 2, 3))
    await topic.publish({ name: 'x', parts: [new Uint8Array(200_000).fill(7)] })
    expect(await errorOf(topic.publish(new Uint8Array(262_145)))).toMatchObject({ code: 'too_large' })
    await until(() => got.length === 2)
    expect(Uint8Array.from(got[0]?.data as Uint8Array)).toEqual(Uint8Array.of(1, 2, 3))
    expect(got[1]?.data).toMatchObject({ name: 'x', parts: [expect.objectContaining({ length: 200_000 })] })
  })

  it('takes text up to the hub’s limit to the byte, and refuses one more without harm to others', async () => {
    const { url } = await startHub()
    const topic = open(url).topic('orders')
    const frame = '{"data":""}'.length
    const most = 'x'.repeat(262_144 - frame)
    const [small, full, over, last] = await Promise.all([
      topic.publish('small'),
      topic.publish(most),
      errorOf(topic.publish(`${most}x`)),
      topic.publish('last'),
    ])
    expect([small.offset, full.offset, last.offset]).toEqual([1, 2, 3])
    expect(over).toMatchObject({ code: 'too_large' })
  })

  it.each([0, 1, 300, 1_001, 20_000])('gets exactly the %i events of its absence, then live ones', async (missed) => {
    const { url } = await startHub()
    const relay = await relayed(url)
    const publisher = open(url).topic('orders')
    const got: Received[] = []
    const gaps: Gap[] = []
    const progress: Progress[] = []
    const sub = open(relay.url, { client: 'me' })
      .topic('orders')
      .subscribe((event) => got.push(event))
    sub.onGap((gap) => gaps.push(gap))
    sub.onProgress((step) => progress.push(step))
    await until(() => sub.status.state === 'live')
    await publishMany(publisher, 10)
    await until(() => got.length === 10)
    relay.refuse(true)
    relay.cut()
    await until(() => sub.status.state === 'offline')
    await publishMany(publisher, missed, 10)
    relay.refuse(false)
    await until(() => sub.status.state === 'live', { deadlineMs: 20_000 })
    await publishMany(publisher, 5, 10 + missed)
    await until(() => got.length >= missed + 15)
    expect(offsets(got)).toEqual(range(1, missed + 15))
    expect(gaps).toEqual([])
    if (missed > 0) expect(progress.at(-1)).toEqual({ done: missed, total: missed })
  })

  it('loses and repeats nothing while connections are cut and publishing goes on', async () => {
    const { url } = await startHub()
    const relay = await relayed(url)
    const publisher = open(relay.url).topic('orders')
    const got: Received[] = []
    const sub = open(relay.url, { client: 'me' })
      .topic('orders')
      .subscribe((event) => got.push(event), { from: 'start' })
    const kept: number[] = []
    const count = 3_000
    let cuts = 0
    for (let i = 0; i < count; i += 100) {
      const batch = range(i, i + 99).map((n) => publisher.publish({ n }))
      if (i % 300 === 0) {
        relay.cut()
        cuts++
      }
      for (const receipt of await Promise.all(batch)) kept.push(receipt.offset)
    }
    await until(() => got.length >= count, { deadlineMs: 20_000, seen: () => [got.length, sub.status] })
    expect(cuts).toBe(10)
    expect(kept).toEqual(range(1, count))
    expect(offsets(got)).toEqual(range(1, count))
    expect(got.map(({ data }) => (data as { n: number }).n)).toEqual(range(0, count - 1))
  })

  it('goes on at its cursor in another process, and from start only when it is new', async () => {
    const { url } = await startHub()
    const publisher = open(url).topic('orders')
    await publishMany(publisher, 10)
    const first = open(url, { client: 'me' })
    const got: Received[] = []
    const sub = first.topic('orders').subscribe((event) => got.push(event), { from: 'start' })
    await until(() => got.length === 10)
    await sub.close()
    await first.close()
    await publishMany(publisher, 3, 10)
    const again: Received[] = []
    open(url, { client: 'me' })
      .topic('orders')
      .subscribe((event) => again.push(event), { from: 'start' })
    await until(() => again.length >= 3)
    expect(offsets(again)).toEqual([11, 12, 13])
  })

  it('keeps unacknowledged events for the next subscription with manual', async () => {
    const { url } = await startHub()
    await publishMany(open(url).topic('orders'), 5)
    const first = open(url, { client: 'me' })
    const got: Received[] = []
    const sub = first.topic('orders').subscribe((event) => got.push(event), { from: 'start', ack: 'manual' })
    await until(() => got.length === 5)
    const third = got[2]
    if (third !== undefined) expect(await sub.ack(third)).toMatchObject({ offset: 3 })
    await first.close()
    const again: Received[] = []
    open(url, { client: 'me' })
      .topic('orders')
      .subscribe((event) => again.push(event))
    await until(() => again.length >= 2)
    expect(offsets(again)).toEqual([4, 5])
  })

  it('hands over to the newest subscription of a client, in one program and between two', async () => {
    const { url } = await startHub()
    const topic = open(url, { client: 'me' }).topic('orders')
    const first = topic.subscribe(() => {})
    await until(() => first.status.state === 'live')
    const second = topic.subscribe(() => {})
    expect(await first.ended).toMatchObject({ code: 'taken_over' })
    await until(() => second.status.state === 'live')
    const other = open(url, { client: 'me' })
      .topic('orders')
      .subscribe(() => {})
    expect(await second.ended).toMatchObject({ code: 'taken_over' })
    await until(() => other.status.state === 'live')
    expect(await topic.publish('still here')).toMatchObject({ offset: 1 })
  })

  it('has everything in the end with a handler slower than the publisher, and a short queue all the time', async () => {
    const { url } = await startHub()
    const publisher = open(url).topic('orders')
    const got: number[] = []
    const states = new Set<string>()
    const sub = open(url, { client: 'me' })
      .topic('orders')
      .subscribe(
        async (event) => {
          got.push(event.offset)
          if (event.offset % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
        },
        { maxQueue: 100 },
      )
    sub.onStatus(({ state }) => states.add(state))
    await until(() => sub.status.state === 'live')
    await publishMany(publisher, 20_000)
    await until(() => got.length >= 20_000, { deadlineMs: 25_000, seen: () => [got.length, sub.status] })
    await until(() => sub.status.state === 'live')
    expect(got).toEqual(range(1, 20_000))
    expect(states).toContain('behind')
  })

  it('tells what was trimmed, before any later event, and once', async () => {
    const { url } = await startHub({ topics: { orders: { retain: { events: 10 } } } })
    const publisher = open(url).topic('orders')
    const hub = open(url, { client: 'me' })
    const sub = hub.topic('orders').subscribe(() => {}, { from: 'start' })
    await until(() => sub.status.state === 'live')
    hub.suspend()
    await publishMany(publisher, 100)
    const log: string[] = []
    const again = open(url, { client: 'me' })
    const next = again.topic('orders').subscribe((event) => log.push(`event ${event.offset}`))
    next.onGap((gap) => log.push(`gap ${gap.from}-${gap.to} ${gap.reason}`))
    await until(() => next.status.state === 'live')
    const first = Number(log[1]?.slice('event '.length))
    expect(log[0]).toBe(`gap 1-${first - 1} trimmed`)
    expect(log.slice(1)).toEqual(range(first, 100).map((offset) => `event ${offset}`))
    await again.close()
    const third = open(url, { client: 'me' })
      .topic('orders')
      .subscribe(() => log.push('more'))
    third.onGap(() => log.push('gap again'))
    const before = log.length
    await until(() => third.status.state === 'live')
    expect(log).toHaveLength(before)
  })

  it('reads a snapshot’s head and subscribes from there', async () => {
    const { url } = await startHub()
    const topic = open(url).topic('orders')
    await publishMany(topic, 7)
    const head = await topic.head()
    expect(head.offset).toBe(7)
    expect(offsets((await topic.read({ before: 6, limit: 2 })).events as Received[])).toEqual([4, 5])
    await publishMany(topic, 3, 7)
    const got: Received[] = []
    topic.subscribe((event) => got.push(event), { from: head })
    await until(() => got.length === 3)
    expect(offsets(got)).toEqual([8, 9, 10])
    expect(offsets((await topic.read({ after: got[1] ?? head })).events as Received[])).toEqual([10])
  })

  it('seeks back with a client, and its cursor stays where it was', async () => {
    const { url } = await startHub()
    const topic = open(url, { client: 'me' }).topic('orders')
    await publishMany(topic, 5)
    const got: Received[] = []
    const sub = topic.subscribe((event) => got.push(event))
    await until(() => sub.status.state === 'live')
    await sub.seek('start')
    await until(() => got.length === 5)
    expect(offsets(got)).toEqual([1, 2, 3, 4, 5])
  })

  it('goes on with a new cursor where its own was deleted under it', async () => {
    const { url } = await startHub()
    const cursors = `${url}/v1/topics/orders/cursors`
    const topic = open(url, { client: 'me' }).topic('orders')
    const got: Received[] = []
    const gaps: Gap[] = []
    const sub = topic.subscribe((event) => got.push(event))
    sub.onGap((gap) => gaps.push(gap))
    await until(() => sub.status.state === 'live')
    for (let round = 1; round <= 3; round++) {
      await publishMany(topic, 3)
      expect((await fetch(`${cursors}/me`, { method: 'DELETE' })).status).toBe(204)
      await publishMany(topic, 2)
      await until(() => got.length === round * 5, { seen: () => sub.status })
      await until(async () => (await (await fetch(cursors)).text()).includes(`"offset":${round * 5}`))
    }
    expect(offsets(got)).toEqual(range(1, 15))
    expect(gaps).toEqual([])
    expect(await sub.ack({ epoch: sub.position?.epoch ?? '', offset: 15 })).toMatchObject({ offset: 15 })
  })

  it('carries 500 topics on one connection', async () => {
    const { url } = await startHub()
    const hub = open(url, { client: 'me' })
    const got = new Map<string, number>()
    const topics = range(1, 500).map((n) => hub.topic(`t${n}`))
    for (const topic of topics) {
      topic.subscribe(() => got.set(topic.name, (got.get(topic.name) ?? 0) + 1), { from: 'start' })
    }
    await Promise.all(topics.map((topic) => topic.publish(topic.name)))
    await until(() => got.size === 500)
    expect([...got.values()].every((count) => count === 1)).toBe(true)
  })
})
