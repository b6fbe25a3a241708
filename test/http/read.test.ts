import { describe, expect, it } from 'vitest'
import type { ReadPage } from '../../shared/protocol.ts'
import { asking } from '../support/clients/ask.ts'
import { join } from '../support/clients/wire.ts'
import { startHub } from '../support/hub/hub.ts'
import { until, within } from '../support/until.ts'

const hub = await startHub()
const ask = asking(hub.url)

async function page(topic: string, query = ''): Promise<ReadPage> {
  const { status, body } = await ask<ReadPage>('GET', `/v1/topics/${topic}/events${query}`)
  expect(status, JSON.stringify(body)).toBe(200)
  return body
}

async function publish(topic: string, ...values: unknown[]): Promise<void> {
  await hub.hub.topic(topic).publishAll(values.map((data) => ({ data })))
}

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i + 1)
const offsets = ({ events }: ReadPage) => events.map(({ offset }) => offset)

describe('a page', () => {
  it('of an unborn topic is empty', async () => {
    expect(await page('unborn')).toEqual({ epoch: expect.any(String), first: 1, last: 0, events: [] })
  })

  it('goes forward from an offset or a position, backward from an offset', async () => {
    await publish('row', ...numbers(250))
    const first = await page('row')
    expect([first.first, first.last, first.events.length]).toEqual([1, 250, 100])
    expect(offsets(await page('row', '?after=240'))).toEqual([241, 242, 243, 244, 245, 246, 247, 248, 249, 250])
    expect(offsets(await page('row', `?after=${first.epoch}:7&limit=2`))).toEqual([8, 9])
    expect(offsets(await page('row', '?before=5&limit=2'))).toEqual([3, 4])
    expect(offsets(await page('row', '?before=999&limit=1'))).toEqual([250])
    expect(offsets(await page('row', '?before=1'))).toEqual([])
    expect(offsets(await page('row', '?limit=5000'))).toEqual(numbers(250))
    expect(offsets(await page('row', '?after=250'))).toEqual([])
    expect(offsets(await page('row', '?after=9999'))).toEqual([])
  })

  it('backward has the last events before the offset, however few of them fit', async () => {
    await publish('large', ...numbers(4).map((n) => String(n).repeat(250_000)))
    await publish('large', ...numbers(4).map((n) => String(n).repeat(250_000)))
    let before = 9
    const seen: number[] = []
    while (before > 1) {
      const found = offsets(await page('large', `?before=${before}`))
      expect(found.at(-1)).toBe(before - 1)
      seen.unshift(...found)
      before = found[0] ?? 0
    }
    expect(seen).toEqual(numbers(8))
  })

  it('names what is trimmed behind the place that was asked for', async () => {
    await ask('PUT', '/v1/topics/short', { retain: { events: 3 } })
    await publish('short', ...numbers(10))
    const { epoch } = await page('short')
    const gap = { epoch, from: 3, to: 7, count: 5, reason: 'trimmed', position: { epoch, offset: 7 } }
    expect(await page('short', '?after=2')).toMatchObject({ first: 8, last: 10, gaps: [gap] })
    expect(await page('short', `?after=${epoch}:2`)).toMatchObject({ gaps: [gap] })
    expect(await page('short', '?after=7')).not.toHaveProperty('gaps')
    expect(await page('short')).not.toHaveProperty('gaps')
  })

  it('says the same over Socket.IO', async () => {
    const wire = await join(hub.url, 'short', { from: 'none' })
    expect(await wire.value('read', { after: 2 })).toEqual(await page('short', '?after=2'))
  })

  it('of a foreign epoch is stale', async () => {
    const answer = await ask('GET', '/v1/topics/row/events?after=foreign:3')
    expect(answer).toMatchObject({ status: 409, body: { code: 'stale_epoch' } })
  })

  it.each([
    ['?aftr=1', 'did you mean after'],
    ['?after=x', 'after has to be an offset'],
    ['?after=-1', 'after has to be an offset'],
    ['?after=1&after=2', '2 times'],
    ['?before=0', 'before is a whole number of 1 or more'],
    ['?limit=0', 'limit is'],
    ['?limit=1e3', 'limit is'],
    ['?limit=', 'limit is'],
    ['?waitMs=soon', 'waitMs is'],
    ['?after=1&before=9', 'not both'],
    ['?before=9&waitMs=10', 'waitMs goes with after'],
    ['?toString=1', 'unknown query parameter'],
  ])('asked for with %s is refused', async (query, message) => {
    const { status, body } = await ask<{ detail: string }>('GET', `/v1/topics/row/events${query}`)
    expect(status).toBe(400)
    expect(body.detail).toContain(message)
  })
})

