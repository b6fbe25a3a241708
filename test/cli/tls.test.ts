import { once } from 'node:events'
import { watch } from 'node:fs'
import { readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { createServer, type RequestOptions, request } from 'node:https'
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer } from 'node:net'
import { dirname, join } from 'node:path'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { io, type Socket } from 'socket.io-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { contextOf, followFiles } from '../../server/certificates.ts'
import { startServer } from '../../server/index.ts'
import { readTls } from '../../server/options/tls.ts'
import type { Reply } from '../../shared/protocol.ts'
import { atEnd } from '../support/ending.ts'
import { startHub } from '../support/hub/hub.ts'
import { runCli } from '../support/hub/process.ts'
import { certificateFiles, newAuthority } from '../support/network/certificates.ts'
import { open } from '../support/sdk/handles.ts'
import { tempFolder } from '../support/temp.ts'
import { until } from '../support/until.ts'

const authority = newAuthority()
const stranger = newAuthority('stranger')
const ca = authority.cert

type Secured = Pick<RequestOptions, 'ca' | 'cert' | 'key' | 'minVersion' | 'maxVersion'>

/** One request on a connection of its own. */
async function ask(url: string, path: string, secured: Secured, body?: unknown) {
  const headers = { 'content-type': 'application/json' }
  const sent = request(url + path, { ...secured, agent: false, method: body === undefined ? 'GET' : 'POST', headers })
  sent.end(body === undefined ? undefined : JSON.stringify(body))
  const [response] = (await once(sent, 'response')) as [import('node:http').IncomingMessage]
  let text = ''
  for await (const part of response.setEncoding('utf8')) {
    text += part
    // A stream does not end by itself.
    if (text.includes('event: subscribed')) break
  }
  return { status: response.statusCode, text }
}

async function codeOf(call: Promise<unknown>): Promise<string> {
  return await call.then(
    () => 'was let in',
    (error) => String(error.code ?? error.message),
  )
}

/** The serial number of the certificate that the hub shows. */
async function shown(url: string, trusted: readonly string[] = [ca, stranger.cert]): Promise<string> {
  const { port } = new URL(url)
  const socket: TLSSocket = connectTls({ port: Number(port), host: '127.0.0.1', ca: [...trusted] })
  await once(socket, 'secureConnect')
  const { serialNumber } = socket.getPeerCertificate()
  socket.destroy()
  return serialNumber
}

describe('a hub with a certificate', () => {
  let hub: Awaited<ReturnType<typeof startHub>>

  beforeAll(async () => {
    const files = await certificateFiles(authority)
    hub = await startHub({ tls: { cert: files.cert, key: `file:${files.key}` }, limits: { connectTimeoutMs: 700 } })
  })
  afterAll(() => hub.close())

  it('says https, and serves HTTP, streams, WebSocket and long polling', async () => {
    expect(hub.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/)
    expect(await ask(hub.url, '/v1/topics/t/events', { ca }, { data: 1 })).toMatchObject({ status: 201 })
    expect((await ask(hub.url, '/v1/topics/t/stream', { ca })).text).toContain('event: subscribed')
    for (const transport of ['websocket', 'polling'] as const) {
      const socket: Socket = io(`${hub.url}/topics/t`, { transports: [transport], ca, forceNew: true })
      atEnd(() => void socket.disconnect())
      const reply = await new Promise<Reply<{ offsets: number[] }>>((resolve, reject) => {
        socket.on('connect_error', reject)
        socket.emit('publish', [{ data: transport }], resolve)
      })
      expect(reply).toMatchObject({ ok: true, value: { offsets: [transport === 'websocket' ? 2 : 3] } })
      socket.disconnect()
    }
  })

  it('is not trusted without its authority; the command line takes that from NODE_EXTRA_CA_CERTS', async () => {
    expect(await codeOf(ask(hub.url, '/healthz', {}))).toMatch(/UNABLE_TO_VERIFY|SELF_SIGNED/)
    const file = join(await tempFolder(), 'ca.pem')
    await writeFile(file, ca)
    const args = ['topics', '--url', hub.url, '--json']
    expect(await runCli(args, { env: { NODE_EXTRA_CA_CERTS: file } })).toMatchObject({ code: 0 })
  })

  it('speaks TLS 1.2 and 1.3, and nothing older or plain', async () => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      expect(await ask(hub.url, '/healthz', { ca, minVersion: version, maxVersion: version })).toMatchObject({
        status: 200,
      })
    }
    const old = ask(hub.url, '/healthz', { ca, minVersion: 'TLSv1', maxVersion: 'TLSv1.1' })
    expect(await codeOf(old)).not.toBe('was let in')
    await expect(fetch(hub.url.replace('https', 'http'))).rejects.toThrow()
    // A request that offers HTTP/2 in plain text is served as any other.
    const offered = connectTls({ port: Number(new URL(hub.url).port), host: '127.0.0.1', ca })
    offered.write(
      'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n',
    )
    expect(String((await once(offered, 'data'))[0])).toContain('200 OK')
    offered.destroy()
  })

  it('ends handshakes that do not end themselves', async () => {
    const silent = connectTcp(Number(new URL(hub.url).port), '127.0.0.1')
    silent.resume()
    // The first bytes of a handshake, and then nothing.
    silent.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]))
    await once(silent, 'close')
  })
})

