import { describe, expect, it } from 'vitest'
import type { ConnectOptions, Gap, Received, Status, SubscribeOptions } from '../../client/index.ts'
import { until } from '../support/until.ts'
import { nextPublish, range, startFakeHub } from './support/fake-hub.ts'
import { errorOf, open } from './support/handles.ts'

const start = (offset: number, epoch = 'a') => ({ epoch, offset })

async function subscriber(
  options: SubscribeOptions = {},
  connection: ConnectOptions = {},
  handler: (event: Received) => unknown = () => {},
) {
  const fake = await startFakeHub()
  const hub = open(fake.url, connection)
  const topic = hub.topic('orders')
  const got: number[] = []
  const log: string[] = []
  const sub = topic.subscribe((event) => {
    got.push(event.offset)
    log.push(`event ${event.offset}`)
    return handler(event)
  }, options)
  const statuses: Status[] = []
  sub.onStatus((status) => {
    statuses.push(status)
    log.push(status.state)
  })
  return { fake, hub, topic, sub, got, log, statuses }
}

const seen = (got: readonly number[], count: number) =>
  until(() => got.length >= count, { what: `${count} events`, seen: () => got })

describe('a subscription', () => {
  it('says in its handshake who it is and where it starts, then where it has come to', async () => {
    const { fake, sub, got } = await subscriber({ from: { last: 5 }, onGap: 'end' }, { client: 'me' })
    const first = await fake.guest()
    expect(first.auth).toEqual({ client: 'me', protocol: 1, paced: true, from: { last: 5 }, onGap: 'end' })
    first.subscribed(start(10))
    first.events('a', [11, 12])
    await seen(got, 2)
    first.cut()
    const second = await fake.guest()
    expect(second.auth).toMatchObject({ client: 'me', from: start(12), onGap: 'end' })
    second.subscribed(start(12))
    second.events('a', [13])
    await seen(got, 3)
    expect(got).toEqual([11, 12, 13])
    expect(sub.position).toEqual(start(13))
  })

  it('has a position before the first event, and asks for that place again', async () => {
    const { fake, sub } = await subscriber()
    const first = await fake.guest()
    expect(first.auth).not.toHaveProperty('from')
    first.subscribed(start(0))
    await until(() => sub.position)
    first.cut()
    expect((await fake.guest()).auth.from).toEqual(start(0))
  })

  it('drops what comes twice, whole packets and parts of them', async () => {
    const { fake, got } = await subscriber()
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.events('a', [1, 2, 3])
    guest.events('a', [1, 2, 3])
    guest.events('a', [2, 3, 4])
    guest.cut()
    const again = await fake.guest()
    again.subscribed(start(2))
    again.events('a', [3, 4, 5])
    await seen(got, 5)
    expect(got).toEqual([1, 2, 3, 4, 5])
  })

  it('ignores packets between a new connection and its subscribed', async () => {
    const { fake, got } = await subscriber()
    const first = await fake.guest()
    first.subscribed(start(0))
    first.events('a', [1])
    await seen(got, 1)
    first.cut()
    const second = await fake.guest()
    second.events('a', [2, 3])
    second.subscribed(start(1))
    second.events('a', [2])
    await seen(got, 2)
    expect(got).toEqual([1, 2])
  })

  it('goes on over a change of epoch that lost nothing', async () => {
    const { fake, sub, got } = await subscriber()
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.events('a', [1, 2])
    guest.events('b', [3])
    await seen(got, 3)
    expect(sub.position).toEqual(start(3, 'b'))
    guest.cut()
    expect((await fake.guest()).auth.from).toEqual(start(3, 'b'))
  })

  it('goes back to a lower offset after a reset', async () => {
    const { fake, sub, got } = await subscriber()
    const guest = await fake.guest()
    guest.subscribed(start(100))
    guest.events('a', [101])
    guest.gap({ epoch: 'b', from: null, to: null, count: null, reason: 'reset', position: start(0, 'b') })
    guest.events('b', [1, 2])
    await seen(got, 3)
    expect(got).toEqual([101, 1, 2])
    expect(sub.position).toEqual(start(2, 'b'))
  })

  it('tells a gap in its place, and its position can be asked for', async () => {
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const { fake, sub, log } = await subscriber({}, {}, () => held)
    const gaps: Gap[] = []
    sub.onGap((gap) => {
      gaps.push(gap)
      log.push(`gap ${gap.from}-${gap.to} at ${sub.position?.offset}`)
    })
    const gap: Gap = { epoch: 'a', from: 3, to: 6, count: 4, reason: 'trimmed', position: start(6) }
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.events('a', [1, 2])
    guest.gap(gap)
    guest.events('a', [7])
    guest.live(7)
    await until(() => log.includes('event 1'))
    release()
    await until(() => log.includes('live'))
    expect(log).toEqual(['catching-up', 'event 1', 'event 2', 'gap 3-6 at 6', 'event 7', 'live'])
    expect(gaps).toEqual([gap])
  })

  it('tells a hole that no hub should leave as a gap, rather than nothing', async () => {
    const { fake, sub, got } = await subscriber()
    const gaps: Gap[] = []
    sub.onGap((gap) => gaps.push(gap))
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.events('a', [1, 5])
    guest.events('a', [8])
    await seen(got, 3)
    expect(gaps).toMatchObject([{ from: 6, to: 7, count: 2, reason: 'reset' }])
  })

  it('is live only when everything before is handled, and counts on the way', async () => {
    const { fake, sub, statuses } = await subscriber({}, {}, () => Promise.resolve())
    const progress: number[] = []
    sub.onProgress(({ done, total }) => progress.push(done, total))
    const guest = await fake.guest()
    guest.subscribed(start(0), 4)
    await guest.page('a', [1, 2])
    await guest.page('a', [3, 4])
    guest.live(4)
    await until(() => sub.status.state === 'live')
    expect(progress).toEqual([1, 4, 2, 4, 3, 4, 4, 4])
    expect(statuses.map(({ state }) => state)).toEqual([
      'catching-up',
      'catching-up',
      'catching-up',
      'catching-up',
      'catching-up',
      'live',
    ])
  })

  it('says that it is behind when the hub says so, and offline with the reason', async () => {
    const { fake, hub, sub } = await subscriber()
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.live(0)
    await until(() => sub.status.state === 'live')
    guest.send('behind', { offset: 0 })
    await until(() => sub.status.state === 'behind')
    expect(sub.status).toEqual({ state: 'behind', slow: 'connection' })
    hub.suspend()
    expect(sub.status).toMatchObject({ state: 'offline', reason: { code: 'unavailable' } })
  })

  it('a listener is gone after its undo', async () => {
    const { fake, sub } = await subscriber()
    let calls = 0
    const undo = sub.onStatus(() => calls++)
    undo()
    ;(await fake.guest()).subscribed(start(0))
    await until(() => sub.position)
    expect(calls).toBe(0)
  })
})

