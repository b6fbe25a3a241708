import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { Agent, createServer, request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import express from 'express'
import { describe, expect, it } from 'vitest'
import { createHub } from '../../server/index.ts'
import { ERRORS } from '../../shared/errorTable.ts'
import { asking } from '../support/clients/ask.ts'
import { atEnd } from '../support/ending.ts'
import { startHub } from '../support/hub/hub.ts'
import { tempFolder } from '../support/temp.ts'

const hub = await startHub()
const ask = asking(hub.url)
const { port } = new URL(hub.url)

/** With headers that fetch keeps to itself. */
async function raw(path: string, headers: Readonly<Record<string, string>>, method = 'GET', body = '', to = port) {
  const sending = request({ host: '127.0.0.1', port: to, path, method, headers, agent: false })
  sending.end(body)
  const [response] = await once(sending, 'response')
  let text = ''
  for await (const chunk of response) text += chunk
  return { status: response.statusCode as number, headers: response.headers as Record<string, string>, text }
}

const JSON_TYPE = { 'content-type': 'application/json' }
const EVENTS = '/v1/topics/t/events'

describe('errors', () => {
  it('are problems with the code of the table', async () => {
    const { status, headers, body } = await ask('GET', '/v1/topics/none')
    expect(status).toBe(404)
    expect(headers.get('content-type')).toBe('application/problem+json')
    const detail = 'there is no topic none: nothing was published to it'
    expect(body).toEqual({
      type: 'urn:reprise:error:not_found',
      title: ERRORS.not_found.when,
      status: 404,
      detail,
      code: 'not_found',
      message: detail,
      retryable: false,
    })
  })

  it('tell unknown routes and wrong methods', async () => {
    expect(await ask('GET', '/v1/topic')).toMatchObject({ status: 404, body: { code: 'not_found' } })
    expect(await ask('GET', '/nothing')).toMatchObject({ status: 404, body: { code: 'not_found' } })
    const wrong = await ask('PATCH', EVENTS)
    expect(wrong).toMatchObject({ status: 405, body: { code: 'bad_request' } })
    expect(wrong.headers.get('allow')).toBe('POST, GET, HEAD, OPTIONS')
    expect((await ask('POST', '/healthz')).headers.get('allow')).toBe('GET, HEAD')
    const options = await ask('OPTIONS', '/v1/topics/t')
    expect([options.status, options.headers.get('allow')]).toEqual([204, 'GET, PUT, DELETE, HEAD, OPTIONS'])
    expect((await ask('GET', '/v1/topics/%zz')).status).toBe(400)
  })
})

describe('health', () => {
  it('is alive and ready', async () => {
    expect(await ask('GET', '/healthz')).toMatchObject({ status: 200, body: { alive: true } })
    expect(await ask('GET', '/readyz')).toMatchObject({
      status: 200,
      body: { ready: true, lastOkAt: expect.any(Number) },
    })
  })

  it('says why a hub could not start, and its calls are unavailable', async () => {
    const store = `${await tempFolder()}/data`
    await startHub({ store })
    const second = await serve(createHub({ store, logLevel: 'silent' }))
    await second.hub.ready.catch(() => {})
    const ready = await asking(second.url)('GET', '/readyz')
    expect(ready).toMatchObject({
      status: 503,
      body: { ready: false, reason: expect.stringContaining('could not start') },
    })
    const publish = await asking(second.url)('POST', EVENTS, { data: 1 })
    expect(publish).toMatchObject({ status: 503, body: { code: 'unavailable', retryable: true } })
    expect(publish.headers.get('retry-after')).toBe('1')
    expect((await asking(second.url)('GET', '/healthz')).status).toBe(200)
  })

  it('is not ready while it drains, and nothing new is accepted', async () => {
    const { hub: draining, url } = await serve(createHub({ store: `${await tempFolder()}/data`, logLevel: 'silent' }))
    await draining.ready
    await draining.close()
    expect(await asking(url)('GET', '/readyz')).toMatchObject({ status: 503, body: { reason: 'the hub is draining' } })
    const publish = await asking(url)('POST', EVENTS, { data: 1 })
    expect(publish).toMatchObject({ status: 503, body: { code: 'unavailable', retryAfterMs: 1_000 } })
    expect(publish.headers.get('retry-after')).toBe('1')
    // A proxy that keeps connections asks another hub next; what asks for a stream comes back instead of giving up.
    const keeping = { connection: 'keep-alive' }
    const port = new URL(url).port
    expect((await raw(EVENTS, keeping, 'GET', '', port)).headers.connection).toBe('close')
    const streaming = raw('/v1/topics/t/stream', { ...keeping, accept: 'text/event-stream' }, 'GET', '', port)
    await expect(streaming).rejects.toThrow('hang up')
  })
})

describe('pages of other origins', () => {
  it('do nothing', async () => {
    const origin = 'https://evil.example'
    for (const foreign of [origin, 'null', 'http://localhost.evil.example', 'http://127.0.0.1.evil.example']) {
      const answer = await raw(EVENTS, { ...JSON_TYPE, origin: foreign }, 'POST', '{"data":1}')
      expect(answer.status, foreign).toBe(403)
      expect(answer.headers['access-control-allow-origin']).toBeUndefined()
    }
    const preflight = await raw(EVENTS, { origin, 'access-control-request-method': 'POST' }, 'OPTIONS')
    expect(preflight.status).toBe(403)
    expect((await ask('GET', '/v1/topics/t')).status).toBe(404)
  })

  it('of this machine may, as the hub is on it too', async () => {
    const origin = 'http://localhost:5173'
    const preflight = await raw(EVENTS, { origin, 'access-control-request-method': 'POST' }, 'OPTIONS')
    expect(preflight.status).toBe(204)
    expect(preflight.headers['access-control-allow-origin']).toBe(origin)
    expect(preflight.headers['access-control-allow-headers']).toContain('idempotency-key')
    const answer = await raw(EVENTS, { ...JSON_TYPE, origin }, 'POST', '{"data":1}')
    expect([answer.status, answer.headers['access-control-allow-origin'], answer.headers.vary]).toEqual([
      201,
      origin,
      'Origin',
    ])
  })

  it('may where they are named', async () => {
    const named = await startHub({ allowOrigins: ['https://app.example.com'] })
    const to = new URL(named.url).port
    const headers = (origin: string) => ({ ...JSON_TYPE, origin })
    expect((await raw(EVENTS, headers('https://app.example.com'), 'POST', '{"data":1}', to)).status).toBe(201)
    expect((await raw(EVENTS, headers('http://localhost:5173'), 'POST', '{"data":1}', to)).status).toBe(403)
    expect((await raw(EVENTS, { ...JSON_TYPE, host: 'app.example.com' }, 'POST', '{"data":1}', to)).status).toBe(201)
  })

  it('whose name was pointed at this machine do nothing (DNS rebinding)', async () => {
    const host = `evil.example:${port}`
    for (const headers of [{ host }, { host, origin: `http://${host}` }]) {
      expect((await raw('/v1/topics', headers)).status).toBe(403)
      expect((await raw(EVENTS, { ...headers, ...JSON_TYPE }, 'POST', '{"data":1}')).status).toBe(403)
      const socketIo = await raw('/socket.io/?EIO=4&transport=polling', headers)
      expect(socketIo.status).toBe(403)
    }
    for (const good of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`, 'hub.localhost']) {
      expect((await raw('/v1/topics', { host: good })).status, good).toBe(200)
    }
  })
})

describe('pages of the hub', () => {
  it('are under a strict policy', async () => {
    const { status, headers, text } = await raw('/', { host: `localhost:${port}` })
    expect([status, headers['content-type']]).toEqual([200, 'text/html; charset=utf-8'])
    expect(text).toContain('Reprise')
    const policy = headers['content-security-policy'] ?? ''
    expect(policy).toContain("default-src 'self'")
    expect(policy).toContain(`ws://localhost:${port}`)
    expect(policy).toContain("frame-ancestors 'none'")
    expect(policy).not.toContain('unsafe')
    expect(headers['strict-transport-security']).toBeUndefined()
    const odd = await raw('/', { host: "x; script-src 'unsafe-inline'" }).catch(() => undefined)
    expect(odd?.headers['content-security-policy'] ?? '').not.toContain('unsafe')
  })

  const dist = (path: string) => existsSync(fileURLToPath(new URL(`../../dist/${path}`, import.meta.url)))

  it.skipIf(!dist('console/demo.html'))('are the demo and its files, which may be kept for ever', async () => {
    const demo = await ask<string>('GET', '/demo')
    expect([demo.status, demo.headers.get('cache-control')]).toEqual([200, 'no-cache'])
    const [, asset] = /src="\.(\/assets\/[^"]+)"/.exec(demo.body) ?? []
    const script = await ask('GET', asset ?? '/assets/none')
    expect(script.status).toBe(200)
    expect(script.headers.get('content-type')).toContain('javascript')
    expect(script.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
    const slash = await ask('GET', '/demo/')
    expect([slash.status, slash.headers.get('location')]).toEqual([308, '../demo'])
  })

  it.skipIf(!dist('sdk/reprise-client.global.js'))('are the SDK too, for pages of any origin', async () => {
    for (const name of ['reprise-client.global.js', 'reprise-client.light.global.js', 'reprise-client.mjs']) {
      const { status, headers } = await ask('GET', `/sdk/${name}`)
      expect([status, headers.get('access-control-allow-origin')]).toEqual([200, '*'])
      expect(headers.get('content-type')).toContain('javascript')
    }
  })

  it('are nothing else', async () => {
    for (const path of [
      '/assets/../demo.html',
      '/assets/%2e%2e/%2e%2e/package.json',
      '/assets/',
      '/sdk/..%2f..%2fpackage.json',
      '/demo.html',
    ]) {
      const { status } = await raw(path, { host: `localhost:${port}` })
      expect([400, 403, 404], path).toContain(status)
    }
  })
})

describe('a hub within somebody’s program', () => {
  it('serves under a prefix', async () => {
    const app = express()
    const inner = createHub({ store: `${await tempFolder()}/data`, logLevel: 'silent' })
    app.use('/hub', inner.handler)
    app.use((_request, response) => {
      response.status(418).send('mine')
    })
    const mounted = asking(await listen(app, inner))
    expect(await mounted('POST', '/hub/v1/topics/t/events', { data: 1 })).toMatchObject({ status: 201 })
    expect((await mounted('GET', '/hub/v1/topics/t/events')).body).toMatchObject({ last: 1 })
    expect((await mounted('GET', '/hub/readyz')).status).toBe(200)
    expect((await mounted('GET', '/hub/')).status).toBe(200)
    const bare = await mounted('GET', '/hub')
    expect([bare.status, bare.headers.get('location')]).toEqual([308, '/hub/'])
    expect((await mounted('GET', '/hub/v1/none')).status).toBe(404)
    expect(await mounted('GET', '/hub/none')).toMatchObject({ status: 418 })
    expect(await mounted('GET', '/v1/topics')).toMatchObject({ status: 418 })
  })

  it('leaves the program its own routes, and its requests as they were', async () => {
    const app = express()
    const inner = createHub({ store: `${await tempFolder()}/data`, logLevel: 'silent' })
    app.use(express.json())
    app.use(inner.handler)
    app.get('/', (_request, response) => {
      response.send('front')
    })
    app.get('/orders', (request, response) => {
      response.json({ query: request.query, own: request.app === app })
    })
    const root = asking(await listen(app, inner))
    expect(await root('POST', '/v1/topics/t/events', { data: 1 })).toMatchObject({ status: 201 })
    expect((await root('GET', '/')).body).toBe('front')
    expect((await root('GET', '/orders?a=1')).body).toEqual({ query: { a: '1' }, own: true })
    const untouched = await root('GET', '/orders')
    expect(untouched.headers.get('content-security-policy')).toBeNull()
    expect((await root('GET', '/none')).status).toBe(404)
  })
})

async function serve(inner: ReturnType<typeof createHub>) {
  return { hub: inner, url: await listen(inner.handler, inner) }
}

async function listen(
  handler: Parameters<typeof createServer>[1],
  inner: ReturnType<typeof createHub>,
): Promise<string> {
  const server = createServer(handler as never)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(async () => {
    server.close()
    server.closeAllConnections()
    await inner.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe('a route that takes no body', () => {
  it('refuses one that says something, and does nothing', async () => {
    await ask('POST', '/v1/queues/kept/jobs', { data: 1 })
    for (const [method, path] of [
      ['POST', '/v1/queues/kept/purge'],
      ['POST', '/v1/queues/kept/pause'],
      ['DELETE', '/v1/topics/kept'],
    ] as const) {
      const refused = { status: 426, body: { code: 'unsupported', message: expect.stringContaining('"ids"') } }
      expect(await ask(method, path, { ids: ['a'] })).toMatchObject(refused)
    }
    expect((await ask('POST', '/v1/queues/kept/purge', ['a'])).status).toBe(400)
    expect((await ask('GET', '/v1/queues/kept')).body).toMatchObject({ counts: { ready: 1 }, paused: false })
    expect((await ask('POST', '/v1/queues/kept/purge', {})).body).toMatchObject({ removed: 1 })
  })
})

describe('a request that offers HTTP/2', () => {
  const offer = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABk' }

  it('is answered like any other, with its body, and again on the same connection', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    atEnd(() => agent.destroy())
    const ask = async (path: string, method = 'GET', body = '') => {
      const sending = request({ host: '127.0.0.1', port, path, method, agent, headers: { ...offer, ...JSON_TYPE } })
      sending.end(body)
      const [response] = await once(sending, 'response')
      let text = ''
      for await (const chunk of response) text += chunk
      return [response.statusCode, text]
    }
    const warnings: string[] = []
    const warned = ({ message }: Error) => void warnings.push(message)
    process.on('warning', warned)
    for (let i = 1; i <= 15; i++) {
      expect(await ask('/v1/topics/h2c/events', 'POST', `{"data":"${'x'.repeat(100_000)}"}`)).toEqual([
        201,
        expect.stringContaining(`"offsets":[${i}]`),
      ])
    }
    expect(await ask('/healthz')).toEqual([200, expect.any(String)])
    expect(await ask('/nothing')).toEqual([404, expect.stringContaining('not_found')])
    process.off('warning', warned)
    // A listener that each of them left on the connection would be told of as a leak.
    expect(warnings).toEqual([])
  })

  it('waits for the answers before it on its connection, and those after it come in order', async () => {
    const head = (path: string, headers: Readonly<Record<string, string>> = {}) =>
      `GET ${path} HTTP/1.1\r\n${Object.entries({ host: 'localhost', ...headers })
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('')}\r\n`
    const socket = connect(Number(port), '127.0.0.1').setEncoding('utf8')
    atEnd(() => {
      socket.destroy()
    })
    let text = ''
    socket.on('data', (part: string) => {
      text += part
    })
    const until = async (what: string) => {
      while (!text.includes(what)) await once(socket, 'data')
    }
    socket.write(head('/v1/topics/before/events?waitMs=20000') + head('/nothing/offered', offer))
    await ask('POST', '/v1/topics/before/events', { data: 'awaited' })
    await until('awaited')
    socket.write(head('/nothing/after'))
    await until('/nothing/after')
    const told = new Set(text.match(/awaited|\/nothing\/\w+/g))
    expect([...told]).toEqual(['awaited', '/nothing/offered', '/nothing/after'])
  })
})
