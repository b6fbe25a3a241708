/** Schemas of topics and queues: what does not fit is refused on every way in, and on every node. No SDK. */

import { beforeAll, describe, expect, it } from 'vitest'
import { asking } from '../support/clients/ask.ts'
import { joinQueues } from '../support/clients/jobs.ts'
import { join } from '../support/clients/wire.ts'
import { startHub } from '../support/hub/hub.ts'
import { storeOfRun } from '../support/hub/runStore.ts'
import { until } from '../support/until.ts'

type Running = Awaited<ReturnType<typeof startHub>>

const ORDER = {
  type: 'object',
  properties: { amount: { type: 'number' }, photo: { type: 'string', maxLength: 8 } },
  required: ['amount'],
}
const FAULT = 'draft 1 does not fit the schema of'
const [right, wrong] = [{ data: { amount: 1 } }, { data: { amount: '1' } }]

let hub: Running
/** Of the same store, where one can be shared. */
let other: Running

beforeAll(async () => {
  const options = {
    ...storeOfRun(),
    topics: { '*': { schema: { type: 'string' } }, 'orders.*': { schema: ORDER }, 'orders.any': { schema: true } },
    queues: {
      'orders-*': { schema: ORDER },
      'orders-bound': { from: ['feed.raw' as const] },
    },
  } as const
  hub = await startHub(options)
  other = options.store === undefined ? hub : await startHub(options)
})

async function refusal(call: Promise<unknown>): Promise<{ code: string; message: string }> {
  return await call.then(
    () => Promise.reject(new Error('it was taken')),
    (error) => error,
  )
}

describe('a draft that does not fit', () => {
  it.each<[string, string, (drafts: readonly object[]) => Promise<unknown>]>([
    ['a publish', 'topic orders.eu', async (drafts) => (await join(hub.url, 'orders.eu')).value('publish', drafts)],
    ['a send', 'queue orders-1', async (drafts) => (await joinQueues(hub.url)).send('orders-1', ...drafts)],
    ['a publish of the program', 'topic orders.eu', (drafts) => hub.hub.topic('orders.eu').publishAll(drafts as [])],
    ['a send of the program', 'queue orders-1', (drafts) => hub.hub.queue('orders-1').sendAll(drafts as [])],
  ])('is refused with its path in %s, and the others of the call with it', async (_, what, call) => {
    expect(await refusal(call([right, wrong]))).toMatchObject({
      code: 'bad_request',
      message: `${FAULT} ${what}: data/amount must be number`,
    })
    await expect(call([right])).resolves.toBeDefined()
  })

  it('is refused over HTTP, and in a request', async () => {
    const ask = asking(hub.url)
    for (const [path, what] of [
      ['topics/orders.http/events', 'topic orders.http'],
      ['queues/orders-http/jobs', 'queue orders-http'],
    ]) {
      const answer = await ask<{ detail: string }>('POST', `/v1/${path}`, [right, wrong])
      expect(answer).toMatchObject({ status: 400, body: { code: 'bad_request' } })
      expect(answer.body.detail).toBe(`${FAULT} ${what}: data/amount must be number`)
    }
    expect((await ask('GET', '/v1/topics/orders.http')).status).toBe(404)
    const wire = await joinQueues(hub.url)
    const asked = wire.value('request', 'orders-http', wrong, { timeoutMs: 1_000 })
    expect((await refusal(asked)).message).toContain('draft 0 does not fit the schema of queue orders-http')
  })

  it('is judged by the most specific pattern, and by what is read of binary', async () => {
    const topic = (name: string) => hub.hub.topic(name)
    await topic('other').publish('text')
    expect((await refusal(topic('other').publish({ amount: 1 }))).message).toContain('data must be string')
    await topic('orders.any').publish(7)
    await topic('orders.eu').publish({ amount: 1, photo: Buffer.from('123456') })
    const long = topic('orders.eu').publish({ amount: 1, photo: Buffer.from('1234567') })
    expect((await refusal(long)).message).toContain('data/photo must NOT have more than 8 characters')
  })
})

