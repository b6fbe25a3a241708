/** Limits come with the connection, and the SDK keeps to them: smaller ones, larger ones, and others after a restart. */

import { describe, expect, it } from 'vitest'
import { errorOf, open } from '../client/support/handles.ts'
import { startHub } from '../support/hub.ts'
import { storeOfRun } from '../support/run-store.ts'
import { tempFolder } from '../support/temp.ts'
import { until } from '../support/until.ts'
import { join, joinNamespace } from '../support/wire.ts'

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
    const { url } = await startHub({ limits: { payload: '1MiB', packet: '4MiB' } })
    const hub = open(url, { transports: [transport] })
    const data = 'y'.repeat(1_000_000)
    expect(await hub.topic('orders').publish(data)).toMatchObject({ offset: 1 })
    const queue = hub.queue('orders')
    queue.consume((job) => job.data)
    expect(await queue.request(data)).toBe(data)
  })

  it('that are smaller after a restart refuse what waits and is larger, and the rest goes on', async () => {
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