describe('a long poll', () => {
  it('answers at once where there is something', async () => {
    const started = performance.now()
    expect(offsets(await page('row', '?after=249&waitMs=20000'))).toEqual([250])
    expect(performance.now() - started).toBeLessThan(5_000)
  })

  it('answers with what is published while it waits, on a topic that was unborn too', async () => {
    for (const offset of [1, 2]) {
      const waiting = page('fresh', `?after=${offset - 1}&waitMs=20000`)
      // Who waits on an unborn topic cannot be seen from outside.
      if (offset === 1) await new Promise((resolve) => setTimeout(resolve, 50))
      else await waits('fresh', 1)
      await publish('fresh', 'a')
      const answer = await within(waiting, 5_000, 'the long poll')
      expect(answer.events).toMatchObject([{ offset, data: 'a' }])
    }
  })

  it('answers with nothing when its time is over', async () => {
    const started = performance.now()
    expect((await page('row', '?after=250&waitMs=200')).events).toEqual([])
    expect(performance.now() - started).toBeGreaterThanOrEqual(195)
  })

  it('waits on for an offset that is further ahead', async () => {
    await publish('ahead', 1)
    const waiting = page('ahead', '?after=3&waitMs=20000')
    for (const n of [2, 3, 4]) {
      await waits('ahead', 1)
      await publish('ahead', n)
    }
    expect(offsets(await within(waiting, 5_000, 'the long poll'))).toEqual([4])
  })

  it('misses nothing and repeats nothing under publishing at full rate', async () => {
    const count = 1_000
    const publishing = (async () => {
      for (let n = 1; n <= count; n += 10) await publish('rate', ...numbers(10).map((i) => n + i - 1))
    })()
    const seen: unknown[] = []
    let after = '0'
    while (seen.length < count) {
      const { epoch, events } = await page('rate', `?after=${after}&waitMs=5000&limit=1000`)
      seen.push(...events.map(({ data }) => data))
      after = `${epoch}:${events.at(-1)?.offset ?? 0}`
    }
    await publishing
    expect(seen).toEqual(numbers(count))
  })

  it('is over when its client has gone, and is told of nobody', async () => {
    await publish('gone', 1)
    const stop = new AbortController()
    const waiting = fetch(`${hub.url}/v1/topics/gone/events?after=1&waitMs=20000`, { signal: stop.signal })
    await waits('gone', 1)
    stop.abort()
    await expect(waiting).rejects.toThrow()
    await waits('gone', 0)
  })

  it('is answered when the hub drains', async () => {
    const other = await startHub()
    await other.hub.topic('t').publish(1)
    const askOther = asking(other.url)
    const waiting = askOther<ReadPage>('GET', '/v1/topics/t/events?after=1&waitMs=20000')
    await until(async () => (await askOther<{ subscribers: number }>('GET', '/v1/topics/t')).body.subscribers === 1)
    await other.close()
    expect((await within(waiting, 2_000, 'the answer')).body.events).toEqual([])
  })

  /** A long poll counts as a subscription while it waits. */
  async function waits(topic: string, count: number): Promise<void> {
    const subscribers = async () =>
      (await ask<{ subscribers: number }>('GET', `/v1/topics/${topic}`)).body.subscribers === count
    await until(subscribers, { what: `${count} waiting on ${topic}` })
  }
})

describe('a search', () => {
  interface Found {
    readonly events: readonly { offset: number }[]
    readonly last: number
    readonly next: number
  }
  const find = async (query: string) => (await ask<Found>('GET', `/v1/topics/searched/events?${query}`)).body
  const offsets = async (query: string) => (await find(query)).events.map(({ offset }) => offset)

  it('finds events by key, header, text and time, and says where to go on', async () => {
    const began = Date.now()
    const drafts = Array.from({ length: 30 }, (_, i) => ({
      data: { n: i + 1, to: i % 10 === 0 ? 'Ann "the first"' : 'bob' },
      key: `k${i % 3}`,
      headers: i % 2 === 0 ? { region: 'eu' } : { Region: 'eu', toString: 'x' },
    }))
    await hub.hub.topic('searched').publishAll(drafts)
    expect(await offsets('key=k0&limit=3')).toEqual([1, 4, 7])
    expect(await find('key=k0&limit=3')).toMatchObject({ last: 30, next: 7 })
    expect(await offsets('key=k0&after=7&limit=2')).toEqual([10, 13])
    expect(await offsets('text=ann')).toEqual([1, 11, 21])
    expect(await offsets('text=the%20last')).toEqual([])
    expect(await offsets('header=region:eu&text=%22n%22:1')).toEqual([1, 11, 13, 15, 17, 19])
    expect(await offsets('header=valueOf')).toEqual([])
    expect(await offsets('header=toString&limit=1')).toEqual([2])
    expect(await find('text=ann&before=30&limit=2')).toMatchObject({
      events: [{ offset: 11 }, { offset: 21 }],
      next: 11,
    })
    expect(await find('text=ann&before=11')).toMatchObject({ events: [{ offset: 1 }], next: 1 })
    expect((await offsets(`at=${began}`)).length).toBe(30)
    expect(await offsets('at=1h&limit=1')).toEqual([1])
    expect(await find('text=nobody')).toMatchObject({ events: [], next: 30 })
    for (const wrong of ['at=soon', 'at=end', 'at=%205', 'at=2026-02-30', 'at=1h&after=1', 'key=', 'text=']) {
      expect((await ask('GET', `/v1/topics/searched/events?${wrong}`)).status, wrong).toBe(400)
    }
  })

  it('waits until something fits', async () => {
    const topic = hub.hub.topic('awaited')
    await topic.publish({ kind: 'other' })
    const waiting = ask<Found>('GET', '/v1/topics/awaited/events?text=wanted&waitMs=15000')
    await topic.publish({ kind: 'other' })
    await topic.publish({ kind: 'wanted' })
    expect((await waiting).body).toMatchObject({ events: [{ offset: 3 }], next: 3 })
  })
})