describe('the pace', () => {
  it('asks for the next page when the queue is half empty, not before', async () => {
    const releases: (() => void)[] = []
    const { fake, got } = await subscriber({ maxQueue: 4 }, {}, () => new Promise<void>((r) => releases.push(r)))
    const guest = await fake.guest()
    guest.subscribed(start(0), 8)
    let asked = false
    const page = guest.page('a', range(1, 6)).then(() => {
      asked = true
    })
    // One is with the handler and five wait.
    for (let handled = 1; handled <= 3; handled++) {
      await seen(got, handled)
      expect(asked).toBe(false)
      releases.shift()?.()
    }
    await page
    expect(got).toEqual([1, 2, 3, 4])
  })

  it('stops taking when live events pile up, and reads on from its place when they are handled', async () => {
    const releases: (() => void)[] = []
    const handler = () => new Promise<void>((resolve) => releases.push(resolve))
    const { fake, sub, got } = await subscriber({ maxQueue: 4 }, {}, handler)
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.live(0)
    guest.events('a', range(1, 8))
    ;(await fake.call('unsubscribe')).reply(null)
    expect(sub.status).toEqual({ state: 'behind', slow: 'handler' })
    // Was on its way when the hub heard of it.
    guest.events('a', range(9, 20))
    const drained = (async () => {
      for (let handled = 1; handled <= 12; handled++) {
        await seen(got, handled)
        releases.shift()?.()
      }
    })()
    const call = await fake.call('subscribe')
    expect(call.args).toEqual([{ from: start(8) }])
    call.reply(null)
    guest.subscribed(start(8), 12)
    void guest.page('a', range(9, 12))
    await drained
    expect(got).toEqual(range(1, 12))
  })

  it('stops by bytes as well', async () => {
    const { fake } = await subscriber({ maxQueueBytes: 100 }, {}, () => new Promise(() => {}))
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.live(0)
    guest.events('a', range(1, 50))
    await fake.call('unsubscribe')
  })

  it('asks again when reading on was refused for now', async () => {
    const { fake, got } = await subscriber({ maxQueue: 1 }, {}, () => Promise.resolve())
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.events('a', range(1, 3))
    await fake.call('unsubscribe')
    ;(await fake.call('subscribe')).refuse('unavailable')
    await fake.call('subscribe')
    guest.subscribed(start(3))
    guest.events('a', [4])
    await seen(got, 4)
    expect(got).toEqual([1, 2, 3, 4])
  })

  it('calls as many handlers at a time as it is told, and moves its position over events all handled', async () => {
    const releases = new Map<number, () => void>()
    const handler = (event: Received) => new Promise<void>((resolve) => releases.set(event.offset, resolve))
    const { fake, sub, got } = await subscriber({ concurrency: 3 }, {}, handler)
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.events('a', range(1, 5))
    await seen(got, 3)
    releases.get(2)?.()
    releases.get(3)?.()
    await seen(got, 3)
    expect(sub.position).toEqual(start(0))
    releases.get(1)?.()
    await seen(got, 5)
    expect(got).toEqual([1, 2, 3, 4, 5])
    expect(sub.position).toEqual(start(3))
  })
})

