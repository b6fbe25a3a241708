/** Who is connected to a node, over the console's namespace and HTTP: everything is true, nobody sees too much, and a disconnect costs nothing. */

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Server } from 'socket.io'
import { beforeAll, describe, expect, it } from 'vitest'
import { connect } from '../../client/index.ts'
import { createHub } from '../../server/index.ts'
import type { TestHub } from '../../server/testing.ts'
import type { Happening } from '../../shared/console/happenings.ts'
import type { ClientRow, ClientSeen, ClientsPage, ClientsQuery } from '../../shared/console/protocol.ts'
import type { EventsPacket } from '../../shared/protocol.ts'
import { asking } from '../support/clients/ask.ts'
import { listen } from '../support/clients/eventSource.ts'
import { SECRET, tokenOf } from '../support/clients/tokens.ts'
import { join, joinNamespace, type Wire } from '../support/clients/wire.ts'
import { atEnd } from '../support/ending.ts'
import { startHub } from '../support/hub/hub.ts'
import { startRelay } from '../support/network/relay.ts'
import { tempFolder } from '../support/temp.ts'
import { until } from '../support/until.ts'

let hub: TestHub
let url: string
let token: string
let asRoot: { authorization: string }
let root: Wire
beforeAll(async () => {
  hub = await startHub({ auth: { jwt: { secret: SECRET } } })
  url = hub.url
  token = await tokenOf('root', { ttlMs: 600_000 })
  asRoot = { authorization: `Bearer ${token}` }
  root = await opened()
})
const opened = async (as = token): Promise<Wire> => await joinNamespace(url, '/console', { token: as })
const list = (query: ClientsQuery = {}, by = root) => by.value<ClientsPage>('clients', query)
const one = (id: string, by = root) => by.value<ClientSeen>('client', { id })

/** The first row that fits, looked for again until there is one. */
async function row(query: ClientsQuery, fits: (row: ClientRow) => boolean, by = root): Promise<ClientRow> {
  let rows: readonly ClientRow[] = []
  return await until(
    async () => {
      rows = (await list(query, by)).rows
      return rows.find(fits)
    },
    { what: 'such a client', seen: () => rows, everyMs: 100 },
  )
}

async function publish(topic: string, count: number, bytes = 10): Promise<void> {
  for (let i = 0; i < count; i++) await hub.hub.topic(topic).publish({ i, text: 'x'.repeat(bytes) })
}

