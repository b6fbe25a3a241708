import { describe, expect, it } from 'vitest'
import type { Gap, Received } from '../../../client/index.ts'
import { startHub } from '../../support/hub/hub.ts'
import { range } from '../../support/sdk/fakeHub.ts'
import { errorOf, open } from '../../support/sdk/handles.ts'
import { seen, start, subscriber } from '../../support/sdk/subscriber.ts'
import { until } from '../../support/until.ts'

describe('a subscription', () => {
  it('says in its handshake who it is and where it starts, then where it has come to', async () => {
    const { fake, sub, got } = await subscriber({ from: { last: 5 }, onGap: 'end' }, { client: 'me' })
    const first = await fake.guest()
    expect(first.auth).toEqual({
      client: 'me',
      protocol: 1,
      limits: true,
      joined: true,
      paced: true,
      from: { last: 5 },
      onGap: 'end',
    })
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

describe('seeking', () => {
  it('drops what waits and starts from another place', async () => {
    const { fake, sub, got } = await subscriber({ from: 'end' }, { client: 'me' })
    const guest = await fake.guest()
    guest.subscribed(start(50))
    guest.events('a', [51])
    await seen(got, 1)
    ;(await fake.call('ack')).reply(start(51))
    const done = sub.seek('start')
    const left = await fake.call('unsubscribe')
    guest.events('a', [52])
    left.reply(null)
    const call = await fake.call('subscribe')
    expect(call.args).toEqual([{ from: 'start' }])
    guest.subscribed(start(0), 52)
    call.reply(null)
    await done
    guest.events('a', [1, 2])
    await seen(got, 3)
    expect(got).toEqual([51, 1, 2])
    expect(sub.position).toEqual(start(2))
  })

  it.each(['is lost with the connection', 'is refused'])('that %s goes on behind what is handled', async (what) => {
    let handle = () => {}
    const { fake, sub, got } = await subscriber({ from: 'end' }, {}, ({ offset }) => {
      return offset === 51 && new Promise<void>((resolve) => (handle = resolve))
    })
    const guest = await fake.guest()
    guest.subscribed(start(50))
    guest.events('a', [51, 52, 53])
    await seen(got, 1)
    const done = errorOf(sub.seek('start'))
    ;(await fake.call('unsubscribe')).reply(null)
    const call = await fake.call('subscribe')
    if (what === 'is refused') call.refuse('too_many')
    else guest.cut()
    expect(await done).toMatchObject({ code: what === 'is refused' ? 'too_many' : 'unavailable' })
    const next = what === 'is refused' ? guest : await fake.guest()
    const asked = what === 'is refused' ? (await fake.call('subscribe')).args[0] : next.auth
    expect(asked).toMatchObject({ from: start(51) })
    next.subscribed(start(51), 2)
    next.events('a', [52, 53])
    handle()
    await seen(got, 3)
    expect(got).toEqual([51, 52, 53])
  })

  it('does not take the beginning of the subscription before for its own', async () => {
    const { fake, sub, got } = await subscriber({ from: 'end' })
    const guest = await fake.guest()
    const done = sub.seek('start')
    const left = await fake.call('unsubscribe')
    guest.subscribed(start(50))
    left.reply(null)
    const call = await fake.call('subscribe')
    guest.subscribed(start(0), 50)
    call.reply(null)
    await done
    guest.events('a', [1, 2])
    await seen(got, 2)
    expect(got).toEqual([1, 2])
  })

  it('twice in a row ends at the second place', async () => {
    const { url } = await startHub()
    const topic = open(url).topic('orders')
    await topic.publish(1)
    await topic.publish(2)
    const got: number[] = []
    const sub = topic.subscribe(({ offset }) => got.push(offset), { from: 'end' })
    await until(() => sub.status.state === 'live')
    await Promise.all([sub.seek('end'), sub.seek('start')])
    await until(() => got.length === 2)
    expect(got).toEqual([1, 2])
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
