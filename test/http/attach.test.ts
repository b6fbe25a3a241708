/** What a hub may be attached to, and what it says of everything else. */

import { once } from 'node:events'
import { createServer, type Server as HttpServer } from 'node:http'
import { createServer as createHttp2Server, createSecureServer } from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer } from 'node:net'
import { join as pathJoin } from 'node:path'
import express from 'express'
import { Server } from 'socket.io'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../../build/build.ts'
import { createHub, type Hub } from '../../server/index.ts'
import { join } from '../support/clients/wire.ts'
import { atEnd } from '../support/ending.ts'
import { run } from '../support/hub/process.ts'
import { tempFolder } from '../support/temp.ts'

async function listen(server: HttpServer): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A hub that no test needs the store of. */
async function openHub(): Promise<Hub> {
  const hub = createHub({ store: pathJoin(await tempFolder(), 'data'), logLevel: 'silent' })
  atEnd(() => hub.close())
  await hub.ready
  return hub
}

const attaching =
  (hub: Hub, ...args: unknown[]) =>
  () =>
    (hub.attach as (...args: unknown[]) => void)(...args)

describe('attaching a hub', () => {
  it('to an HTTP server that has a Socket.IO server already is refused, with what to do', async () => {
    const hub = await openHub()
    for (const options of [{}, { path: '/other' }, { transports: ['polling' as const] }]) {
      const http = createServer()
      const io = new Server(http, options)
      atEnd(() => io.close())
      expect(attaching(hub, http)).toThrow(/Socket\.IO server listens .* already.*hub\.attach\(io\)/)
      expect(attaching(hub, http, { path: '/elsewhere' })).toThrow(/hub\.attach\(io\)/)
    }
  })

  it('twice, and a second hub to the same server, is refused', async () => {
    const hub = await openHub()
    const http = createServer()
    hub.attach(http)
    expect(attaching(hub, http)).toThrow(/attached to this server already/)
    expect(attaching(hub, http, { path: '/other' })).toThrow(/already/)
    expect(attaching(await openHub(), http)).toThrow(/already/)
    const io = new Server()
    hub.attach(io)
    expect(attaching(hub, io)).toThrow(/attached to this server already/)
    expect(attaching(await openHub(), io)).toThrow(/another hub/)
  })

  it('to an HTTP server keeps its idle connections longer than proxies do, unless the program has said how long', async () => {
    const hub = await openHub()
    const [plain, own] = [createServer(), createServer({ keepAliveTimeout: 1_234 })]
    for (const http of [plain, own]) hub.attach(http)
    expect([plain.keepAliveTimeout, own.keepAliveTimeout]).toEqual([75_000, 1_234])
  })

  it('keeps what breaks during an upgrade from ending the process, whatever was asked for', async () => {
    const hub = await openHub()
    const http = createServer(hub.handler)
    hub.attach(http)
    const uncaught: unknown[] = []
    const note = (error: unknown) => uncaught.push(error)
    process.on('uncaughtException', note)
    atEnd(() => void process.off('uncaughtException', note))
    // As an answer does that belongs to a request before, on a connection that its client has left.
    http.on('upgrade', (_asked, socket) => socket.destroy(new Error('write EPIPE')))
    const { port } = new URL(await listen(http))
    for (const path of ['/socket.io/?EIO=4&transport=websocket', '/elsewhere', '/']) {
      const client = connectTcp(Number(port), '127.0.0.1')
      client.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`)
      await once(client.resume(), 'close')
    }
    expect(uncaught).toEqual([])
  })

  it('to what is no server is refused, with what would be one', async () => {
    const hub = await openHub()
    expect(attaching(hub, express())).toThrow(/createServer\(app\)/)
    for (const nonsense of [
      undefined,
      null,
      3000,
      'http',
      {},
      [],
      { listen: () => {} },
      createTcpServer(),
      createHttp2Server(),
      createSecureServer(),
    ]) {
      expect(attaching(hub, nonsense)).toThrow(/neither a Socket\.IO server nor an HTTP server/)
    }
    expect(attaching(hub, createServer(), { path: 'rt' })).toThrow(/path.*such as \/socket\.io/)
    expect(attaching(hub, createServer(), { pth: '/rt' })).toThrow(/unknown option pth.*path/)
    expect(attaching(hub, new Server(), { path: '/rt' })).toThrow(/has its own/)
    hub.attach(createHttpsServer())
    hub.attach(createSecureServer({ allowHTTP1: true }) as unknown as HttpServer)
    await hub.close()
    expect(attaching(hub, createServer())).toThrow(/closed/)
  })

  it('before a Socket.IO server is put on the same HTTP server leaves its requests to the hub', async () => {
    const hub = await openHub()
    const http = createServer((request, response) => hub.handler(request, response))
    hub.attach(http)
    const same = new Server(http)
    const other = new Server(http, { path: '/other' })
    atEnd(async () => {
      await Promise.all([same.close(), other.close()].map((closing) => closing.catch(() => {})))
    })
    let strays = 0
    same.on('connection', () => strays++)
    const url = await listen(http)
    for (const transport of ['polling', 'websocket'] as const) {
      const wire = await join(url, 't', { from: 'none' }, { transports: [transport] })
      await wire.value('publish', [{ data: transport }])
      const answer = await fetch(`${url}/other/?EIO=4&transport=polling`)
      expect([answer.status, (await answer.text()).slice(0, 7)]).toEqual([200, '0{"sid"'])
    }
    await join(url, 't', { from: 'none' }, { transports: ['polling', 'websocket'] })
    expect((await fetch(`${url}/v1/topics/t`)).status).toBe(200)
    expect(strays).toBe(0)
  })
})

describe('an embedded hub that cannot open its store', () => {
  it('says so in its log at once, in one line, though nobody looks at it', async () => {
    const store = pathJoin(ROOT, 'package.json', 'data')
    const program = `import { createHub } from ${JSON.stringify(pathJoin(ROOT, 'server/index.ts'))}; createHub({ store: ${JSON.stringify(store)} })`
    const { code, stderr } = await run([
      process.execPath,
      '--import',
      import.meta.resolve('tsx'),
      '--input-type=module',
      '-e',
      program,
    ])
    expect(code).toBe(0)
    const lines = stderr.trim().split('\n')
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch(/error|"level":50/)
    expect(lines[0]).toContain('package.json')
    expect(lines[0]).not.toMatch(/at .*:\d+:\d+/)
  })
})
