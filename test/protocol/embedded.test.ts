/** The program that embeds a hub subscribes and works in it, with no port and no server. */

import { createServer } from 'node:http'
import type { Duplex } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { connect } from '../../client/index.ts'
import { createHub, dead, type Gap, type HubOptions, retry } from '../../server/index.ts'
import { agentOf } from '../../server/socket/transport/inProcess.ts'
import { atEnd } from '../support/ending.ts'
import { startHub } from '../support/hub/hub.ts'
import { storeOfRun } from '../support/hub/runStore.ts'
import { tempFolder } from '../support/temp.ts'
import { until, within } from '../support/until.ts'

interface Types {
  topics: { orders: { id: number } }
  queues: { emails: { to: string } }
}

async function embed(options: HubOptions = {}) {
  const hub = createHub<Types>({ store: `${await tempFolder()}/data`, logLevel: 'silent', ...storeOfRun(), ...options })
  atEnd(() => hub.close())
  return hub
}

/** A promise that something else resolves. */
function later<T>() {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}

describe('a subscription of the program', () => {
  it('gets what is kept and what comes, in order, once', async () => {
    const hub = await embed()
    const orders = hub.topic('orders')
    await orders.publishAll([1, 2, 3].map((id) => ({ data: { id } })))
    const seen: number[] = []
    const subscription = orders.subscribe((order) => void seen.push(order.data.id), { from: 'start' })
    await until(() => subscription.status.state === 'live', { what: 'the subscription to be live' })
    await Promise.all([4, 5, 6].map((id) => orders.publish({ id })))
    await until(() => seen.length >= 6)
    expect(seen).toEqual([1, 2, 3, 4, 5, 6])
    expect(subscription.position?.offset).toBe(6)
    await subscription.close()
    await orders.publish({ id: 7 })
    expect(await subscription.ended).toEqual({ code: 'closed' })
    expect(seen).toHaveLength(6)
  })

  it('goes on at its cursor in the next process, when it has a client', async () => {
    const store = storeOfRun().store ?? `${await tempFolder()}/data`
    const seen: number[] = []
    for (const first of [1, 3]) {
      const hub = createHub<Types>({ store, logLevel: 'silent' })
      const orders = hub.topic('orders')
      const done = later<void>()
      orders.subscribe(
        (order) => {
          seen.push(order.data.id)
          if (order.data.id === first + 1) done.resolve()
        },
        { client: 'billing', from: 'start' },
      )
      await orders.publishAll([first, first + 1].map((id) => ({ data: { id } })))
      await within(done.promise, 10_000, 'the events')
      // The acknowledgements go with it.
      await hub.close()
    }
    expect(seen).toEqual([1, 2, 3, 4])
  })

  it('shares its client with connections from outside: the newest wins', async () => {
    const { hub, url } = await startHub()
    const inside = hub.topic('orders').subscribe(() => {}, { client: 'ann' })
    await until(() => inside.status.state === 'live')
    const outside = connect(url, { client: 'ann' })
    atEnd(() => outside.close())
    const other = outside.topic('orders').subscribe(() => {})
    expect(await inside.ended).toMatchObject({ code: 'taken_over' })
    expect(other.status.state).not.toBe('ended')
  })

  it('is told its gaps in their place, and acknowledges by hand', async () => {
    const hub = await embed({ topics: { orders: { retain: { events: 5 } } } })
    const orders = hub.topic('orders')
    await orders.publishAll(Array.from({ length: 10 }, (_, id) => ({ data: { id } })))
    await until(async () => (await orders.read()).events.length === 5, { what: 'the trim' })
    const { epoch } = await orders.head()
    const told: (number | Gap)[] = []
    const subscription = orders.subscribe((order) => void told.push(order.offset), {
      client: 'manual',
      ack: 'manual',
      from: { epoch, offset: 0 },
    })
    subscription.onGap((gap) => told.push(gap))
    await until(() => told.length === 6)
    expect(told).toEqual([expect.objectContaining({ from: 1, to: 5, reason: 'trimmed' }), 6, 7, 8, 9, 10])
    expect(await subscription.ack({ epoch, offset: 8 })).toEqual({ epoch, offset: 8 })
  })

  it('tries a handler again, then ends before the event', async () => {
    const hub = await embed()
    const attempts: number[] = []
    const subscription = hub.topic('orders').subscribe(
      () => {
        throw new Error('no')
      },
      { from: 'start', maxAttempts: 2, retry: { baseMs: 1, maxMs: 1 } },
    )
    subscription.onError((failure) => attempts.push(failure.attempts))
    await hub.topic('orders').publish({ id: 1 })
    expect(await subscription.ended).toMatchObject({ code: 'handler_failed', position: { offset: 1 } })
    expect(attempts).toEqual([1, 2])
  })

  it('carries binary data and large data as it is', async () => {
    const hub = createHub({ store: `${await tempFolder()}/data`, logLevel: 'silent', ...storeOfRun() })
    atEnd(() => hub.close())
    const got = later<unknown>()
    hub.topic('files').subscribe((event) => got.resolve(event.data), { from: 'start' })
    const bytes = Buffer.from([0, 255])
    const text = 'x'.repeat(200_000)
    await hub.topic('files').publish({ bytes, text })
    expect(await got.promise).toEqual({ bytes, text })
    expect((await hub.topic('files').read()).events[0]?.data).toEqual({ bytes: new Uint8Array(bytes), text })
  })
})