describe('acknowledging', () => {
  it('follows the handler, cumulative, one at a time', async () => {
    const { fake, got } = await subscriber({}, { client: 'me' })
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.events('a', [1, 2, 3])
    const first = await fake.call('ack')
    expect(first.args).toEqual([start(3)])
    guest.events('a', [4])
    guest.events('a', [5])
    await seen(got, 5)
    expect(fake.waiting('ack')).toBe(0)
    first.reply(start(3))
    const second = await fake.call('ack')
    expect(second.args).toEqual([start(5)])
    second.reply(start(5))
  })

  it('is sent again after a reconnection, but not before the hub has opened the session', async () => {
    const { fake } = await subscriber({}, { client: 'me' })
    const first = await fake.guest()
    first.subscribed(start(0))
    first.events('a', [1])
    await fake.call('ack')
    first.cut()
    const second = await fake.guest()
    expect(fake.waiting('ack')).toBe(0)
    second.subscribed(start(1))
    expect((await fake.call('ack')).args).toEqual([start(1)])
  })

  it('covers a gap, so that it is not told twice', async () => {
    const { fake } = await subscriber({}, { client: 'me' })
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.gap({ epoch: 'a', from: 1, to: 9, count: 9, reason: 'trimmed', position: start(9) })
    expect((await fake.call('ack')).args).toEqual([start(9)])
  })

  it('does not happen without a client', async () => {
    const { fake, sub, got } = await subscriber()
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.events('a', [1])
    await seen(got, 1)
    expect(await errorOf(sub.ack(start(1)))).toMatchObject({ code: 'bad_request' })
    await sub.close()
    expect(fake.waiting('ack')).toBe(0)
  })

  it('is the program’s with manual, and answers with the cursor', async () => {
    const { fake, sub, got } = await subscriber({ ack: 'manual' }, { client: 'me' })
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.events('a', [1, 2, 3])
    await seen(got, 3)
    expect(fake.waiting('ack')).toBe(0)
    const answers = Promise.all([sub.ack(start(1)), sub.ack({ epoch: 'a', offset: 2 })])
    const call = await fake.call('ack')
    expect(call.args).toEqual([start(2)])
    call.reply(start(2))
    expect(await answers).toEqual([start(2), start(2)])
  })

  it('survives a stale position, and tries again when the hub is away for a moment', async () => {
    const { fake, sub } = await subscriber({ ack: 'manual' }, { client: 'me' })
    const guest = await fake.guest()
    guest.subscribed(start(0))
    const stale = errorOf(sub.ack(start(1, 'old')))
    ;(await fake.call('ack')).refuse('stale_epoch')
    expect(await stale).toMatchObject({ code: 'stale_epoch' })
    const kept = sub.ack(start(2))
    ;(await fake.call('ack')).refuse('unavailable', 1)
    ;(await fake.call('ack')).reply(start(2))
    expect(await kept).toEqual(start(2))
  })

  it('ends the subscription when another one has taken over', async () => {
    const { fake, sub } = await subscriber({}, { client: 'me' })
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.events('a', [1])
    ;(await fake.call('ack')).refuse('taken_over')
    expect(await sub.ended).toMatchObject({ code: 'taken_over' })
  })
})

