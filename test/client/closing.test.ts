/** Every `close` ends in time, also in a handler, and whoever closes in a handler has handled what it holds. */

import { describe, expect, it } from 'vitest'
import { startHub } from '../support/hub.ts'
import { until, within } from '../support/until.ts'
import { open } from './support/handles.ts'

const never = () => new Promise<never>(() => {})

describe('closing', () => {
  it('ends after its drainMs, where a handler never does', async () => {
    const { url } = await startHub()
    const hub = open(url, { drainMs: 600_000, client: 'me' })
    const topic = hub.topic('orders')
    const queue = hub.queue('orders')
    let begun = 0
    const hang = () => {
      begun++
      return never()
    }
    const first = topic.subscribe(hang, { from: 'start' })
    const second = open(url, { client: 'other' }).topic('orders').subscribe(hang, { from: 'start' })
    const worker = queue.consume(hang)
    await Promise.all([topic.publish(1), queue.send(1)])
    await until(() => begun === 3)
    await within(first.close({ drainMs: 10 }), 5_000, 'the subscription’s end')
    await within(second.close(), 5_000, 'the end within the handle’s drainMs')
    await within(worker.close({ drainMs: 10 }), 5_000, 'the worker’s end')
    expect(await first.ended).toEqual({ code: 'closed' })
    expect(await worker.ended).toEqual({ code: 'closed' })
    topic.subscribe(hang, { from: 'start' })
    await until(() => begun === 4)
    await within(hub.close({ drainMs: 10 }), 5_000, 'the hub’s end')
  })

  it.each(['subscription', 'topic', 'hub'] as const)(
    'a %s in its own handler, what was handled is acknowledged',
    async (what) => {
      const { url } = await startHub()
      const hub = open(url, { client: 'me', drainMs: 600_000 })
      const topic = hub.topic('orders')
      await Promise.all([1, 2, 3].map((n) => topic.publish(n)))
      const got: unknown[] = []
      const sub = topic.subscribe(
        async ({ data }) => {
          got.push(data)
          if (data === 2) await { subscription: sub, topic, hub }[what].close()
        },
        { from: 'start' },
      )
      expect(await within(sub.ended, 5_000, 'the end')).toEqual({ code: 'closed' })
      await hub.close()
      expect(got).toEqual([1, 2])
      const again: unknown[] = []
      open(url, { client: 'me' })
        .topic('orders')
        .subscribe(({ data }) => again.push(data))
      await until(() => again.length > 0)
      expect(again).toEqual([3])
    },
  )

  it.each(['worker', 'queue', 'hub'] as const)('a %s in its own handler, what was done is settled', async (what) => {
    const { url } = await startHub()
    const hub = open(url, { drainMs: 600_000 })
    const queue = hub.queue('orders')
    await Promise.all([queue.send(1), queue.send(2)])
    const got: unknown[] = []
    const worker = queue.consume(async ({ data }) => {
      got.push(data)
      await { worker, queue, hub }[what].close()
    })
    expect(await within(worker.ended, 5_000, 'the end')).toEqual({ code: 'closed' })
    await hub.close()
    open(url)
      .queue('orders')
      .consume(({ data }) => got.push(data))
    await until(() => got.length === 2)
    expect(got).toEqual([1, 2])
  })
})
