/**
 * Handles that share a connection as tabs do, over Web Locks of the test's own. What browsers make of it, and what becomes of
 * tabs that crash or stand still, is in test/browser/sharing.test.ts.
 */

import { setMaxListeners } from 'node:events'
import { createServer } from 'node:http'
import { Server } from 'socket.io'
import type { Manager } from 'socket.io-client'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { Host } from '../../client/browser/tabs/host.ts'
import { channelOf, type Word } from '../../client/browser/tabs/messages.ts'
import { type Member, type Port, Relay } from '../../client/browser/tabs/relay.ts'
import type { ConnectOptions, Hub, SharedStatus } from '../../client/index.ts'
import { createHub } from '../../server/index.ts'
import { FakeLocks } from '../support/browser/locks.ts'
import { SECRET, tokenOf } from '../support/clients/tokens.ts'
import { atEnd } from '../support/ending.ts'
import { serveWith } from '../support/hub/attached.ts'
import { startHub } from '../support/hub/hub.ts'
import { open } from '../support/sdk/handles.ts'
import { tempFolder } from '../support/temp.ts'
import { until } from '../support/until.ts'

const page = new EventTarget()
setMaxListeners(100, page)
let locks: FakeLocks

describe('handles that share a connection', () => {
  beforeAll(() => {
    locks = new FakeLocks()
    vi.stubGlobal('location', new URL('http://127.0.0.1/'))
    vi.stubGlobal('navigator', { locks, onLine: true })
    vi.stubGlobal('addEventListener', page.addEventListener.bind(page))
    vi.stubGlobal('removeEventListener', page.removeEventListener.bind(page))
  })
  afterAll(() => {
    vi.unstubAllGlobals()
  })

  async function connections(url: string): Promise<number> {
    const text = await (await fetch(`${url}/metrics`)).text()
    return Number(/^reprise_connections (\d+)/m.exec(text)?.[1])
  }

  const hubsOf = (tabs: readonly { readonly hub: Hub }[]) => tabs.map(({ hub }) => hub)
  const sharedOf = (hubs: readonly Hub[]) => hubs.map(({ status }) => status.shared)

  /** Tabs, each with a subscription that is live. */
  async function openTabs(url: string, options: readonly ConnectOptions[]) {
    const tabs = options.map((one) => {
      const hub = open(url, { share: true, ...one })
      const got: unknown[] = []
      const sub = hub.topic('t').subscribe(({ data }) => void got.push(data))
      return { hub, got, sub }
    })
    await until(() => tabs.every(({ sub }) => sub.status.state === 'live'), { what: 'all to be live' })
    return tabs
  }

  it('have one, whatever they subscribe to and work on, and a cursor each under one client', async () => {
    const { url } = await startHub()
    const tabs = await openTabs(url, [{ client: 'app' }, { client: 'app' }, { client: 'app' }, {}])
    const [first, , third, fourth] = hubsOf(tabs)
    expect(sharedOf(hubsOf(tabs)).sort()).toEqual(['follower', 'follower', 'follower', 'leader'])
    const again: unknown[] = []
    const further = fourth?.topic('t').subscribe(({ data }) => void again.push(data))
    await until(() => further?.status.state === 'live')
    const worked = [0, 0]
    for (const i of [0, 1]) {
      third?.queue('q').consume(() => {
        worked[i] = (worked[i] ?? 0) + 1
      })
    }
    await first?.topic('t').publish(new Uint8Array([1, 2]))
    await fourth?.topic('t').publish('two')
    for (let i = 0; i < 20; i++) await first?.queue('q').send(i)
    await until(() => worked[0] !== 0 && (worked[0] ?? 0) + (worked[1] ?? 0) === 20, { what: 'all jobs to be done' })
    for (const got of [again, ...tabs.map((tab) => tab.got)]) await until(() => got.length === 2)
    expect(tabs[2]?.got).toEqual([Buffer.from([1, 2]), 'two'])
    expect(await connections(url)).toBe(1)
    await Promise.all(tabs.map(({ sub }) => sub.close()))
    const { cursors } = await (await fetch(`${url}/v1/topics/t/cursors`)).json()
    expect(cursors).toMatchObject(['app', 'app:2', 'app:3'].map((client) => ({ client, position: { offset: 2 } })))
  })

  it('go on with another one when the one that leads is closed or in the cache, and end with the last', async () => {
    const { url } = await startHub()
    const tabs = await openTabs(url, [{}, {}, {}])
    const statuses: SharedStatus[] = []
    tabs[1]?.hub.onStatus((status) => statuses.push(status))
    const leader = tabs.find(({ hub }) => hub.status.shared === 'leader')
    await leader?.hub.close()
    expect(leader?.hub.status).toEqual({ shared: undefined })
    const others = tabs.filter((tab) => tab !== leader)
    await until(
      () => others.every(({ sub }) => sub.status.state === 'live') && sharedOf(hubsOf(others)).includes('leader'),
    )
    await others[0]?.hub.topic('t').publish('later')
    for (const { got } of others) await until(() => got.length === 1)
    expect(await connections(url)).toBe(1)

    page.dispatchEvent(new Event('pagehide'))
    await until(() => sharedOf(hubsOf(others)).every((shared) => shared === undefined), { what: 'both to leave' })
    await until(async () => (await connections(url)) === 0, { what: 'no connection' })
    expect((await locks.query()).held).toEqual([])
    page.dispatchEvent(new Event('pageshow'))
    await until(() => others.every(({ sub }) => sub.status.state === 'live'))
    await others[1]?.hub.topic('t').publish('back')
    for (const { got } of others) await until(() => got.length === 2)
    await Promise.all(others.map(({ hub }) => hub.close()))
    await until(async () => (await connections(url)) === 0, { what: 'no connection' })
    expect(await locks.query()).toEqual({ held: [], pending: [] })
  })

  it('are of one user and of the same options', async () => {
    const { url } = await startHub({ auth: { jwt: { secret: SECRET } } })
    const grants = [{ actions: ['*'], names: ['*'] }]
    const [ann, annAgain, bob] = [
      await tokenOf('ann', { grants }),
      await tokenOf('ann', { grants, ttlMs: 90_000 }),
      await tokenOf('bob', { grants }),
    ]
    const options = [
      { token: ann },
      { token: async () => annAgain },
      { token: bob },
      { token: ann, path: '/socket.io/' },
    ]
    const tabs = await openTabs(url, options)
    expect(sharedOf(hubsOf(tabs)).filter((shared) => shared === 'leader').length).toBe(3)
    await tabs[1]?.hub.topic('t').publish('for all')
    for (const { got } of tabs) await until(() => got.length === 1)
  })

  it('connect each for itself where the hub is of an older version, say so, and keep their names', async () => {
    const hub = createHub({ store: await tempFolder(), logLevel: 'silent' })
    const server = createServer(hub.handler)
    const io = new Server(server)
    // What such a hub answers to a place beside the first: in a topic, and in what is no namespace to it.
    const refuse = (error: Error) => (_: unknown, next: (error: Error) => void) => next(error)
    io.of(/^\/topics\/.*#/).use(refuse(Object.assign(new Error('no topic'), { data: { code: 'bad_request' } })))
    io.of(/^\/queues#/).use(refuse(new Error('Invalid namespace')))
    const url = await serveWith(hub, server, io)
    const workers = [1, 2].map(() => {
      const queue = open(url, { share: true, path: '/socket.io/' }).queue('q')
      return queue.consume(({ data }) => data)
    })
    await until(() => workers.every(({ status }) => status.state === 'working'), { what: 'both to work' })

    const tabs = await openTabs(url, [{ client: 'app' }, { client: 'app' }, { client: 'app' }])
    tabs.push(...(await openTabs(url, [{ client: 'app' }])))
    for (const { hub } of tabs) {
      expect(hub.status).toMatchObject({
        shared: 'alone',
        reason: { message: expect.stringContaining('older version') },
      })
    }
    await tabs[0]?.hub.topic('t').publish('to all')
    for (const { got } of tabs) await until(() => got.length === 1)
    expect(await connections(url)).toBe(6)
    await Promise.all(tabs.map((tab) => tab.hub.close()))
    const { cursors } = await (await fetch(`${url}/v1/topics/t/cursors`)).json()
    const names = ['app', 'app:2', 'app:3', 'app:4']
    expect(cursors).toMatchObject(names.map((client) => ({ client, position: { offset: 1 } })))
  })

  it('let go of one that does not read, and of what it has open', async () => {
    const ports: Port[] = []
    const left: Port[] = []
    const relay = {
      member(port: Port) {
        return { join: () => void ports.push(port), leave: () => void left.push(port) } as unknown as Member
      },
    } as unknown as Relay
    const host = new Host('some name', 'leader', relay)
    const tab = channelOf('some name', 'tab')
    atEnd(() => {
      tab.close()
      host.close()
    })
    const words: Word[] = []
    tab.onmessage = ({ data }: MessageEvent<Word>) => words.push(data)
    // As long as the tab is there.
    void locks.request('some name tab', {}, () => new Promise(() => {}))
    host.welcome('tab')
    await until(() => words.some(({ kind }) => kind === 'welcome'))
    tab.postMessage({ kind: 'open', leader: 'leader', pipe: 1 } satisfies Word)
    tab.postMessage({ kind: 'open', leader: 'another', pipe: 2 } satisfies Word)
    await until(() => ports.length === 1)
    const megabyte = 'x'.repeat(1_048_576)
    for (let i = 0; i < 40; i++) ports[0]?.deliver(megabyte)
    await until(() => words.some(({ kind }) => kind === 'close'))
    expect(words.filter(({ kind }) => kind === 'data').length).toBe(17)
    expect(left).toEqual(ports)
  })

  it('write nothing to a connection that is closing', () => {
    const written: unknown[] = []
    const ws = { readyState: 1 }
    const engine = { transport: { ws }, write: (data: unknown) => written.push(data) }
    const manager = {
      on: () => {},
      _readyState: 'open',
      _close: () => {},
      engine: { ...engine, _hasPingExpired: () => false },
    }
    const relay = new Relay(
      () => manager as unknown as Manager,
      () => {},
    )
    const member = relay.member({ deliver: () => {}, close: () => {} })
    member.join()
    member.take('40/topics/t,')
    expect(written).toEqual(['0/topics/t,'])
    member.inside.add('/topics/t')
    ws.readyState = 2
    member.take('42/topics/t,["ack"]')
    member.leave()
    expect(written.length).toBe(1)
  })

  it('pass nothing on that comes when another one has taken the lock', async () => {
    const ports: Port[] = []
    const relay = { member: (port: Port) => ({ join: () => void ports.push(port), leave: () => {} }) }
    const lead = (steal: boolean) => {
      void locks.request('taken', { steal }, () => new Promise(() => {})).catch(() => {})
    }
    lead(false)
    const host = new Host('taken', 'leader', relay as unknown as Relay)
    const tab = channelOf('taken', 'tab')
    atEnd(() => {
      tab.close()
      host.close()
    })
    let pongs = 0
    const welcomed = new Promise<void>((resolve) => {
      tab.onmessage = ({ data }: MessageEvent<Word>) => {
        if (data.kind === 'welcome') resolve()
        if (data.kind === 'pong') pongs++
      }
    })
    void locks.request('taken tab', {}, () => new Promise(() => {}))
    host.welcome('tab')
    await welcomed
    for (const pipe of [1, 2]) {
      tab.postMessage({ kind: 'open', leader: 'leader', pipe } satisfies Word)
      tab.postMessage({ kind: 'ping', leader: 'leader' } satisfies Word)
      await until(() => pongs === pipe)
      lead(true)
    }
    expect(ports.length).toBe(1)
  })
})

describe('a handle that should share and cannot', () => {
  it('connects for itself, and says why', async () => {
    const { url } = await startHub()
    const hub = open(url, { share: true, quiet: true })
    expect(hub.status).toMatchObject({ shared: 'alone', reason: { code: 'unavailable' } })
    await hub.topic('t').publish(1)
  })
})
