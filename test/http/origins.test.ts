/** Pages of other origins: at each request of Engine.IO, on the hub's own server and on a program's, and over HTTP. */

import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Server, type ServerOptions } from 'socket.io'
import { beforeAll, describe, expect, it } from 'vitest'
import type { AllowOrigins } from '../../server/options/origins.ts'
import { join, joinNamespace } from '../support/clients/wire.ts'
import { atEnd } from '../support/ending.ts'
import { startHub } from '../support/hub/hub.ts'

const EVIL = 'https://evil.example'
const FRIEND = 'https://app.example.com'
const POLLING = '/socket.io/?EIO=4&transport=polling'
const UPGRADE = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
}
/** What browsers say of a `<script>` or a `fetch` without CORS on a page of another site. They send no Origin then. */
const SCRIPT = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'script' }

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

type Headers = Readonly<Record<string, string>>

/** With headers that fetch keeps to itself. An upgrade that is granted is status 101. */
async function ask(url: string, path: string, headers: Headers = {}, method = 'GET', body = ''): Promise<Answer> {
  const sending = request(`${url}${path}`, { method, headers, agent: false })
  sending.end(body)
  return await new Promise<Answer>((resolve, reject) => {
    sending.once('error', reject)
    sending.once('upgrade', (response, socket) => {
      socket.destroy()
      resolve({ status: 101, headers: response.headers, text: '' })
    })
    sending.once('response', async (response) => {
      let text = ''
      for await (const chunk of response) text += chunk
      resolve({ status: response.statusCode ?? 0, headers: response.headers, text })
    })
  })
}

async function openSession(url: string): Promise<string> {
  const { text } = await ask(url, POLLING)
  return (JSON.parse(text.slice(1)) as { sid: string }).sid
}

/** A session that has entered a topic. */
async function enterTopic(url: string): Promise<string> {
  const session = `${POLLING}&sid=${await openSession(url)}`
  await ask(url, session, {}, 'POST', '40/topics/t,{}')
  for (let seen = ''; !seen.includes('"live"'); ) seen += (await ask(url, session)).text
  return session
}

