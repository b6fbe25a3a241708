/** A real page of another origin tries all that browsers offer against a hub on the same machine. */

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join as pathJoin } from 'node:path'
import { Server } from 'socket.io'
import { afterAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../build/build.ts'
import { closeBrowser, openContext, openPage } from '../support/browser/chromium.ts'
import { join } from '../support/clients/wire.ts'
import { atEnd } from '../support/ending.ts'
import { startHub } from '../support/hub/hub.ts'
import { has } from '../support/tools.ts'

const CLIENT = pathJoin(ROOT, 'node_modules/socket.io-client/dist/socket.io.min.js')
const POLLING = '/socket.io/?EIO=4&transport=polling'

interface Connecting {
  readonly connected: boolean
  disconnect(): void
  on(event: string, listener: (error: unknown) => void): void
}

declare global {
  var io: (url: string, options: object) => Connecting
}

/** An address that serves an empty page to any browser, and nothing to the hub. */
async function startForeignSite(): Promise<string> {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html').end('<!doctype html><link rel="icon" href="data:,"><p>foreign</p>')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://localhost:${(server.address() as AddressInfo).port}/`
}

/** A session that has entered a topic, as a page of its own would have it. */
async function openSession(url: string): Promise<string> {
  const { sid } = JSON.parse((await (await fetch(`${url}${POLLING}`)).text()).slice(1)) as { sid: string }
  await fetch(`${url}${POLLING}&sid=${sid}`, { method: 'POST', body: '40/topics/t,{}' })
  return sid
}

/** What each way in came to; run in the page. */
async function tryAll({ url, sid }: { url: string; sid: string }): Promise<Record<string, string>> {
  const wait = <T>(promise: Promise<T>, otherwise: T) =>
    Promise.race([promise, new Promise<T>((resolve) => setTimeout(resolve, 5_000, otherwise))])
  const engine = `${url}/socket.io/?EIO=4&transport=polling`
  const connect = (transport: string, withCredentials: boolean) =>
    wait(
      new Promise<string>((resolve) => {
        const socket = io(`${url}/topics/t`, {
          transports: [transport],
          forceNew: true,
          reconnection: false,
          withCredentials,
        })
        socket.on('connect', () => resolve('connected'))
        socket.on('connect_error', () => resolve('refused'))
      }),
      'silent',
    )
  const script = (address: string) =>
    wait(
      new Promise<string>((resolve) => {
        const element = document.createElement('script')
        const caught: unknown[] = []
        Object.assign(globalThis, { ___eio: [(text: unknown) => caught.push(text)] })
        element.onload = () => resolve(caught.length > 0 ? 'read' : 'nothing')
        element.onerror = () => resolve('refused')
        element.src = address
        document.head.append(element)
      }),
      'silent',
    )
  const read = (address: string, options: RequestInit = {}) =>
    fetch(address, options).then(
      (response) => (response.type === 'opaque' ? 'sent' : `read ${response.status}`),
      () => 'refused',
    )
  const source = wait(
    new Promise<string>((resolve) => {
      const stream = new EventSource(`${url}/v1/topics/t/stream?from=start`)
      stream.onopen = () => resolve('opened')
      stream.onerror = () => resolve('refused')
    }),
    'silent',
  )
  const publish = `42/topics/t,["publish",[{"data":"foreign"}]]`
  return {
    websocket: await connect('websocket', false),
    'websocket with cookies': await connect('websocket', true),
    polling: await connect('polling', false),
    'polling with cookies': await connect('polling', true),
    'script handshake': await script(`${engine}&j=0`),
    'script with a session': await script(`${engine}&j=0&sid=${sid}`),
    'script of /v1': await script(`${url}/v1/topics/t/events`),
    'poll of a session': await read(`${engine}&sid=${sid}`),
    'post to a session': await read(`${engine}&sid=${sid}`, { method: 'POST', body: publish }),
    'blind post to a session': await read(`${engine}&sid=${sid}`, { method: 'POST', body: publish, mode: 'no-cors' }),
    'read of /v1': await read(`${url}/v1/topics/t/events`),
    'publish to /v1': await read(`${url}/v1/topics/t/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"data":"foreign"}',
    }),
    'blind publish to /v1': await read(`${url}/v1/topics/t/events`, {
      method: 'POST',
      body: '{"data":1}',
      mode: 'no-cors',
    }),
    'event stream': await source,
  }
}

describe.runIf(has('chromium'))('a page of another origin in a browser', () => {
  afterAll(async () => {
    await closeBrowser()
  })

  async function attack(url: string) {
    const sid = await openSession(url)
    const context = await openContext()
    await context.grantPermissions(['local-network-access'])
    await context.addCookies([{ name: 'session', value: 'victim', url }])
    const page = await openPage(context, { expected: /./ })
    await page.goto(await startForeignSite())
    await page.addScriptTag({ path: CLIENT })
    return await page.evaluate(tryAll, { url, sid })
  }

  it('gets nothing out of a hub and nothing into it, by any way in', async () => {
    const { url, hub } = await startHub({ allowOrigins: ['https://app.example.com'] })
    await hub.topic('t').publish('secret')
    const { 'blind post to a session': post, 'blind publish to /v1': blind, ...rest } = await attack(url)
    // A page does not learn what became of what it sent blindly; the topic tells.
    expect([post, blind]).toEqual(['sent', 'sent'])
    for (const [way, outcome] of Object.entries(rest)) expect(outcome, way).toBe('refused')
    const { last } = (await (await fetch(`${url}/v1/topics/t`)).json()) as { last: number }
    expect(last).toBe(1)
  })

  it("gets nothing out of a hub in a program's own Socket.IO server that lets everybody in", async () => {
    const { hub, url } = await startHub({ allowOrigins: ['https://app.example.com'] })
    await hub.topic('t').publish('secret')
    const http = createServer(hub.handler)
    const io = new Server(http, { cors: { origin: true, credentials: true } })
    hub.attach(io)
    http.listen(0, '127.0.0.1')
    await once(http, 'listening')
    atEnd(() => io.close())
    const own = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
    const outcomes = await attack(own)
    for (const way of ['websocket', 'websocket with cookies', 'polling', 'polling with cookies', 'event stream']) {
      expect(outcomes[way], way).toBe('refused')
    }
    expect(outcomes['post to a session']).toBe('read 403')
    expect(outcomes['poll of a session']).toBe('read 403')
    const wire = await join(url, 't', { from: 'start' })
    expect((await wire.eventsSeen(1)).map(({ data }) => data)).toEqual(['secret'])
  })
})
