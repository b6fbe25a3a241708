import { createServer } from 'node:http'
import type { Socket } from 'node:net'
import { Server } from 'socket.io'
import { describe, expect, it } from 'vitest'
import { fullJitter } from '../../client/connection/backoff.ts'
import { createHub } from '../../server/index.ts'
import { serveWith } from '../support/hub/attached.ts'
import { startFakeHub } from '../support/sdk/fakeHub.ts'
import { errorOf, open } from '../support/sdk/handles.ts'
import { tempFolder } from '../support/temp.ts'
import { until, within } from '../support/until.ts'

const start = (offset: number) => ({ epoch: 'a', offset })

describe('waits', () => {
  it('are any part of a doubling limit, with a cap', () => {
    const jitter = { baseMs: 100, maxMs: 1_000 }
    const most = (attempt: number) => Math.max(...Array.from({ length: 500 }, () => fullJitter(attempt, jitter)))
    const least = (attempt: number) => Math.min(...Array.from({ length: 500 }, () => fullJitter(attempt, jitter)))
    expect([most(0), most(1), most(2), most(30)].map((ms) => Math.round(ms / 100))).toEqual([1, 2, 4, 10])
    for (const attempt of [0, 3, 10_000]) expect(least(attempt)).toBeLessThan(100)
    expect(fullJitter(0, jitter, 5_000)).toBeGreaterThanOrEqual(5_000)
  })
})

describe('a token', () => {
  it('is sent as it is', async () => {
    const fake = await startFakeHub()
    void errorOf(open(fake.url, { token: 'secret' }).topic('t').head())
    expect((await fake.guest()).auth.token).toBe('secret')
  })

  it('is asked for once per connection, not once per topic, and again for the next connection', async () => {
    const fake = await startFakeHub()
    let asked = 0
    const hub = open(fake.url, { token: async () => `t${++asked}` })
    hub.topic('one').subscribe(() => {})
    hub.topic('two').subscribe(() => {})
    const guests = [await fake.guest(), await fake.guest()]
    expect(guests.map(({ auth }) => auth.token)).toEqual(['t1', 't1'])
    guests[0]?.cut()
    expect((await fake.guest()).auth.token).toBe('t2')
    expect((await fake.guest()).auth.token).toBe('t2')
  })

  it('is fetched anew once when it was refused', async () => {
    const fake = await startFakeHub()
    let asked = 0
    fake.refuse('unauthorized')
    const sub = open(fake.url, { token: () => `t${++asked}` })
      .topic('t')
      .subscribe(() => {})
    expect((await fake.guest()).auth.token).toBe('t2')
    expect(sub.status).toMatchObject({ state: 'offline', reason: { code: 'unauthorized' } })
  })

  it.each([7, { token: 'x' }, 1n])('that is %o, no text, ends it, and what waits', async (odd) => {
    const fake = await startFakeHub()
    const hub = open(fake.url, { token: (() => odd) as never })
    const told = errorOf(hub.queue('q').send(1))
    const { ended } = hub.topic('t').subscribe(() => {})
    expect(await ended).toMatchObject({ code: 'bad_request', error: { message: expect.stringContaining('text') } })
    expect(await told).toMatchObject({ code: 'bad_request' })
    expect(await errorOf(hub.renew())).toMatchObject({ code: 'bad_request' })
  })

  it('that is refused again ends it', async () => {
    const fake = await startFakeHub()
    let asked = 0
    fake.refuse('unauthorized', { times: 2 })
    const sub = open(fake.url, { token: () => `t${++asked}` })
      .topic('t')
      .subscribe(() => {})
    expect(await sub.ended).toMatchObject({ code: 'unauthorized' })
    expect(asked).toBe(2)
  })

  it('that ran out during a subscription is fetched anew, and reading goes on', async () => {
    const fake = await startFakeHub()
    let asked = 0
    const sub = open(fake.url, { token: () => `t${++asked}` })
      .topic('t')
      .subscribe(() => {})
    const guest = await fake.guest()
    guest.subscribed(start(5))
    await until(() => sub.position)
    guest.end('unauthorized')
    expect((await fake.guest()).auth).toMatchObject({ token: 't2', from: start(5) })
  })

  it('whose function fails is asked for again', async () => {
    const fake = await startFakeHub()
    let asked = 0
    const token = async () => {
      if (++asked < 3) throw new Error('no network')
      return 'late'
    }
    const sub = open(fake.url, { token })
      .topic('t')
      .subscribe(() => {})
    expect((await fake.guest()).auth.token).toBe('late')
    expect(sub.status).toMatchObject({ state: 'offline', reason: { code: 'unavailable' } })
  })

  it('is renewed in place', async () => {
    const fake = await startFakeHub()
    let asked = 0
    const hub = open(fake.url, { token: () => `t${++asked}` })
    const sub = hub.topic('t').subscribe(() => {})
    ;(await fake.guest()).subscribed(start(0))
    await until(() => sub.position)
    const renewed = hub.renew()
    const call = await fake.call('auth')
    expect(call.args).toEqual([{ token: 't2' }])
    call.reply(null)
    await renewed
  })
})

describe('a renewal that fails', () => {
  it('rejects as every call does, and the next one asks anew', async () => {
    const fake = await startFakeHub()
    let asked = 0
    const hub = open(fake.url, {
      token: () => {
        if (++asked === 2) throw new Error('no network')
        return `t${asked}`
      },
    })
    const sub = hub.topic('t').subscribe(() => {})
    const guest = await fake.guest()
    guest.subscribed(start(0))
    await until(() => sub.position)
    expect(await errorOf(hub.renew())).toMatchObject({ code: 'unavailable', message: 'the token function failed' })
    const renewed = errorOf(hub.renew())
    expect((await fake.call('auth')).args).toEqual([{ token: 't3' }])
    guest.cut()
    expect(await renewed).toMatchObject({ code: 'unavailable' })
  })
})