it('handshakes count as connections of their address', async () => {
  const files = await certificateFiles(authority)
  const { url } = await startHub({ tls: files, limits: { connectionsPerAddress: 2 } })
  const port = Number(new URL(url).port)
  const held = [connectTcp(port, '127.0.0.1'), connectTcp(port, '127.0.0.1')]
  await Promise.all(held.map((socket) => once(socket, 'connect')))
  const third = connectTcp(port, '127.0.0.1').on('error', () => {})
  await once(third.resume(), 'close')
  for (const socket of held) socket.destroy()
  const { cert, key } = authority.issue('client')
  await until(async () => (await codeOf(ask(url, '/healthz', { ca, cert, key }))) === 'was let in', { what: 'room' })
})

it('with an authority for clients it lets in only those who have a certificate of it', async () => {
  const files = await certificateFiles(authority)
  const { url } = await startHub({ tls: files })
  const own = authority.issue('client')
  expect(await ask(url, '/healthz', { ca, ...own })).toMatchObject({ status: 200 })
  const other = stranger.issue('client')
  for (const secured of [{ ca }, { ca, cert: other.cert, key: other.key }]) {
    expect(await codeOf(ask(url, '/healthz', secured))).not.toBe('was let in')
    const socket = io(`${url}/topics/t`, { transports: ['websocket'], forceNew: true, reconnection: false, ...secured })
    atEnd(() => void socket.disconnect())
    await new Promise((resolve) => socket.once('connect_error', resolve))
    socket.disconnect()
  }
  const socket = io(`${url}/topics/t`, { transports: ['websocket'], forceNew: true, ca, ...own })
  atEnd(() => void socket.disconnect())
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()))
  for (const transports of [['websocket'], ['polling']] as const) {
    const topic = open(url, { transports, socketOptions: { ca, ...own } }).topic('t')
    expect(await topic.publish(1)).toMatchObject({ offset: expect.any(Number) })
  }
})

describe('files that change', () => {
  async function replace(files: { cert: string; key: string }, next: { cert: string; key: string }): Promise<void> {
    for (const part of ['key', 'cert'] as const) {
      await writeFile(`${files[part]}.next`, next[part])
      await rename(`${files[part]}.next`, files[part])
    }
  }

  it('are taken by a hub that runs, and who is connected stays so', async () => {
    const { cert, key } = await certificateFiles(authority)
    const { url } = await startHub({ tls: { cert, key } })
    const first = await shown(url)
    const kept = connectTls({ port: Number(new URL(url).port), host: '127.0.0.1', ca })
    await once(kept, 'secureConnect')
    await replace({ cert, key }, stranger.issue('server'))
    await until(async () => (await shown(url)) !== first, { what: 'the new certificate' })
    kept.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n')
    expect(String((await once(kept, 'data'))[0])).toContain('200 OK')
    kept.destroy()
  })

  it.runIf(process.platform === 'linux')('are not followed by a hub whose port is taken', async () => {
    const { cert, key } = await certificateFiles(authority)
    const other = createTcpServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    const { ino } = await stat(dirname(cert))
    const watched = async () => {
      const descriptors = await readdir('/proc/self/fdinfo')
      const told = await Promise.allSettled(descriptors.map((fd) => readFile(`/proc/self/fdinfo/${fd}`, 'utf8')))
      return told.some((one) => 'value' in one && one.value.includes(`ino:${ino.toString(16)} `))
    }
    const watcher = watch(dirname(cert))
    expect(await watched()).toBe(true)
    watcher.close()
    await expect(startServer({ port, tls: { cert, key }, logLevel: 'silent' })).rejects.toThrow('taken')
    other.close()
    expect(await watched()).toBe(false)
  })

  it('that cannot be used are told once, and the old ones stay until they can', async () => {
    const files = await certificateFiles(authority)
    const read = () => readTls({ cert: `file:${files.cert}`, key: `file:${files.key}` })
    const server = createServer(contextOf(read())).listen(0, '127.0.0.1')
    atEnd(() => void server.close())
    await once(server, 'listening')
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
    const warnings: string[] = []
    atEnd(followFiles(server, read(), read, (message, cause) => void warnings.push(`${message}: ${cause}`)))
    const first = await shown(url)
    await writeFile(files.cert, 'half of a cert')
    await until(() => warnings.length > 0, { what: 'a warning' })
    expect(warnings[0]).toContain('holds no PEM')
    expect(await shown(url)).toBe(first)
    await replace(files, authority.issue('server'))
    await until(async () => (await shown(url)) !== first, { what: 'the new certificate' })
    // Told again only where it is something else.
    expect(new Set(warnings).size).toBe(warnings.length)
  })
})

describe('a certificate that cannot be used', () => {
  it.each<[string, (files: { cert: string; key: string; ca: string }) => object, string]>([
    ['is missing', ({ cert }) => ({ cert }), 'tls.key: is missing: TLS needs a certificate and its key'],
    ['is not there', ({ key }) => ({ cert: 'none.pem', key }), 'none.pem: there is no such file'],
    ['is none', ({ key }) => ({ cert: 'env:PATH', key }), 'tls.cert: env:PATH holds no PEM'],
    ['has another key', ({ cert }) => ({ cert, key: stranger.key }), 'tls: the certificate and its key cannot be used'],
    ['is an unknown option', (files) => ({ ...files, passphrase: 'x' }), 'tls: unknown option passphrase'],
  ])('%s: the hub does not start', async (_, tls, why) => {
    const files = await certificateFiles(authority)
    await expect(startHub({ tls: tls(files) as never })).rejects.toThrow(why)
  })
})
