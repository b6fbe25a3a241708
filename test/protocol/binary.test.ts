/** More binary than one packet of Socket.IO carries: ten attachments are what its clients take. */

import { beforeAll, describe, expect, it } from 'vitest'
import type { Hub } from '../../server/api.ts'
import { join as joined, whole } from '../../shared/joined.ts'
import type { Published, ReadPage } from '../../shared/protocol.ts'
import type { Job } from '../../shared/queues.ts'
import { join, joinNamespace } from '../support/clients/wire.ts'
import { startHub } from '../support/hub/hub.ts'
import { open } from '../support/sdk/handles.ts'
import { until } from '../support/until.ts'

const TRANSPORTS = [['websocket'], ['polling']] as const
const MARK = { _placeholder: true, num: 77 }

let url: string
let hub: Hub
let number = 0
const next = () => `binary-${++number}`
const bytes = (...values: number[]) => Buffer.from(values)
const files = (count: number) => Array.from({ length: count }, (_, i) => bytes(i, i))

/** As a plain client puts it together. */
function dataOf(item: object | undefined): unknown {
  const { data, joined: form } = (item ?? {}) as { readonly data?: unknown; readonly joined?: unknown }
  return form === undefined ? data : whole(form)
}

describe('binary beyond ten attachments', () => {
  beforeAll(async () => {
    ;({ url, hub } = await startHub())
  })

  describe.each(TRANSPORTS)('over %s, a plain client', (transport) => {
    const options = { transports: [transport] }

    it('catches up with binary events and meets them live, as any other', async () => {
      const topic = next()
      const stored = await join(url, topic, { from: 'none' })
      for (const i of [0, 10, 20])
        await stored.value(
          'publish',
          files(10).map((data) => ({ data, key: `${i}` })),
        )
      for (const paced of [false, true]) {
        const wire = await join(url, topic, { from: 'start', paced }, options)
        await wire.seen('live')
        expect(wire.events().map(({ data }) => data)).toEqual([...files(10), ...files(10), ...files(10)])
      }
      const live = await join(url, topic, {}, options)
      await live.seen('live')
      await hub.topic(topic).publishAll(files(25).map((data) => ({ data: { data } })))
      const events = await live.eventsSeen(25)
      expect(events.map(({ data }) => data)).toEqual(files(25).map((data) => ({ data })))
    })

    it('reads pages that end, or begin, where ten attachments do', async () => {
      const topic = next()
      await hub.topic(topic).publishAll(files(25).map((data) => ({ data })))
      await hub.topic(topic).publish(MARK)
      const wire = await join(url, topic, { from: 'none' }, options)
      const forward = await wire.value<ReadPage>('read', {})
      expect(forward.events.map(({ offset }) => offset)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
      expect(forward.last).toBe(26)
      const back = await wire.value<ReadPage>('read', { before: 27 })
      expect(back.events.map(({ offset }) => offset)).toEqual([16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26])
      expect(dataOf(back.events.at(-1))).toEqual(MARK)
      expect(dataOf(back.events[0])).toEqual(bytes(15, 15))
    })

    it('sends and gets a draft that has more by itself, joined', async () => {
      const topic = next()
      const wire = await join(url, topic, { from: 'start' }, options)
      const data = { name: 'album', mark: MARK, files: files(40), __proto__: null, last: Buffer.alloc(0) }
      const { offsets } = await wire.value<Published>('publish', [{ joined: joined(data), key: 'k' }])
      expect(offsets).toEqual([1])
      const [event] = await wire.eventsSeen(1)
      expect(event).toMatchObject({ offset: 1, key: 'k', data: null })
      expect(dataOf(event)).toEqual({ ...data })
      // And many in one call, all or none.
      const drafts = files(30).map((file) => ({ data: file }))
      const many = await wire.value<Published>('publish', { joined: joined(drafts) })
      expect(many.offsets).toHaveLength(30)
      await wire.eventsSeen(31)
      const page = await wire.value<ReadPage>('read', { limit: 1 })
      expect(dataOf(page.events[0])).toEqual({ ...data })
    })

    it('keeps a property called __proto__ beside binary', async () => {
      const topic = next()
      const wire = await join(url, topic, { from: 'start' }, options)
      const odd: object = JSON.parse('{"__proto__":{"a":1},"b":2}')
      const datas = [{ ...odd, file: bytes(1) }, odd, { within: [odd], file: bytes(2) }]
      await wire.value('publish', { joined: joined(datas.map((data) => ({ data }))) })
      const page = await wire.value<ReadPage>('read', {})
      for (const events of [await wire.eventsSeen(3), page.events]) {
        expect(JSON.stringify(events.map(dataOf))).toBe(JSON.stringify(datas))
      }
      // The SDK sends it so, and reads it.
      const sdk = open(url, { transports: [transport] }).topic(topic)
      for (const data of datas) await sdk.publish(data)
      const { events } = await sdk.read({ after: 3 })
      expect(JSON.stringify(events.map(({ data }) => data))).toBe(JSON.stringify(datas))
    })

    it('gets jobs, replies and settles with many', async () => {
      const queue = next()
      const wire = await joinNamespace(url, '/queues', {}, options)
      await wire.value('send', queue, { joined: joined([...files(12), files(12)].map((data) => ({ data }))) })
      await wire.value('consume', queue, { credit: 100 })
      const jobs = () => wire.packets.flatMap(({ name, args }) => (name === 'jobs' ? (args[1] as readonly Job[]) : []))
      await until(() => jobs().length === 13)
      expect(jobs().map(dataOf)).toEqual([...files(12), files(12)])
      const settle = jobs().map(({ id, lease }) => ({ id, lease, as: 'done' }))
      expect(await wire.value('settle', queue, settle)).toEqual(settle.map(() => 'ok'))
      const reply = wire.call('request', queue, { joined: joined(files(11)) })
      await until(() => jobs().length === 14)
      const { id, lease } = jobs()[13] as Job
      await wire.value('settle', queue, [{ id, lease, as: 'done', joined: joined({ files: files(20), MARK }) }])
      const answer = (await reply) as { readonly ok: boolean; readonly value: unknown; readonly joined: unknown }
      expect(answer).toMatchObject({ ok: true, value: null })
      expect(whole(answer.joined)).toEqual({ files: files(20), MARK })
    })
  })

  it.each(TRANSPORTS)('the SDK over %s never notices', async (transport) => {
    const hubs = [open(url, { transports: [transport] }), open(url, { transports: [transport] })]
    const [sender, receiver] = hubs.map((one) => one.topic('album'))
    const name = next()
    const [out, back] = hubs.map((one) => one.topic(name))
    expect(sender !== receiver).toBe(true)
    const got: unknown[] = []
    const datas = [...files(25), files(11), { a: bytes(1), mark: MARK }, MARK, 'text', { deep: { files: files(12) } }]
    await Promise.all(datas.map((data) => out?.publish(data)))
    back?.subscribe(({ data }) => got.push(data), { from: 'start' })
    await until(() => got.length === datas.length)
    expect(got).toEqual(datas)
    const page = await back?.read({ limit: 100 })
    expect(page?.events.map(({ data }) => data)).toEqual(datas)
    expect((await back?.read({ before: 20, limit: 15 }))?.events).toHaveLength(15)

    const [sending, working] = hubs.map((one) => one.queue(name))
    const jobs: unknown[] = []
    working?.consume(
      ({ data }) => {
        jobs.push(data)
        return data
      },
      { concurrency: 50 },
    )
    await Promise.all(datas.map((data) => sending?.send(data)))
    await until(() => jobs.length === datas.length)
    expect(jobs).toEqual(datas)
    expect(await Promise.all(datas.map((data) => sending?.request(data)))).toEqual(datas)
    // All of it over the first connection.
    expect(hubs).toHaveLength(2)
  })

  it.each([
    ['no JSON text', { json: '{', parts: [], bytes: bytes() }],
    ['no bytes', { json: 'null', parts: [[[], 1]] }],
    ['bytes that are too few', { json: 'null', parts: [[[], 2]], bytes: bytes(1) }],
    ['bytes that are too many', { json: 'null', parts: [[[], 1]], bytes: bytes(1, 2) }],
    [
      'a negative length',
      {
        json: '[null,null]',
        parts: [
          [[0], -1],
          [[1], 2],
        ],
        bytes: bytes(1),
      },
    ],
    ['a place that is not null', { json: '[1]', parts: [[[0], 1]], bytes: bytes(1) }],
    ['a place that is not there', { json: '{}', parts: [[['a'], 1]], bytes: bytes(1) }],
    ['a place of the prototype', { json: '{}', parts: [[['__proto__', 'x'], 1]], bytes: bytes(1) }],
    [
      'the same place twice',
      {
        json: '[null]',
        parts: [
          [[0], 1],
          [[0], 1],
        ],
        bytes: bytes(1, 2),
      },
    ],
    [
      'a place within bytes',
      {
        json: '[null]',
        parts: [
          [[0], 1],
          [[0, 0], 1],
        ],
        bytes: bytes(1, 2),
      },
    ],
    ['a step that is an object', { json: '[null]', parts: [[[{ toString: 1 }], 1]], bytes: bytes(1) }],
    ['a path that is none', { json: 'null', parts: [['', 1]], bytes: bytes(1) }],
    ['nothing', null],
  ])('a joined form with %s is refused, and the connection lives', async (_what, form) => {
    const wire = await join(url, next(), { from: 'none' })
    for (const drafts of [{ joined: form }, [{ joined: form }]]) {
      expect(await wire.call('publish', drafts)).toMatchObject({ ok: false, error: { code: 'bad_request' } })
    }
    expect(await wire.call('publish', [{ data: 1, joined: joined(2) }])).toMatchObject({
      ok: false,
      error: { code: 'bad_request' },
    })
    expect(await wire.call('publish', { joined: joined('not a list') })).toMatchObject({ ok: false })
    const unknown = { code: 'unsupported', message: expect.stringContaining('"part"') }
    const one = { ...joined(1), part: 1 }
    for (const drafts of [{ joined: joined([{ data: 1 }]), part: 1 }, { joined: one }, [{ joined: one }]]) {
      expect(await wire.call('publish', drafts)).toMatchObject({ ok: false, error: unknown })
    }
    expect(await wire.value('publish', [{ data: 1 }])).toMatchObject({ offsets: [1] })
  })
})