describe('a worker of the program', () => {
  it('replies, retries and dead-letters as the SDK does', async () => {
    const hub = await embed({ queues: { '*': { maxAttempts: 5 } } })
    const emails = hub.queue('emails')
    const failures: string[] = []
    const worker = emails.consume(
      ({ data, attempts }) => {
        if (data.to === 'nobody') return dead('no address')
        if (data.to === 'busy' && attempts === 0) return retry(1, 'busy')
        return `sent to ${data.to}, ${attempts} failed`
      },
      { concurrency: 4 },
    )
    worker.onError(({ then }) => failures.push(then))
    const answers = await Promise.all(['ann', 'busy'].map((to) => emails.request<string>({ to })))
    expect(answers).toEqual(['sent to ann, 0 failed', 'sent to busy, 1 failed'])
    await expect(emails.request({ to: 'nobody' })).rejects.toMatchObject({ code: 'failed' })
    expect(await emails.remove('unknown')).toBe(false)
    await worker.close()
    const { id } = await emails.send({ to: 'late' })
    expect(await emails.remove(id)).toBe(true)
    await expect(emails.request({ to: 'late' }, { timeoutMs: 50 })).rejects.toMatchObject({ code: 'timeout' })
  })

  it('shares the jobs with other workers, in this program and outside', async () => {
    const { hub, url } = await startHub()
    const outside = connect(url)
    atEnd(() => outside.close())
    const by = new Map<string, number>()
    const count = (who: string) => async () => {
      by.set(who, (by.get(who) ?? 0) + 1)
      await until(() => by.size === 3, { what: 'a job for each worker' })
    }
    hub.queue('sums').consume(count('first'))
    hub.queue('sums').consume(count('second'), { client: 'second' })
    outside.queue('sums').consume(count('outside'))
    await Promise.all(Array.from({ length: 6 }, (_, n) => hub.queue('sums').request(n)))
    expect([...by.values()].reduce((sum, one) => sum + one, 0)).toBe(6)
  })
})

describe('a connection within the process', () => {
  it('brings what is written when the call is over, and takes an empty chunk behind it', async () => {
    // As a WebSocket sends its last frame: its `close` is not to be answered before it has returned.
    const server = createServer().removeAllListeners('connection')
    let arrived = ''
    server.on('connection', (far) => far.on('data', (chunk) => (arrived += chunk)))
    const near = agentOf(server).createConnection({}) as Duplex
    // Whoever has just begun to read takes the empty chunk in any case.
    await new Promise(setImmediate)
    near.write('frame')
    expect(arrived).toBe('')
    const taken = new Promise<void>((resolve) => near.write('', () => resolve()))
    await within(taken, 10_000, 'the empty chunk to be taken')
    expect(arrived).toBe('frame')
    near.destroy()
  })
})

