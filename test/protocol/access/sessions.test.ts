/** What a token allows while it lasts: what is granted, how it is renewed, how it ends. */

import { queryObjects } from 'node:v8'
import { Manager } from 'socket.io-client'
import { describe, expect, it } from 'vitest'
import { connect } from '../../../client/index.ts'
import { OpenSession } from '../../../server/auth/sessions.ts'
import { asking } from '../../support/clients/ask.ts'
import { ALL, SECRET, tokenOf } from '../../support/clients/tokens.ts'
import { join, joinNamespace } from '../../support/clients/wire.ts'
import { atEnd } from '../../support/ending.ts'
import { startHub } from '../../support/hub/hub.ts'
import { until } from '../../support/until.ts'

const jwt = { secret: SECRET }
const ALL_GRANTS = [{ actions: ['*'], names: ['*'] }] as const

describe('grants', () => {
  it('are for actions and names, and {sub} is the subject', async () => {
    const names = ['orders.*', 'user.{sub}.*', 'inbox.*.{sub}']
    const roles = { viewer: [{ actions: ['subscribe', 'read'], names }] } as const
    const { url } = await startHub({ auth: { jwt, roles } })
    const token = await tokenOf('ann', { roles: ['viewer', 'unknown'] })
    await join(url, 'orders.eu', { token })
    const own = await join(url, 'user.ann.inbox', { token })
    await expect(own.value('publish', [{ data: 1 }])).rejects.toMatchObject({ code: 'forbidden' })
    expect(await own.value('read')).toMatchObject({ events: [] })
    await join(url, 'inbox.eu.ann', { token })
    // Each of several grants counts, also for the same action.
    const grants = [
      { actions: ['publish', 'subscribe'], names: ['news'] },
      { actions: ['subscribe'], names: ['notes'] },
    ]
    const more = await tokenOf('ann', { roles: ['viewer'], grants })
    for (const topic of ['orders.eu', 'news', 'notes']) await join(url, topic, { token: more })
    for (const topic of ['user.bob.inbox', 'invoices', 'inbox.eu.bob']) {
      await expect(join(url, topic, { token })).rejects.toMatchObject({ code: 'forbidden' })
    }
    // Nobody is a pattern, and nobody's names are among another's.
    const strangers = [
      ['*', 'user.ann.inbox'],
      ['ann.lee', 'user.ann.lee.inbox'],
      ['ann@example.org', 'user.ann.inbox'],
      ['lee.ann', 'inbox.eu.lee.ann'],
    ]
    for (const [sub = '', topic = ''] of strangers) {
      const other = await tokenOf(sub, { roles: ['viewer'] })
      await expect(join(url, topic, { token: other })).rejects.toMatchObject({ code: 'forbidden' })
    }
  })

  it('say the same of what is not there and of what may not be seen', async () => {
    const { url, hub } = await startHub({ auth: { jwt } })
    await hub.topic('secret').publish(1)
    const token = await tokenOf('ann', { grants: [{ actions: ['read'], names: ['orders'] }] })
    const ask = asking(url)
    const answers = ['secret', 'absent'].map(async (topic) => {
      const { status, body } = await ask('GET', `/v1/topics/${topic}`, undefined, { authorization: `Bearer ${token}` })
      return { status, body: JSON.stringify(body).replaceAll(topic, 'X') }
    })
    const [there, absent] = await Promise.all(answers)
    expect(there).toMatchObject({ status: 403 })
    expect(there).toEqual(absent)
  })

  it('hold for queues, and for their dead letters as for the queue', async () => {
    const { url } = await startHub({ auth: { jwt } })
    const grants = [{ actions: ['send', 'consume', 'read'], names: ['emails'] }]
    const wire = await joinNamespace(url, '/queues', { token: await tokenOf('ann', { grants }) })
    await wire.value('send', 'emails', [{ data: 1 }])
    await wire.value('consume', 'emails/dead', { credit: 1 })
    await expect(wire.value('send', 'invoices', [{ data: 1 }])).rejects.toMatchObject({ code: 'forbidden' })
    await expect(wire.value('consume', 'invoices', { credit: 1 })).rejects.toMatchObject({ code: 'forbidden' })
    await expect(wire.value('request', 'emails', { data: 1 })).rejects.toMatchObject({ code: 'forbidden' })
  })

  it('let everybody do what anonymous callers may', async () => {
    const anonymous = [{ actions: ['subscribe'], names: ['public.*'] }] as const
    const { url } = await startHub({ auth: { jwt, anonymous } })
    await join(url, 'public.news')
    await expect(join(url, 'orders')).rejects.toMatchObject({ code: 'forbidden' })
  })

  it('bind a token to a client name', async () => {
    const { url } = await startHub({ auth: { jwt } })
    const token = await tokenOf('ann', { client: 'phone' })
    await expect(join(url, 'orders', { token, client: 'desk' })).rejects.toMatchObject({ code: 'forbidden' })
    const wire = await join(url, 'orders', { token })
    const subscribed = await wire.seen('subscribed')
    expect(await wire.value('ack', subscribed.position)).toEqual(subscribed.position)
    for (const other of [{ client: 'desk' }, {}]) {
      const renewed = wire.value('auth', { token: await tokenOf('ann', other) })
      await expect(renewed).rejects.toMatchObject({ code: 'forbidden' })
    }
    // Over HTTP there are no clients, so this one takes nothing over.
    const stream = await fetch(`${url}/v1/topics/orders/stream`, { headers: { authorization: `Bearer ${token}` } })
    await wire.value('publish', [{ data: 1 }])
    await wire.eventsSeen(1)
    expect(wire.socket.connected).toBe(true)
    await stream.body?.cancel()
    const claim = (body: object) =>
      asking(url)('POST', '/v1/queues/emails/claims', body, { authorization: `Bearer ${token}` })
    expect(await claim({ client: 'desk' })).toMatchObject({ status: 403, body: { code: 'forbidden' } })
    expect(await claim({ client: 'phone' })).toMatchObject({ status: 200 })
  })

  it('keep the cursors of subjects apart', async () => {
    const { url, hub } = await startHub({ auth: { jwt } })
    await hub.topic('orders').publishAll([{ data: 1 }, { data: 2 }])
    const first = await join(url, 'orders', { token: await tokenOf('ann'), client: 'c', from: 'start' })
    const [, second] = await first.eventsSeen(2)
    const { position } = await first.seen('subscribed')
    await first.value('ack', { epoch: position.epoch, offset: second?.offset })
    const another = await join(url, 'orders', { token: await tokenOf('bob'), client: 'c', from: 'start' })
    expect(await another.eventsSeen(2)).toHaveLength(2)
    expect(first.socket.connected).toBe(true)
  })
})