describe('a handler that fails', () => {
  const quick = { retry: { baseMs: 1, maxMs: 2 } }

  it('is called again, and the events behind wait', async () => {
    let failures = 2
    const { fake, sub, got } = await subscriber(quick, {}, () => {
      if (failures-- > 0) throw new Error('not yet')
    })
    const errors: unknown[] = []
    sub.onError(({ attempts, then, event }) => errors.push([event.offset, attempts, then]))
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.events('a', [1, 2])
    await seen(got, 4)
    expect(got).toEqual([1, 1, 1, 2])
    expect(errors).toEqual([
      [1, 1, 'retry'],
      [1, 2, 'retry'],
    ])
  })

  it('ends the subscription before its event after the last attempt, having acknowledged what came before', async () => {
    const { fake, sub, got } = await subscriber({ ...quick, maxAttempts: 3 }, { client: 'me' }, (event) =>
      event.offset === 2 ? Promise.reject(new Error('no')) : undefined,
    )
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.events('a', [1, 2, 3])
    const ack = await fake.call('ack')
    expect(ack.args).toEqual([start(1)])
    ack.reply(start(1))
    expect(await sub.ended).toMatchObject({
      code: 'handler_failed',
      position: start(2),
      error: expect.objectContaining({ message: 'no' }),
    })
    expect(got).toEqual([1, 2, 2, 2])
    expect(sub.position).toEqual(start(1))
    expect(sub.status.state).toBe('ended')
    await guest.left
  })

  it('is passed over with skip, visibly', async () => {
    const { fake, sub, got } = await subscriber(
      { ...quick, maxAttempts: 2, onFailure: 'skip', concurrency: 2 },
      {},
      (event) => (event.offset === 2 ? Promise.reject(new Error('no')) : undefined),
    )
    const fates: string[] = []
    sub.onError(({ then }) => fates.push(then))
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.events('a', [1, 2, 3])
    await until(() => sub.position?.offset === 3)
    expect(got.filter((offset) => offset === 2)).toHaveLength(2)
    expect(fates).toEqual(['retry', 'skip'])
  })
})

describe('the end', () => {
  it('comes with close: the running handler returns, its event is acknowledged, the rest is not begun', async () => {
    let release = () => {}
    const { fake, sub, got } = await subscriber({}, { client: 'me' }, () => new Promise<void>((r) => (release = r)))
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.events('a', [1, 2])
    await seen(got, 1)
    const closed = sub.close()
    release()
    const ack = await fake.call('ack')
    expect(ack.args).toEqual([start(1)])
    ack.reply(start(1))
    await closed
    expect(await sub.ended).toEqual({ code: 'closed' })
    expect(got).toEqual([1])
    await guest.left
  })

  it.each(['taken_over', 'forbidden'] as const)('comes with %s, and nobody comes back', async (code) => {
    const { fake, sub } = await subscriber({}, { client: 'me' })
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.end(code)
    expect(await sub.ended).toMatchObject({ code, error: { code } })
    expect(sub.status).toMatchObject({ state: 'ended', reason: { code } })
    await until(() => fake.transports === 0)
    expect(fake.opened).toBe(1)
  })

  it('comes with a gap only after what came before it was handled and the gap was told', async () => {
    const { fake, sub, log } = await subscriber({ onGap: 'fail' }, {}, () => Promise.resolve())
    sub.onGap(() => log.push('gap'))
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.events('a', [1, 2])
    guest.gap({ epoch: 'a', from: 3, to: 4, count: 2, reason: 'trimmed', position: start(4) })
    guest.end('gap')
    expect(await sub.ended).toMatchObject({ code: 'gap' })
    expect(log).toEqual(['catching-up', 'event 1', 'event 2', 'gap', 'ended'])
  })

  it('comes when the handshake is refused for good', async () => {
    const fake = await startFakeHub()
    fake.refuse('forbidden')
    const sub = open(fake.url)
      .topic('orders')
      .subscribe(() => {})
    expect(await sub.ended).toMatchObject({ code: 'forbidden' })
  })

  it('of one leaves publishing on the same topic as it was', async () => {
    const { fake, topic, sub } = await subscriber({}, { client: 'me' })
    const guest = await fake.guest()
    guest.subscribed(start(0))
    await until(() => sub.position)
    const outcome = topic.publish('x')
    await fake.call('publish')
    guest.end('taken_over')
    expect(await sub.ended).toMatchObject({ code: 'taken_over' })
    const again = await fake.guest()
    expect(again.auth.from).toBe('none')
    ;(await nextPublish(fake)).kept(1)
    await outcome
  })
})