describe('a renewal that hangs', () => {
  it('ends with its connection: the next one asks anew', async () => {
    const fake = await startFakeHub()
    let asked = 0
    const hub = open(fake.url, { token: () => (++asked === 2 ? new Promise<never>(() => {}) : `t${asked}`) })
    const sub = hub.topic('t').subscribe(() => {})
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.send('expiring', { inMs: 1 })
    await until(() => asked === 2)
    guest.cut()
    await until(() => sub.status.state === 'offline')
    ;(await fake.guest()).subscribed(start(0))
    await until(() => sub.status.state === 'catching-up')
    void hub.renew().catch(() => {})
    expect((await fake.call('auth')).args).toEqual([{ token: 't4' }])
  })
})

describe('coming back', () => {
  it('happens when the hub disconnects a namespace without a reason', async () => {
    const fake = await startFakeHub()
    const sub = open(fake.url)
      .topic('t')
      .subscribe(() => {})
    const guest = await fake.guest()
    guest.subscribed(start(3))
    await until(() => sub.position)
    guest.disconnect()
    expect((await fake.guest()).auth.from).toEqual(start(3))
  })

  it('happens after a refusal that may pass, not before the hub’s time', async () => {
    const fake = await startFakeHub()
    fake.refuse('too_many', { retryAfterMs: 120 })
    const begun = performance.now()
    const sub = open(fake.url)
      .topic('t')
      .subscribe(() => {})
    await until(() => sub.status.state === 'offline')
    await fake.guest()
    expect(performance.now() - begun).toBeGreaterThanOrEqual(115)
  })

  it('happens when the hub was not there at first', async () => {
    const first = await startFakeHub()
    const { port } = new URL(first.url)
    await first.close()
    const sub = open(first.url)
      .topic('t')
      .subscribe(() => {})
    await until(() => sub.status.state === 'offline')
    const second = await startFakeHub(Number(port))
    await second.guest()
  })

  it('waits while suspended, for what was there and for what is new', async () => {
    const fake = await startFakeHub()
    const hub = open(fake.url)
    hub.topic('one').subscribe(() => {})
    await fake.guest()
    hub.suspend()
    await until(() => fake.transports === 0)
    hub.topic('two').subscribe(() => {})
    // Another handle has time to come in meanwhile.
    open(fake.url)
      .topic('other')
      .subscribe(() => {})
    expect((await fake.guest()).topic).toBe('other')
    hub.resume()
    expect([(await fake.guest()).topic, (await fake.guest()).topic].sort()).toEqual(['one', 'two'])
    expect(fake.opened).toBe(3)
  })

  it('happens by polling where something on the way holds WebSocket back and says nothing', async () => {
    const http = createServer()
    const hub = createHub({ store: await tempFolder(), logLevel: 'silent' })
    const url = await serveWith(hub, http, new Server(http))
    let upgrades = 0
    const left = new Promise<void>((resolve) => {
      http.removeAllListeners('upgrade').on('upgrade', (_request, socket: Socket) => {
        upgrades++
        socket.on('error', () => {}).on('close', () => resolve())
        socket.on('end', () => socket.destroy()).resume()
      })
    })
    const handle = open(url, { socketOptions: { timeout: 1_000, upgrade: false } })
    const topic = handle.topic('t')
    expect(await topic.publish(1, { timeoutMs: 20_000 })).toMatchObject({ offset: 1 })
    expect(upgrades).toBe(1)
    await within(left, 5_000, 'the end of the try')
    // It begins with what has worked.
    handle.suspend()
    handle.resume()
    expect(await topic.publish(2)).toMatchObject({ offset: 2 })
    expect(upgrades).toBe(1)
  })

  it('does not happen after close', async () => {
    const fake = await startFakeHub()
    const hub = open(fake.url)
    const sub = hub.topic('t').subscribe(() => {})
    await fake.guest()
    await hub.close()
    expect(await sub.ended).toEqual({ code: 'closed' })
    await until(() => fake.transports === 0)
    expect(fake.opened).toBe(1)
  })

  it('a namespace left while it was joining is really left', async () => {
    const fake = await startFakeHub()
    const hub = open(fake.url)
    hub.topic('other').subscribe(() => {})
    await fake.guest()
    const sub = hub.topic('t').subscribe(() => {})
    await sub.close()
    // Its handshake was on its way: the hub lets it in, and it goes.
    await (await fake.guest()).left
    expect(fake.transports).toBe(1)
  })
})

describe('reading', () => {
  it('gives the head and pages, also over a lost connection', async () => {
    const fake = await startFakeHub()
    const topic = open(fake.url).topic('t')
    const head = topic.head()
    await fake.call('read')
    ;(await fake.guest()).cut()
    const call = await fake.call('read')
    expect(call.args).toEqual([{ limit: 1 }])
    call.reply({ epoch: 'a', first: 1, last: 42, events: [] })
    expect(await head).toEqual(start(42))
  })

  it('rejects with timeout when no answer comes in time', async () => {
    const fake = await startFakeHub()
    const topic = open(fake.url, { readTimeoutMs: 30 }).topic('t')
    expect(await errorOf(topic.read())).toMatchObject({ code: 'timeout' })
  })

  it('rejects with what the hub says', async () => {
    const fake = await startFakeHub()
    const page = errorOf(open(fake.url).topic('t').read({ limit: -1 }))
    ;(await fake.call('read')).refuse('bad_request')
    expect(await page).toMatchObject({ code: 'bad_request' })
  })
})
