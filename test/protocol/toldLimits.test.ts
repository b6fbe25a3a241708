/** Limits come with the connection, and the SDK keeps to them: smaller ones, larger ones, and others after a restart. */

import { describe, expect, it } from 'vitest'
import { join, joinNamespace } from '../support/clients/wire.ts'
import { startHub } from '../support/hub/hub.ts'
import { nodesOfRun, storeOfRun } from '../support/hub/runStore.ts'
import { errorOf, open } from '../support/sdk/handles.ts'
import { tempFolder } from '../support/temp.ts'
import { until } from '../support/until.ts'

const SMALL = { payload: 1_024, batch: 10, packet: 8_192 }
const TRANSPORTS = [['websocket'], ['polling']] as const
const text = (bytes: number) => 'x'.repeat(bytes - '{"data":""}'.length)

describe('limits', () => {
  it('are the first packet where the handshake asks for it', async () => {
    const { url } = await startHub({ limits: SMALL })
    for (const wire of [
      await join(url, 'orders', { from: 'none', limits: true }),
      await joinNamespace(url, '/queues', { limits: true }),
    ]) {
      await wire.value('auth', { token: 'x' })
      expect(wire.packets).toEqual([{ name: 'limits', args: [SMALL] }])
    }
  })

  it.each(TRANSPORTS)('that are smaller are kept to over %s', async (transport) => {
    const { url } = await startHub({ limits: SMALL })
    const hub = open(url, { transports: [transport] })
    const topic = hub.topic('orders')
    const queue = hub.queue('orders')
    const outcomes = await Promise.all([
      ...Array.from({ length: 50 }, (_, i) => topic.publish(`${i}${text(1_000)}`)),
      errorOf(topic.publish(text(1_025))),
      topic.publish(text(1_024)),
      errorOf(queue.send(text(1_025))),
      queue.send('small'),
    ])
    expect(outcomes[50]).toMatchObject({ code: 'too_large' })
    expect(outcomes[51]).toMatchObject({ offset: 51 })
    expect(outcomes[52]).toMatchObject({ code: 'too_large' })
    expect(await errorOf(queue.request('x'.repeat(3_000_000)))).toMatchObject({ code: 'too_large' })
    expect(await errorOf(queue.remove('x'.repeat(3_000_000)))).toMatchObject({ code: 'too_large' })
    expect(await errorOf(topic.read({ after: { epoch: 'x'.repeat(10_000), offset: 1 } }))).toMatchObject({
      code: 'too_large',
    })
    const worker = queue.consume(({ data }) => (data === 'big' ? 'x'.repeat(3_000_000) : data), { concurrency: 200 })
    expect(await errorOf(queue.request('big'))).toMatchObject({
      code: 'failed',
      message: expect.stringContaining('3000002 bytes'),
    })
    const replies = Array.from({ length: 60 }, (_, i) => `${i}${text(900)}`)
    expect(await Promise.all(replies.map((data) => queue.request(data)))).toEqual(replies)
    expect(worker.status.state).toBe('working')
  })

  it.each(TRANSPORTS)('that are larger are used over %s', async (transport) => {
    const { url } = await startHub({ limits: { payload: '1500KB', packet: '2500KB' } })
    const hub = open(url, { transports: [transport], maxOutboxBytes: 8_000_000 })
    const topic = hub.topic('orders')
    const data = 'y'.repeat(1_400_000)
    const got: unknown[] = []
    topic.subscribe((event) => void got.push(event.data), { from: 'start' })
    const bytes = new Uint8Array(1_400_000).fill(7)
    const offsets = await Promise.all([data, 'small', bytes, data].map((one) => topic.publish(one)))
    expect(offsets.map(({ offset }) => offset)).toEqual([1, 2, 3, 4])
    await until(() => got.length === 4, { what: 'four events', deadlineMs: 20_000 })
    expect([got[0] === data, got[1], Buffer.compare(got[2] as Uint8Array, bytes), got[3] === data]).toEqual([
      ...[true, 'small', 0, true],
    ])
    expect(await errorOf(topic.publish('y'.repeat(1_500_000)))).toMatchObject({ code: 'too_large' })
    const queue = hub.queue('orders')
    queue.consume((job) => job.data)
    expect((await queue.request(data)) === data).toBe(true)
  })

  it('that are larger hold over HTTP', async () => {
    const { url } = await startHub({ limits: { payload: '1500KB', packet: '2MB' } })
    const data = '~'.repeat(1_400_000)
    const post = async (path: string, body: unknown) => {
      const headers = { 'content-type': 'application/json' }
      const response = await fetch(`${url}/v1/${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
      return [response.status, await response.json()] as [number, Record<string, unknown>]
    }
    expect(await post('topics/big/events', { data })).toMatchObject([201, { offsets: [1] }])
    expect(await post('topics/big/events', [{ data: 1 }, { data: 2 }])).toMatchObject([201, { offsets: [2, 3] }])
    const over = [{ data }, { data: '~'.repeat(200_000) }]
    expect(await post('topics/big/events', over)).toMatchObject([413, { code: 'too_large' }])
    expect(await post('topics/big/events', { data: `${data}${data.slice(0, 200_000)}` })).toMatchObject([
      413,
      { code: 'too_large' },
    ])
    const page = (await (await fetch(`${url}/v1/topics/big/events?after=0`)).json()) as { events: { data: unknown }[] }
    expect(page.events[0]?.data === data).toBe(true)
    const stream = await fetch(`${url}/v1/topics/big/stream?from=start`)
    let seen = 0
    for await (const chunk of stream.body ?? []) {
      seen += Buffer.from(chunk).toString('latin1').split('~').length - 1
      if (seen >= data.length) break
    }
    expect(seen).toBe(data.length)
    expect(await post('queues/big/jobs', { data, id: 'a' })).toMatchObject([201, { ids: ['a'] }])
    const [, { jobs }] = (await post('queues/big/claims', {})) as [number, { jobs: { data: unknown; lease: string }[] }]
    expect(jobs[0]?.data === data).toBe(true)
    expect(await post('queues/big/settlements', [{ id: 'a', lease: jobs[0]?.lease, as: 'done' }])).toEqual([
      200,
      ['ok'],
    ])
  })

  it('that are smaller after a restart refuse what waits and is larger, and the rest goes on', async ({ skip }) => {
    skip(nodesOfRun() > 1, 'a hub is started again at the address of the one before')
    const store = storeOfRun().store ?? `${await tempFolder()}/data`
    const before = await startHub({ store })
    const port = Number(new URL(before.url).port)
    const hub = open(before.url)
    const topic = hub.topic('orders')
    await topic.publish('first')
    await before.close()
    const waiting = Array.from({ length: 30 }, (_, i) =>
      topic.publish(i % 3 === 0 ? text(5_000) : i).catch((error) => error),
    )
    const after = await startHub({ store, limits: SMALL, port })
    const outcomes = await Promise.all(waiting)
    const kept = outcomes.filter((outcome) => 'offset' in outcome)
    expect(outcomes.filter(({ code }) => code === 'too_large')).toHaveLength(10)
    expect(kept).toHaveLength(20)
    const page = await open(after.url).topic('orders').read()
    await until(() => page.events.length > 0)
    expect(page.events.map(({ data }) => data).filter((data) => data !== 'first')).toEqual(
      Array.from({ length: 30 }, (_, i) => i).filter((i) => i % 3 !== 0),
    )
  })
})
