/** Every `close` ends in time, also in a handler, and whoever closes in a handler has handled what it holds. */

import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { startHub } from '../support/hub/hub.ts'
import { startRelay } from '../support/network/relay.ts'
import { errorOf, open } from '../support/sdk/handles.ts'
import { until, within } from '../support/until.ts'

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

  it('skips no event whose handler fails for the last time meanwhile: it comes again', async () => {
    const { url } = await startHub()
    const topic = open(url, { client: 'me' }).topic('orders')
    await topic.publish(1)
    let fail: ((error: Error) => void) | undefined
    const handler = () => new Promise((_, reject) => (fail = reject))
    const failing = topic.subscribe(handler, { from: 'start', onFailure: 'skip', maxAttempts: 1 })
    await until(() => fail !== undefined)
    const closed = failing.close()
    fail?.(new Error('no'))
    await closed
    const got: number[] = []
    topic.subscribe(({ offset }) => got.push(offset))
    await until(() => got.length === 1)
    expect(got).toEqual([1])
  })

  it.each(['subscription', 'topic', 'worker', 'queue', 'hub'] as const)(
    'a %s a second time has no more time than this says',
    async (what) => {
      const { url } = await startHub()
      const hub = open(url, { drainMs: 0 })
      const topic = hub.topic('orders')
      const queue = hub.queue('orders')
      let begun = 0
      const hang = () => {
        begun++
        return never()
      }
      const subscription = topic.subscribe(hang, { from: 'start' })
      const worker = queue.consume(hang)
      await Promise.all([topic.publish(1), queue.send(1)])
      await until(() => begun === 2)
      const handle = { subscription, topic, worker, queue, hub }[what]
      let closed = false
      const first = handle.close({ drainMs: 600_000 }).then(() => {
        closed = true
      })
      const joined = handle.close()
      await turn()
      expect(closed).toBe(false)
      await within(handle.close({ drainMs: 10 }), 5_000, 'the end')
      await Promise.all([first, joined])
      await within(hub.close(), 5_000, 'the hub’s end')
    },
  )

  it('of the hub does not wait longer for what is being closed already', async () => {
    const { url } = await startHub()
    const hub = open(url)
    const topic = hub.topic('orders')
    const queue = hub.queue('orders')
    let begun = 0
    const hang = () => {
      begun++
      return never()
    }
    topic.subscribe(hang, { from: 'start' })
    queue.consume(hang)
    await Promise.all([topic.publish(1), queue.send(1)])
    await until(() => begun === 2)
    const closings = [topic.close({ drainMs: 600_000 }), queue.close({ drainMs: Infinity })]
    await within(hub.close({ drainMs: 10 }), 5_000, 'the hub’s end')
    await Promise.all(closings)
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

  it.each(['subscription', 'topic'] as const)(
    'a %s before the hub has answered leaves nothing to the next one',
    async (what) => {
      const { url } = await startHub()
      const relay = await startRelay(url)
      const hub = open(relay.url)
      await hub.topic('orders').publish('old')
      await hub.topic('orders').close()
      await hub.topic('other').head()
      relay.blackHole(true)
      const topic = hub.topic('orders')
      const sub = topic.subscribe(() => {}, { from: 'start' })
      // The handshake is under way.
      await turn()
      await { subscription: sub, topic }[what].close({ drainMs: 0 })
      const got: unknown[] = []
      const next = hub.topic('orders').subscribe(({ data }) => got.push(data), { from: 'end' })
      // What the hub answers first is under way before it hears of the end.
      relay.delay(20)
      relay.blackHole(false)
      await until(() => next.status.state === 'live')
      await hub.topic('orders').publish('new')
      await until(() => got.length > 0)
      expect(got).toEqual(['new'])
    },
  )

  it('ends what still waits for the hub, and what is asked later', async () => {
    const hub = open('http://127.0.0.1:1', { readTimeoutMs: Infinity, client: 'me' })
    const topic = hub.topic('orders')
    const sub = topic.subscribe(() => {})
    const waiting = [topic.read(), topic.head(), sub.seek('start'), hub.queue('orders').remove('1')].map(errorOf)
    await hub.close({ drainMs: 0 })
    for (const call of [...waiting, errorOf(sub.seek('end')), errorOf(topic.read())]) {
      expect(await within(call, 5_000, 'the end of a call')).toMatchObject({ code: 'unavailable' })
    }
  })
})