describe('who is connected', () => {
  it('is told with what it subscribes to and consumes, where it is, and how far behind', async () => {
    await publish('orders', 3)
    const ann = await tokenOf('ann')
    const live = await join(url, 'orders', { token: ann, client: 'live', from: 'start' })
    await live.seen('live')
    const relay = await startRelay(url)
    const slow = await join(relay.url, 'orders', { token: ann, client: 'slow' })
    await slow.seen('live')
    const publisher = await join(
      url,
      'orders',
      { token: ann, client: 'publisher', from: 'none' },
      { transports: ['polling'] },
    )
    const stream = await listen(`${url}/v1/topics/orders/stream`, { headers: { authorization: `Bearer ${ann}` } })
    atEnd(() => stream.close())
    const inside = hub.hub.topic('orders').subscribe(() => {}, { client: 'inside' })
    const worker = await joinNamespace(url, '/queues', { token: ann, client: 'worker' })
    await worker.value('consume', 'emails', { credit: 5 })
    await hub.hub.queue('emails').sendAll([{ data: 1 }, { data: 2 }])
    await until(() => worker.packets.some(({ name }) => name === 'jobs'), { what: 'the jobs' })

    relay.throttle(1_000)
    await publish('orders', 80, 200_000)
    await row({ search: 'slow' }, ({ state }) => state === 'behind')
    const catching = await join(
      url,
      'orders',
      { token: ann, client: 'held', from: 'start', paced: true },
      { holdPages: true },
    )
    await catching.seen('events')
    await row({ search: 'held' }, () => true)
    const page = await list({ limit: 200 })
    expect(page).toMatchObject({ total: page.rows.length, matched: page.rows.length })
    const of = (client: string) => page.rows.find(({ clients }) => clients[0] === client)
    const own = { subjects: ['ann'], address: '127.0.0.1', transport: 'websocket', console: false }
    expect(of('live')).toMatchObject({ ...own, state: 'live', lag: 0, subscriptions: 1, consumers: 0 })
    expect(of('slow')).toMatchObject({ ...own, state: 'behind', lag: expect.any(Number) })
    expect(of('slow')?.lag).toBeGreaterThan(0)
    expect(of('publisher')).toMatchObject({ ...own, transport: 'polling', state: 'idle', subscriptions: 0 })
    expect(of('worker')).toMatchObject({ ...own, state: 'idle', consumers: 1, held: 2 })
    expect(of('inside')).toMatchObject({ subjects: ['program'], state: 'live' })
    expect(of('inside')).not.toHaveProperty('address')
    expect(page.rows.filter(({ transport }) => transport === 'stream')).toMatchObject([
      { subjects: ['ann'], state: 'live' },
    ])
    expect(page.rows.filter((one) => one.console)).toMatchObject([{ subjects: ['root'], subscriptions: 0 }])
    for (const { since } of page.rows) expect(Math.abs(Date.now() - since)).toBeLessThan(60_000)

    const { id = '' } = of('held') ?? {}
    const seen = await one(id)
    const [first] = catching.all('events')
    const last = (first as EventsPacket).events.at(-1)?.offset ?? 0
    expect(seen).toMatchObject({
      node: page.node,
      client: { id, state: 'catching_up', lag: 83 - last },
      subscriptions: [
        { topic: 'orders', client: 'held', state: 'catching_up', position: { offset: last }, lag: 83 - last },
      ],
      consumers: [],
    })
    expect((await one(of('worker')?.id ?? '')).consumers).toEqual([
      { queue: 'emails', client: 'worker', credit: 5, held: 2 },
    ])
    relay.throttle(Number.POSITIVE_INFINITY)
    await row({ search: 'slow' }, ({ state, lag }) => state === 'live' && lag === 0)
    inside.close()
    for (const wire of [live, catching, slow, publisher, worker]) wire.close()
  })

  it('is searched, sorted and paged, by topic and queue, the same over HTTP', async () => {
    const wires = []
    for (const [i, client] of ['page-c', 'page-a', 'page-b'].entries()) {
      const wire = await join(url, 'paged', { token, client })
      await wire.seen('live')
      if (i > 0) wires.push(await joinNamespace(url, '/queues', { token, client: `${client}-w` }))
      wires.push(wire)
    }
    const work = await joinNamespace(url, '/queues', { token, client: 'page-work' })
    await work.value('consume', 'paging', { credit: 3 })
    const names = async (query: ClientsQuery) => (await list(query)).rows.map(({ clients }) => clients[0])
    await row({ queue: 'paging' }, () => true)
    expect(await names({ search: 'page-', topic: 'paged', limit: 2 })).toEqual(['page-a', 'page-b'])
    expect(await names({ topic: 'paged', descending: true, offset: 1 })).toEqual(['page-b', 'page-a'])
    expect(await names({ queue: 'paging' })).toEqual(['page-work'])
    expect(await names({ topic: 'paged', sort: 'since' })).toEqual(['page-c', 'page-a', 'page-b'])
    const refused = await root.call('clients', { sort: 'colour' })
    expect(refused).toMatchObject({ ok: false, error: { code: 'bad_request' } })

    const ask = asking(url)
    const path = '/v1/clients?topic=paged&sort=client&descending=true&limit=2'
    const { body } = await ask<{ clients: ClientRow[] }>('GET', path, undefined, asRoot)
    const { rows, at: _, ...page } = await list({ topic: 'paged', sort: 'client', descending: true, limit: 2 })
    expect(body).toMatchObject({ ...page, clients: rows })
    const id = rows[0]?.id ?? ''
    expect((await ask('GET', `/v1/clients/${id}`, undefined, asRoot)).body).toEqual(await one(id))
    for (const wire of [...wires, work]) wire.close()
  })

  it('is shown to who may read everything; others see who uses the names that they manage, and no address', async () => {
    const grants = [
      { actions: ['admin'], names: ['own.*'] },
      { actions: ['read'], names: ['foreign.*'] },
    ]
    const part = await opened(await tokenOf('part', { grants }))
    const viewer = await opened(await tokenOf('viewer', { grants: [{ actions: ['read'], names: ['*'] }] }))
    const both = await connectBoth('both')
    const foreign = await join(url, 'foreign.b', { token, client: 'only-foreign' })
    const mine = await row({ search: 'both' }, ({ state }) => state === 'live', part)
    expect(mine).toMatchObject({ clients: ['both'], subscriptions: 1 })
    expect(mine).not.toHaveProperty('address')
    expect(await list({}, part)).toMatchObject({ total: 1, rows: [{ id: mine.id }] })
    expect((await one(mine.id, part)).subscriptions).toMatchObject([{ topic: 'own.a' }])
    expect(await list({ topic: 'foreign.b' }, part)).toMatchObject({ total: 0 })
    const theirs = await row({ search: 'only-foreign' }, () => true, viewer)
    expect(theirs.address).toBe('127.0.0.1')
    const notFound = { ok: false, error: { code: 'not_found' } }
    expect(await part.call('client', { id: theirs.id })).toMatchObject(notFound)
    for (const wire of [part, viewer]) {
      const refused = await wire.call('disconnectClient', { id: mine.id })
      expect(refused).toMatchObject({ ok: false, error: { code: 'forbidden' } })
    }
    expect((await one(mine.id)).subscriptions).toHaveLength(2)
    await both.close()
    foreign.close()
  })

  /** One connection in two topics. */
  async function connectBoth(client: string) {
    const sdk = connect(url, { token, client })
    sdk.topic('own.a').subscribe(() => {})
    sdk.topic('foreign.b').subscribe(() => {})
    await row({ search: client }, ({ subscriptions }) => subscriptions === 2)
    return sdk
  }
})