describe('a token that ends', () => {
  it('is told before, and its subscriptions, consumers and streams end with unauthorized', async () => {
    const { url, hub } = await startHub({ auth: { jwt }, queues: { emails: { reconnectGraceMs: 1 } } })
    const ttlMs = 3_000
    await hub.queue('emails').send('held')
    const ends = Date.now() + ttlMs
    const token = await tokenOf('ann', { ttlMs })
    const [topic, queues, stream] = await Promise.all([
      join(url, 'orders', { token }),
      joinNamespace(url, '/queues', { token }),
      fetch(`${url}/v1/topics/orders/stream`, { headers: { authorization: `Bearer ${token}` } }),
    ])
    await queues.value('consume', 'emails', { credit: 1 })
    await until(() => queues.packets.some(({ name }) => name === 'jobs'), { what: 'the job' })
    const said = (wire: typeof topic, name: string) => wire.packets.find((packet) => packet.name === name)?.args[0]
    await Promise.all([topic.disconnected, queues.disconnected])
    expect(Date.now()).toBeGreaterThanOrEqual(ends)
    for (const wire of [topic, queues]) {
      // After half of its time, which has whole seconds.
      expect((said(wire, 'expiring') as { inMs: number }).inMs).toBeLessThanOrEqual((ttlMs + 1_000) / 2)
      expect(said(wire, 'error')).toMatchObject({ code: 'unauthorized', message: 'the token has expired' })
    }
    expect(await stream.text()).toMatch(/event: end\ndata: \{"code":"unauthorized"/)
    // What it held goes to others after the grace.
    const others = { authorization: `Bearer ${await tokenOf('bob')}` }
    const claimed = await asking(url)<{ jobs: object[] }>(
      'POST',
      '/v1/queues/emails/claims',
      { waitMs: 20_000 },
      others,
    )
    expect(claimed.body.jobs).toMatchObject([{ data: 'held' }])
    const { status } = await asking(url)('GET', '/v1/me', undefined, { authorization: `Bearer ${token}` })
    expect(status).toBe(401)
  })

  it('goes on with another one on all namespaces of the connection', async () => {
    const { url } = await startHub({ auth: { jwt } })
    const token = await tokenOf('ann', { ttlMs: 3_000 })
    const [wire, witness] = [await join(url, 'orders', { token }), await join(url, 'orders', { token })]
    await wire.value('auth', { token: await tokenOf('ann') })
    await witness.disconnected
    expect(wire.socket.connected).toBe(true)
    await wire.value('publish', [{ data: 1 }])
    await expect(wire.value('auth', { token: await tokenOf('bob') })).rejects.toMatchObject({ code: 'forbidden' })
    await expect(wire.value('auth', { token: 'nonsense' })).rejects.toMatchObject({ code: 'unauthorized' })
    const fewer = await tokenOf('ann', { grants: [{ actions: ['publish'], names: ['*'] }] })
    await wire.value('auth', { token: fewer })
    expect(await wire.disconnected).toBe('io server disconnect')
    expect(wire.packets.at(-1)?.args[0]).toMatchObject({ code: 'forbidden' })
  })

  it('that allows less takes a worker its queue, and leaves it the others', async () => {
    const { url } = await startHub({ auth: { jwt } })
    const consuming = (...names: string[]) => tokenOf('ann', { grants: [{ actions: ['consume'], names }] })
    const wire = await joinNamespace(url, '/queues', { token: await consuming('emails', 'calls') })
    for (const queue of ['emails', 'calls']) await wire.value('consume', queue, { credit: 1 })
    await wire.value('auth', { token: await consuming('calls') })
    const error = await until(() => wire.packets.find(({ name }) => name === 'error'))
    expect(error.args[0]).toMatchObject({ code: 'forbidden', queue: 'emails' })
    expect(await wire.value('consume', 'calls', { credit: 2 })).toMatchObject({ queue: 'calls' })
  })

  it('is renewed by the SDK, which misses nothing', async () => {
    const { url } = await startHub({ auth: { jwt } })
    const asked: number[] = []
    const client = connect(url, {
      client: 'c',
      token: async () => {
        asked.push(Date.now())
        return await tokenOf('ann', { ttlMs: 3_000 })
      },
    })
    atEnd(() => client.close())
    const got: unknown[] = []
    const [states, later]: [string[], string[]] = [[], []]
    client
      .topic('orders')
      .subscribe(({ data }) => void got.push(data), { from: 'start' })
      .onStatus(({ state }) => states.push(state))
    let published = 0
    const publishUntil = async (reached: () => boolean) => {
      while (!reached()) {
        await client.topic('orders').publish(published++)
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
    await publishUntil(() => asked.length >= 2)
    // One that comes with a token of later belongs to the same session: it outlives that token, too.
    const second = asked.at(-1) ?? 0
    client
      .topic('later')
      .subscribe(() => {})
      .onStatus(({ state }) => later.push(state))
    await publishUntil(() => Date.now() > second + 3_500)
    await until(() => got.length === published)
    expect(got).toEqual(Array.from({ length: published }, (_, n) => n))
    // It was in time: nothing was refused meanwhile.
    expect(states.slice(states.indexOf('live'))).toEqual(['live'])
    expect(later.slice(later.indexOf('live'))).toEqual(['live'])
  })

  it('is forgotten with the last of its namespaces, or when none is let in, however long the connection lasts', async () => {
    const { url } = await startHub({ auth: { jwt } })
    const manager = new Manager(url, { transports: ['websocket'] })
    atEnd(() => manager._close())
    const grants = [{ actions: ['subscribe'], names: ['open.*'] }]
    const enter = async (topic: string, token: string) => {
      const socket = manager.socket(`/topics/${topic}`, { auth: { token } })
      const answer = await new Promise<unknown>((resolve) => {
        socket.on('connect', () => resolve('in'))
        socket.on('connect_error', (error) => resolve((error as Error & { data?: { code?: unknown } }).data?.code))
        socket.connect()
      })
      return { socket, answer }
    }
    const shared = await tokenOf('ann', { grants })
    const stays = [await enter('open.1', shared), await enter('open.2', shared)]
    const sessions = () => queryObjects(OpenSession, { format: 'count' })
    const before = sessions()
    for (let i = 0; i < 6; i++) {
      const own = await tokenOf('ann', { grants, ttlMs: 60_000 + i * 1_000 })
      const { socket, answer } = await enter(`open.own-${i}`, own)
      expect([answer, (await enter(`closed.${i}`, own)).answer]).toEqual(['in', 'forbidden'])
      socket.disconnect()
      expect((await enter(`closed.${i}`, await tokenOf(`stranger-${i}`, { grants }))).answer).toBe('forbidden')
    }
    await until(() => sessions() <= before + 1, { what: 'the sessions to be forgotten', seen: sessions })
    // Those who are still in have theirs, and it can be renewed.
    expect(stays.map(({ socket }) => socket.connected)).toEqual([true, true])
    expect(await stays[0]?.socket.emitWithAck('auth', { token: await tokenOf('ann', { grants }) })).toMatchObject({
      ok: true,
    })
    // It is not forgotten with the first of them: what another one brings is for it, too.
    stays[1]?.socket.disconnect()
    const ended = new Promise((resolve) => stays[0]?.socket.once('disconnect', resolve))
    const newer = await enter('open.3', await tokenOf('ann', { grants, ttlMs: 70_000 }))
    await newer.socket.emitWithAck('auth', { token: await tokenOf('ann', { grants: [] }) })
    await ended
  })

  it('ends the SDK with the reason where there is no other one', async () => {
    const { url } = await startHub({ auth: { jwt } })
    const client = connect(url, { token: await tokenOf('ann', { ttlMs: 1_000 }), quiet: true })
    atEnd(() => client.close())
    const subscription = client.topic('orders').subscribe(() => {})
    expect(await subscription.ended).toMatchObject({ code: 'unauthorized' })
  })
})

describe('a program', () => {
  it('tells who calls by its own rule, and has the last word', async () => {
    const { url, hub } = await startHub({
      auth: {
        jwt,
        authenticate: ({ headers }) => {
          const user = /user=(\w+)/.exec(String(headers.cookie ?? ''))?.[1]
          return user === undefined ? undefined : { subject: user, grants: [{ actions: ['*'], names: ['*'] }] }
        },
        authorize: ({ subject }, _action, name) => name !== 'closed' || subject === 'root',
      },
    })
    const ask = asking(url)
    const as = (cookie: string) => ask<{ subject: string }>('GET', '/v1/me', undefined, { cookie })
    expect((await as('user=ann')).body.subject).toBe('ann')
    expect((await as('')).status).toBe(401)
    await join(url, 'orders', {}, { headers: { cookie: 'user=ann' } })
    await expect(join(url, 'closed', {}, { headers: { cookie: 'user=ann' } })).rejects.toMatchObject({
      code: 'forbidden',
    })
    await join(url, 'closed', {}, { headers: { cookie: 'user=root' } })
    await join(url, 'orders', { token: await tokenOf('bob') })
    // The program itself is asked nothing.
    await hub.topic('closed').publish(1)
    const got = await new Promise((resolve) =>
      hub.topic('closed').subscribe(({ data }) => resolve(data), { from: 'start' }),
    )
    expect(got).toBe(1)
  })

  it('is asked for each namespace of a connection', async () => {
    const { url } = await startHub({
      auth: {
        authenticate: ({ auth }) => ({
          subject: String(auth.user),
          grants: [{ actions: ['*'], names: [`${auth.user}.*`] }],
        }),
      },
    })
    const manager = new Manager(url, { transports: ['websocket'] })
    const enter = (topic: string, user: string) =>
      new Promise<unknown>((resolve) => {
        const socket = manager.socket(`/topics/${topic}`, { auth: { user } })
        socket.on('connect', () => resolve('in'))
        socket.on('connect_error', (error) => resolve((error as Error & { data?: unknown }).data))
        socket.connect()
      })
    expect(await enter('ann.inbox', 'ann')).toBe('in')
    expect(await enter('bob.inbox', 'bob')).toBe('in')
    expect(await enter('ann.outbox', 'bob')).toMatchObject({ code: 'forbidden' })
    manager._close()
  })

  it('is asked about a client that has gone meanwhile, for whom nothing is opened', async () => {
    let answer = () => {}
    let heard = () => {}
    const asked = new Promise<void>((resolve) => {
      heard = resolve
    })
    const { url, hub } = await startHub({
      auth: {
        authenticate({ headers }) {
          if (headers.cookie === undefined) return { subject: 'root', grants: ALL_GRANTS }
          heard()
          return new Promise((resolve) => {
            answer = () => resolve({ subject: 'slow', grants: ALL_GRANTS })
          })
        },
      },
    })
    await hub.topic('orders').publish(1)
    const gone = new AbortController()
    const options = { headers: { cookie: 'slow' }, signal: gone.signal }
    const stream = fetch(`${url}/v1/topics/orders/stream`, options).catch(() => 'gone')
    await asked
    gone.abort()
    expect(await stream).toBe('gone')
    const ask = asking(url)
    // The hub has heard of it when it serves what came behind.
    await ask('GET', '/v1/me')
    answer()
    await ask('GET', '/v1/me')
    const none = async () => (await ask<{ subscribers: number }>('GET', '/v1/topics/orders')).body.subscribers === 0
    await until(none, { what: 'nobody to be subscribed' })
  })

  it('whose rule fails refuses for now, and lets nobody in', async () => {
    const { url } = await startHub({
      auth: {
        authenticate: () => {
          throw new Error('no database')
        },
      },
    })
    await expect(join(url, 'orders', { token: 'x' })).rejects.toMatchObject({ code: 'unavailable', retryable: true })
  })

  it('whose rule answers what is over, or what is no time, lets nobody in', async () => {
    const grants = [{ actions: ['*'], names: ['*'] }] as const
    let expiresAt: unknown
    const { url } = await startHub({
      auth: { authenticate: () => ({ subject: 'ann', grants, expiresAt: expiresAt as number }) },
    })
    for (const [at, code] of [
      [undefined, undefined],
      [Date.now() + 60_000, undefined],
      [Date.now() - 1, 'unauthorized'],
      [Number.NaN, 'unavailable'],
      ['2100-01-01', 'unavailable'],
    ]) {
      expiresAt = at
      const { body } = await asking(url)<{ code?: string }>('GET', '/v1/me')
      expect(body.code, `${at}`).toBe(code)
      const entered = join(url, 'orders', {}).then(
        (wire) => wire.close(),
        (error) => error.code,
      )
      expect(await entered, `${at}`).toBe(code)
    }
  })
})

describe('a hub without auth', () => {
  it('takes everybody for the same subject, who may do everything', async () => {
    const { url } = await startHub()
    const { body } = await asking(url)('GET', '/v1/me', undefined, { authorization: 'Bearer anything' })
    expect(body).toEqual({ subject: 'anonymous', grants: ALL })
  })
})