/** A program with a Socket.IO server of its own, and a hub in it. */
async function startProgram(allowOrigins?: AllowOrigins, options: Partial<ServerOptions> = {}, late = false) {
  const { hub } = await startHub(allowOrigins === undefined ? {} : { allowOrigins })
  const http = createServer()
  const io = new Server(options)
  if (late) hub.attach(io)
  io.attach(http)
  if (!late) hub.attach(io)
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  atEnd(() => io.close())
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}`
}

describe('the hub answers a page of another origin', () => {
  let url: string
  beforeAll(async () => {
    ;({ url } = await startHub({ allowOrigins: [FRIEND] }))
  })

  const strangers: Headers[] = [
    { origin: EVIL },
    { origin: 'null' },
    { origin: '' },
    { origin: `${FRIEND}.evil.io` },
    { origin: 'https://evil-app.example.com' },
    { origin: 'https://app.example.com:8443' },
    { origin: 'http://app.example.com' },
    { origin: 'http://localhost:1' },
    { origin: `${FRIEND}, ${EVIL}` },
    { origin: EVIL, cookie: 'session=victim' },
    SCRIPT,
    { ...SCRIPT, 'sec-fetch-site': 'same-site' },
    { ...SCRIPT, cookie: 'session=victim' },
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' },
  ]

  it.each(strangers)('%j with 403 at every request of Engine.IO, and nothing it can read', async (stranger) => {
    const session = await enterTopic(url)
    const refused = [
      await ask(url, POLLING, stranger),
      await ask(url, session, stranger),
      await ask(
        url,
        session,
        { ...stranger, 'content-type': 'text/plain' },
        'POST',
        '42/topics/t,["publish",[{"data":1}]]',
      ),
      await ask(url, session, { ...stranger, 'access-control-request-method': 'POST' }, 'OPTIONS'),
      await ask(url, session.replace('polling', 'websocket'), { ...stranger, ...UPGRADE }),
      await ask(url, '/socket.io/?EIO=4&transport=websocket', { ...stranger, ...UPGRADE }),
    ]
    for (const { status, headers, text } of refused) {
      expect([status, headers['access-control-allow-origin']]).toEqual([403, undefined])
      expect(text).toMatch(/origin/i)
    }
    // The session has not noticed, and nothing was published.
    await ask(url, session, {}, 'POST', '42/topics/t,7["read",{}]')
    expect((await ask(url, session)).text).toContain('"last":0')
  })

  it.each(strangers)('%j with 403 at every route of /v1', async (stranger) => {
    const refused = [
      await ask(url, '/v1/topics/t/events', stranger),
      await ask(url, '/v1/topics/t/events?waitMs=20000', stranger),
      await ask(url, '/v1/topics/t/stream', { ...stranger, accept: 'text/event-stream' }),
      await ask(url, '/v1/topics/t/events', { ...stranger, 'content-type': 'text/plain' }, 'POST', '{"data":1}'),
      await ask(url, '/v1/queues/q/jobs', { ...stranger, 'access-control-request-method': 'POST' }, 'OPTIONS'),
      await ask(url, '/openapi.json', stranger),
      await ask(url, '/asyncapi.json', stranger),
    ]
    for (const { status, headers } of refused) {
      expect([status, headers['access-control-allow-origin']]).toEqual([403, undefined])
      expect(headers['x-content-type-options']).toBe('nosniff')
    }
  })

  it('that it allows as that one wants it, at every request', async () => {
    const session = await enterTopic(url)
    const friend = { origin: FRIEND }
    const preflight = {
      ...friend,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type, x-own',
    }
    const allowed = [
      await ask(url, POLLING, friend),
      await ask(url, session, friend, 'POST', '42/topics/t,7["read",{}]'),
      await ask(url, session, friend),
      await ask(url, session, preflight, 'OPTIONS'),
    ]
    expect(allowed.map(({ status }) => status)).toEqual([200, 200, 200, 204])
    for (const { headers } of allowed) {
      expect(headers).toMatchObject({
        'access-control-allow-origin': FRIEND,
        'access-control-allow-credentials': 'true',
      })
      expect(headers.vary).toBe('Origin')
    }
    expect(allowed[3]?.headers['access-control-allow-headers']).toBe('content-type, x-own')
    expect((await ask(url, '/socket.io/?EIO=4&transport=websocket', { ...friend, ...UPGRADE })).status).toBe(101)
    const wire = await join(url, 't', {}, { transports: ['polling', 'websocket'] as const, headers: friend })
    await wire.seen('live')
  })

  it('that says it is its own, or whose user followed a link, as it answers a program', async () => {
    expect((await ask(url, POLLING, { 'sec-fetch-site': 'same-origin' })).status).toBe(200)
    expect((await ask(url, '/v1/topics', { 'sec-fetch-site': 'none' })).status).toBe(200)
    const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
    expect((await ask(url, '/v1/topics', link)).status).toBe(200)
  })
})

describe('JSONP polling', () => {
  it('is refused at the handshake and at a known session, with a sentence', async () => {
    const { url } = await startHub({ allowOrigins: '*' })
    const session = await enterTopic(url)
    for (const path of [`${POLLING}&j=0`, `${POLLING}&j=`, `${session}&j=1`, `${session}&j=0&j=1`]) {
      const { status, text } = await ask(url, path)
      expect(status).toBe(400)
      expect(text).toMatch(/JSONP/)
      expect(text).not.toContain('___eio')
    }
    expect((await ask(url, `${session}&j=1`, {}, 'POST', 'd=42')).status).toBe(400)
  })
})

describe('a rule', () => {
  it('that is * lets every page read, without its cookies', async () => {
    const { url } = await startHub({ allowOrigins: '*' })
    const { status, headers } = await ask(url, POLLING, { origin: EVIL })
    expect([status, headers['access-control-allow-origin']]).toEqual([200, EVIL])
    expect(headers['access-control-allow-credentials']).toBeUndefined()
    expect((await ask(url, '/v1/topics', SCRIPT)).status).toBe(200)
  })

  it('that is a function is asked at each request, and one that fails refuses', async () => {
    let answer: () => boolean | Promise<boolean> = () => true
    const asked: string[] = []
    const { url } = await startHub({
      allowOrigins: async (origin) => {
        asked.push(origin)
        await new Promise((resolve) => setTimeout(resolve, 5))
        return await answer()
      },
    })
    const session = await enterTopic(url)
    expect((await ask(url, session, { origin: EVIL }, 'POST', '42/topics/t,7["read",{}]')).status).toBe(200)
    answer = () => false
    expect((await ask(url, session, { origin: EVIL })).status).toBe(403)
    answer = () => {
      throw new Error('no database')
    }
    for (const path of [session, '/v1/topics']) expect((await ask(url, path, { origin: EVIL })).status).toBe(403)
    const upgrade = await ask(url, '/socket.io/?EIO=4&transport=websocket', { origin: EVIL, ...UPGRADE })
    expect(upgrade.status).toBe(403)
    expect(asked).toHaveLength(5)
    expect((await ask(url, POLLING, SCRIPT)).status).toBe(403)
  })

  it('that is not given lets pages of the host in, and of this machine', async () => {
    const { url } = await startHub()
    for (const origin of [url, 'http://localhost:5173']) {
      expect((await ask(url, POLLING, { origin })).headers['access-control-allow-origin']).toBe(origin)
    }
    expect((await ask(url, POLLING, { origin: 'http://localhost.evil.example' })).status).toBe(403)
    expect((await ask(url, POLLING, { host: 'rebound.example' })).status).toBe(403)
  })

  it('that is not given takes a host with the port of its scheme for that host', async () => {
    const { url } = await startHub()
    const of = async (host: string, origin: string) => (await ask(url, POLLING, { host, origin })).status
    expect(await of('203.0.113.7:443', 'https://203.0.113.7')).toBe(200)
    expect(await of('203.0.113.7:80', 'http://203.0.113.7')).toBe(200)
    expect(await of('203.0.113.7:80', 'https://203.0.113.7')).toBe(403)
    expect(await of('203.0.113.7:443', 'https://203.0.113.7:8443')).toBe(403)
  })

  it('that names the host by https does not let its plain pages in', async () => {
    const { url } = await startHub({ allowOrigins: ['https://hub.example.com'] })
    const host = 'hub.example.com'
    expect((await ask(url, POLLING, { host, origin: 'https://hub.example.com' })).status).toBe(200)
    expect((await ask(url, POLLING, { host, origin: 'http://hub.example.com' })).status).toBe(403)
  })
})

describe("a program's own Socket.IO server", () => {
  for (const late of [false, true]) {
    it(`that the hub was attached to ${late ? 'before it listened' : 'as it listened'} asks by the hub's rule`, async () => {
      const url = await startProgram([FRIEND], { cors: { origin: true, credentials: true } }, late)
      for (const transport of ['websocket', 'polling'] as const) {
        const from = (origin: string) => ({ transports: [transport], headers: { origin } })
        for (const namespace of ['/topics/t', '/queues']) {
          const evil = joinNamespace(url, namespace, {}, from(EVIL))
          await expect(evil).rejects.toMatchObject({ code: 'forbidden', message: expect.stringContaining(EVIL) })
        }
        const friend = await join(url, 't', {}, from(FRIEND))
        await friend.seen('live')
        friend.close()
        await (await join(url, 't', {}, { transports: [transport] })).seen('live')
        // Its own namespaces are its own.
        await joinNamespace(url, '/', {}, from(EVIL))
      }
    })
  }

  it('lets nobody else use a connection that is in the hub, nor enter by one that another page has used', async () => {
    const url = await startProgram([FRIEND], { cors: { origin: true, credentials: true } })
    const inside = await enterTopic(url)
    expect((await ask(url, inside, { origin: EVIL }, 'POST', '42/topics/t,["publish",[{"data":1}]]')).status).toBe(403)
    expect((await ask(url, inside, { origin: EVIL })).status).toBe(403)
    expect((await ask(url, inside.replace('polling', 'websocket'), { origin: EVIL, ...UPGRADE })).status).toBe(403)
    const outside = `${POLLING}&sid=${await openSession(url)}`
    expect((await ask(url, outside, { origin: EVIL }, 'POST', '40/topics/t,{}')).status).toBe(200)
    expect((await ask(url, outside)).text).toContain('"code":"forbidden"')
  })

  it('lets no JSONP into the hub', async () => {
    const url = await startProgram()
    const jsonp = `${POLLING}&j=0`
    const sid = /sid\\":\\"([^\\]+)/.exec((await ask(url, jsonp)).text)?.[1]
    const session = `${jsonp}&sid=${sid}`
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    await ask(url, session, form, 'POST', `d=${encodeURIComponent('40/topics/t,{}')}`)
    expect((await ask(url, session)).text).toMatch(/forbidden.*JSONP|JSONP.*forbidden/)
  })
})