describe('a schema that is put', () => {
  it('holds from then on, on every node, and is shown; jobs that were there before it stay', async () => {
    const ask = asking(hub.url)
    await other.hub.queue('later').send(1)
    const schema = { type: 'object', required: ['to'] }
    const put = await ask('PUT', '/v1/queues/later', { schema })
    expect(put).toMatchObject({ status: 200, body: { settings: { schema } } })
    expect(await ask('GET', '/v1/queues/later/settings')).toMatchObject({ body: { stored: { schema } } })
    expect((await refusal(hub.hub.queue('later').send(2))).message).toContain('data must be object')
    const there = () =>
      other.hub
        .queue('later')
        .send(3)
        .then(
          () => '',
          ({ message }) => String(message),
        )
    await until(async () => (await there()).includes('data must be object'), { what: 'the schema on the other node' })
    const worker = await joinQueues(other.url)
    await worker.consume('later', { credit: 1 })
    const [job] = await worker.jobsSeen(1)
    // Dead-lettered and brought back, it is taken as it was.
    await worker.settle('later', { id: job?.id ?? '', lease: job?.lease ?? '', as: 'dead' })
    expect(await ask('POST', '/v1/queues/later/redrive')).toMatchObject({ body: { moved: 1 } })
    expect((await worker.jobsSeen(2)).at(-1)).toMatchObject({ id: job?.id, data: 1 })
    expect((await ask('PUT', '/v1/queues/later', {})).status).toBe(200)
    await hub.hub.queue('later').send(4)
  })

  it.each([
    ['topics/t', { schema: { type: 'strin' } }, 'settings: schema.type: must be equal to one of the allowed values'],
    [
      'queues/q',
      { schema: { minimun: 1 } },
      'settings: schema.minimun: unknown keyword minimun; did you mean minimum?',
    ],
    ['topics/t', { schema: { pattern: '(?=a)' } }, 'settings: schema.pattern: (?=a) looks ahead or behind'],
    ['topics/t', { schema: { $ref: 'http://127.0.0.1/x' } }, 'others are not loaded'],
    ['queues/q', { schema: 'object' }, 'is no JSON Schema'],
  ])('is refused where it is none: %s %j', async (path, settings, why) => {
    const answer = await asking(hub.url)<{ detail: string }>('PUT', `/v1/${path}`, settings)
    expect(answer).toMatchObject({ status: 400, body: { code: 'bad_request' } })
    expect(answer.body.detail).toContain(why)
  })
})

it('a schema that comes over HTTP has so many parts, counted before it is read; one of the program may have more', async () => {
  const ofParts = (parts: number) => ({ allOf: Array.from({ length: parts - 1 }, () => ({})) })
  const ask = asking(hub.url)
  for (const path of ['/v1/topics/many.parts', '/v1/queues/many.parts']) {
    expect((await ask('PUT', path, { schema: ofParts(250) })).status).toBe(200)
    const refused = await ask('PUT', path, { schema: { $comment: 1, ...ofParts(251) } })
    expect(refused).toMatchObject({
      status: 400,
      body: { code: 'bad_request', message: expect.stringContaining('more than 250 parts, which is the limit') },
    })
  }
  const { url } = await startHub({ limits: { schemaParts: 1 }, topics: { t: { schema: ofParts(300) } } })
  expect((await asking(url)('PUT', '/v1/topics/u', { schema: ofParts(2) })).status).toBe(400)
  expect((await asking(url)('PUT', '/v1/topics/u', { schema: { type: 'number' } })).status).toBe(200)
})

it('an event that does not fit a bound queue is among its dead letters, and the binding goes on', async () => {
  const ask = asking(hub.url)
  type Bound = { bindings: readonly unknown[]; counts: Record<string, number> }
  const info = async () => (await ask<Bound>('GET', '/v1/queues/orders-bound')).body
  await until(async () => (await info()).bindings?.length === 1, { what: 'the binding' })
  await ask('PUT', '/v1/topics/feed.raw', { schema: true })
  const drafts = [
    { data: { amount: 1 } },
    { data: { amount: '2' }, key: 'k', headers: { h: '1' } },
    { data: { amount: 3 } },
  ]
  await until(
    () =>
      hub.hub
        .topic('feed.raw')
        .publishAll(drafts)
        .then(
          () => true,
          () => false,
        ),
    { what: 'the publish' },
  )
  const worker = await joinQueues(hub.url)
  await worker.consume('orders-bound', { credit: 10 })
  expect((await worker.jobsSeen(2)).map(({ data }) => data)).toEqual([{ amount: 1 }, { amount: 3 }])
  expect((await info()).counts).toMatchObject({ sent: 3, held: 2, dead: 1 })
  const { jobs } = (await ask<{ jobs: unknown[] }>('GET', '/v1/queues/orders-bound/jobs?state=dead')).body
  expect(jobs).toMatchObject([
    {
      data: { amount: '2' },
      key: 'k',
      headers: { h: '1' },
      dead: { reason: 'rejected', error: 'does not fit the schema: data/amount must be number' },
    },
  ])
  // Whoever brings it back has decided that it is work.
  expect(await ask('POST', '/v1/queues/orders-bound/redrive')).toMatchObject({ body: { moved: 1 } })
  expect((await worker.jobsSeen(3)).at(-1)?.data).toEqual({ amount: '2' })
})