describe('a disconnect', () => {
  it('closes the connection; the client comes back by itself and goes on where it was', async () => {
    const sdk = connect(url, { token, client: 'comes-back' })
    atEnd(() => sdk.close())
    const got: unknown[] = []
    const gaps: unknown[] = []
    const subscription = sdk.topic('kept').subscribe(({ data }) => void got.push(data), { from: 'start' })
    subscription.onGap((gap) => gaps.push(gap))
    const worker = sdk.queue('jobs').consume(() => new Promise((resolve) => setTimeout(resolve, 50)))
    const stream = await listen(`${url}/v1/topics/kept/stream`, { headers: asRoot, reconnect: true })
    atEnd(() => stream.close())
    await hub.hub.topic('kept').publish(1)
    await until(() => got.length === 1, { what: 'the first' })
    await stream.seen(1)
    const before = await row({ search: 'comes-back' }, ({ consumers }) => consumers === 1)
    const streaming = await row({ topic: 'kept' }, ({ transport }) => transport === 'stream')

    expect(await root.value('disconnectClient', { id: before.id })).toBeNull()
    const ask = asking(url)
    expect(await ask('DELETE', `/v1/clients/${streaming.id}`, undefined, asRoot)).toMatchObject({ status: 204 })
    await hub.hub.topic('kept').publish(2)
    await hub.hub.topic('kept').publish(3)
    await until(() => got.length === 3, { what: 'what came meanwhile' })
    expect([got, gaps]).toEqual([[1, 2, 3], []])
    expect((await stream.seen(3)).map(({ data }) => data)).toEqual([1, 2, 3])
    const after = await row({ search: 'comes-back' }, ({ consumers }) => consumers === 1)
    expect(after.id).not.toBe(before.id)
    for (const id of [before.id, streaming.id, 'x']) {
      const gone = await ask('DELETE', `/v1/clients/${id}`, undefined, asRoot)
      expect(gone).toMatchObject({ status: 404, body: { code: 'not_found' } })
    }
    const acted = (await root.value<Happening[]>('activity')).filter(({ kind }) => kind === 'acted')
    expect(acted.map(({ details }) => details)).toEqual([
      { what: 'disconnectClient', subject: 'root', item: streaming.id },
      { what: 'disconnectClient', subject: 'root', client: 'comes-back', item: before.id },
    ])
    await worker.close()
  })

  it('is to a plain client a network that broke, by whatever transport', async () => {
    for (const transport of ['websocket', 'polling'] as const) {
      const transports = [transport]
      const plain = await join(url, 'plain', { token, client: transport }, { transports, reconnection: true })
      const { id } = await row({ search: transport, topic: 'plain' }, () => true)
      const back = new Promise((resolve) => plain.socket.once('connect', () => resolve('back')))
      await root.value('disconnectClient', { id })
      expect(['transport close', 'transport error']).toContain(await plain.disconnected)
      expect(await back).toBe('back')
      expect(plain.all('error')).toEqual([])
      plain.close()
    }
  })

  it('ends also a connection that takes nothing', async () => {
    const relay = await startRelay(url)
    const stuck = await join(relay.url, 'stuck', { token, client: 'stuck' })
    await stuck.seen('live')
    const { id } = await row({ search: 'stuck' }, ({ state }) => state === 'live')
    relay.blackHole(true)
    await publish('stuck', 40, 200_000)
    await root.value('disconnectClient', { id })
    await until(async () => (await list({ topic: 'stuck' })).total === 0, { what: 'it to be gone', everyMs: 100 })
    stuck.close()
  })
})

it("a program's own Socket.IO server: who uses the hub is listed, and nobody else", async () => {
  const own = createHub({ store: await tempFolder(), logLevel: 'silent' })
  const http = createServer(own.handler)
  const io = new Server(http)
  own.attach(io)
  io.of('/chat')
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  atEnd(async () => {
    await own.close()
    await io.close()
  })
  await own.ready
  const at = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  await joinNamespace(at, '/chat')
  const wire = await join(at, 'orders', { client: 'both' })
  await new Promise<void>((resolve) => {
    const chat = wire.socket.io.socket('/chat', {})
    chat.on('connect', resolve)
    chat.connect()
  })
  const by = await joinNamespace(at, '/console')
  const { rows } = await list({}, by)
  expect(rows.map(({ clients, console }) => [clients, console])).toEqual([
    [[], true],
    [['both'], false],
  ])
})