describe('sharing a namespace', () => {
  it('joins again to subscribe where it had joined to publish, and loses no reply for good', async () => {
    const fake = await startFakeHub()
    const topic = open(fake.url, { client: 'me' }).topic('orders')
    const outcome = topic.publish('x')
    expect((await fake.guest()).auth.from).toBe('none')
    const first = await nextPublish(fake)
    topic.subscribe(() => {}, { from: 'start' })
    expect((await fake.guest()).auth.from).toBe('start')
    const again = await nextPublish(fake)
    expect(again.row).toEqual(first.row)
    again.kept(1)
    expect(await outcome).toMatchObject({ offset: 1 })
  })

  it('gives a second subscription of a topic a connection of its own, and closes it with it', async () => {
    const { fake, topic, sub } = await subscriber({ from: 'start' })
    await fake.guest()
    const second = topic.subscribe(() => {}, { from: 'end' })
    expect((await fake.guest()).auth.from).toBe('end')
    expect(fake.transports).toBe(2)
    await second.close()
    await until(() => fake.transports === 1)
    expect(sub.status.state).not.toBe('ended')
  })

  it('uses the connection again after the first subscription was closed', async () => {
    const { fake, topic, sub } = await subscriber()
    await fake.guest()
    await sub.close()
    topic.subscribe(() => {}, { from: 'start' })
    expect((await fake.guest()).auth.from).toBe('start')
    await until(() => fake.transports === 1)
  })

  it('puts all topics on one connection', async () => {
    const fake = await startFakeHub()
    const hub = open(fake.url)
    for (let i = 0; i < 20; i++) hub.topic(`t${i}`).subscribe(() => {})
    for (let i = 0; i < 20; i++) (await fake.guest()).subscribed(start(0))
    expect(fake.opened).toBe(1)
  })

  it('keeps the other topics connected when one is left', async () => {
    const fake = await startFakeHub()
    const hub = open(fake.url)
    const one = hub.topic('one').subscribe(() => {})
    const two = hub.topic('two').subscribe(() => {})
    await Promise.all([fake.guest(), fake.guest()])
    await one.close()
    expect(two.status.state).not.toBe('offline')
    expect(fake.transports).toBe(1)
  })
})

describe('seeking', () => {
  it('drops what waits and starts from another place', async () => {
    const { fake, sub, got } = await subscriber({ from: 'end' }, { client: 'me' })
    const guest = await fake.guest()
    guest.subscribed(start(50))
    guest.events('a', [51])
    await seen(got, 1)
    ;(await fake.call('ack')).reply(start(51))
    const done = sub.seek('start')
    const call = await fake.call('subscribe')
    expect(call.args).toEqual([{ from: 'start' }])
    guest.events('a', [52])
    guest.subscribed(start(0), 52)
    call.reply(null)
    await done
    guest.events('a', [1, 2])
    await seen(got, 3)
    expect(got).toEqual([51, 1, 2])
    expect(sub.position).toEqual(start(2))
  })
})

describe('wrong options', () => {
  it.each([
    ['no whole number', { concurrency: 1.5 }],
    ['zero', { maxAttempts: 0 }],
    ["from 'none'", { from: 'none' as never }],
  ])('%s throws bad_request', async (_name, options) => {
    const topic = open('http://127.0.0.1:9').topic('orders')
    expect(() => topic.subscribe(() => {}, options)).toThrow(expect.objectContaining({ code: 'bad_request' }))
  })

  it('names that are none throw bad_request', () => {
    expect(() => open('http://127.0.0.1:9', { client: 'a b' })).toThrow(/is not a name/)
    expect(() => open('http://127.0.0.1:9').topic('../x')).toThrow(/is not a name/)
  })
})