describe('closing the hub', () => {
  it('lets the handlers of the program finish, and keeps what they publish, send and settle', async () => {
    const store = storeOfRun().store ?? `${await tempFolder()}/data`
    const hub = createHub<Types>({ store, logLevel: 'silent' })
    const running = later<void>()
    const go = later<void>()
    let begun = 0
    const handle = async () => {
      begun += 1
      if (begun === 2) running.resolve()
      await go.promise
      await hub.topic('orders').publish({ id: 99 })
    }
    const worker = hub.queue('emails').consume(handle)
    const subscription = hub.topic('orders').subscribe(handle, { client: 'billing', from: 'start' })
    await hub.queue('emails').send({ to: 'ann' })
    await hub.topic('orders').publish({ id: 1 })
    await within(running.promise, 10_000, 'both handlers')
    const closed = hub.close()
    go.resolve()
    await within(closed, 10_000, 'the hub to close')
    expect(await worker.ended).toEqual({ code: 'closed' })
    expect(await subscription.ended).toEqual({ code: 'closed' })
    expect(() => hub.topic('orders').subscribe(() => {})).toThrow(/closed/)

    const again = createHub<Types>({ store, logLevel: 'silent' })
    atEnd(() => again.close())
    expect((await again.topic('orders').read()).events.map(({ data }) => data.id)).toEqual([1, 99, 99])
    await expect(again.queue('emails').request({ to: 'nobody is there' }, { timeoutMs: 20 })).rejects.toMatchObject({
      code: 'timeout',
    })
    const seen: number[] = []
    again.topic('orders').subscribe((order) => void seen.push(order.data.id), { client: 'billing' })
    await until(() => seen.length >= 2)
    expect(seen).toEqual([99, 99])
  })

  it('lets the handler finish that asks for it', async () => {
    const store = storeOfRun().store ?? `${await tempFolder()}/data`
    const hub = createHub<Types>({ store, logLevel: 'silent' })
    const asked = later<{ readonly closed: Promise<void> }>()
    hub.queue('emails').consume(async () => {
      asked.resolve({ closed: hub.close() })
      for (const id of [1, 2, 3]) await hub.topic('orders').publish({ id })
    })
    await hub.queue('emails').send({ to: 'ann' }, { id: 'last' })
    await (await within(asked.promise, 10_000, 'the job')).closed
    const again = createHub<Types>({ store, logLevel: 'silent' })
    atEnd(() => again.close())
    expect((await again.topic('orders').read()).events.map(({ data }) => data.id)).toEqual([1, 2, 3])
  })

  it('takes no subscription and no worker any more, also where there was none before', async () => {
    const hub = createHub({ store: `${await tempFolder()}/data`, logLevel: 'silent', ...storeOfRun() })
    const closed = hub.close()
    const over = expect.objectContaining({ code: 'unavailable' })
    expect(() => hub.topic('orders').subscribe(() => {})).toThrow(over)
    await closed
    expect(() => hub.queue('emails').consume(() => {})).toThrow(over)
  })

  it('does nothing more, and leaves nothing behind, where nobody subscribed', async () => {
    const hub = await embed()
    await hub.topic('orders').publish({ id: 1 })
    const closed = hub.close()
    await expect(hub.topic('orders').publish({ id: 2 })).rejects.toMatchObject({ code: 'unavailable' })
    await closed
  })
})

describe('mistakes', () => {
  it('are told by the call', async () => {
    const hub = createHub({ store: `${await tempFolder()}/data`, logLevel: 'silent', ...storeOfRun() })
    atEnd(() => hub.close())
    const wrong = [
      () => hub.topic('no name').subscribe(() => {}),
      () => hub.topic('orders').subscribe('handler' as never),
      () => hub.topic('orders').subscribe(() => {}, { from: 'none' as never }),
      () => hub.topic('orders').subscribe(() => {}, { client: 'no name' }),
      () => hub.queue('no name').consume(() => {}),
      () => hub.queue('emails').consume(() => {}, { concurrency: 0 }),
    ]
    for (const call of wrong) expect(call).toThrow(expect.objectContaining({ code: 'bad_request' }))
    await expect(hub.topic('no name').read()).rejects.toMatchObject({ code: 'bad_request' })
    await expect(hub.topic('orders').read({ limit: -1 })).rejects.toMatchObject({ code: 'bad_request' })
    const refused = [
      hub.topic('orders').publishAll('text' as never),
      hub.topic('orders').publishAll([null] as never),
      hub.topic('orders').publish(Number.NaN),
      hub.topic('orders').publish({ n: Number.NaN }),
      hub.topic('orders').publish([Number.NaN]),
      hub.topic('orders').publish({ at: new Date(Number.NaN) }),
      hub.topic('orders').read(null as never),
      hub.queue('emails').sendAll(undefined as never),
      hub.queue('emails').sendAll([1] as never),
    ]
    for (const call of refused) await expect(call).rejects.toMatchObject({ code: 'bad_request' })
  })
})

describe('a receipt', () => {
  it('says where nothing was stored, as the id was there already', async () => {
    const hub = await embed()
    const orders = hub.topic('orders')
    const emails = hub.queue('emails')
    expect(await orders.publish({ id: 1 }, { id: 'a' })).not.toHaveProperty('duplicate')
    expect(await orders.publish({ id: 1 }, { id: 'a' })).toMatchObject({ offset: 1, duplicate: true })
    expect(await emails.send({ to: 'ann' }, { id: 'a' })).not.toHaveProperty('duplicate')
    expect(await emails.send({ to: 'ann' }, { id: 'a' })).toMatchObject({ id: 'a', duplicate: true })
  })
})
