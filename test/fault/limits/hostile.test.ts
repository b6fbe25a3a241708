/**
 * Input that somebody made to harm, down to single bytes: each is refused with the right answer, the hub serves on beside it,
 * and nothing of it stays. Random bytes are fuzz.test.ts's work.
 */

import { once } from 'node:events'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { asking } from '../../support/clients/ask.ts'
import { joinQueues } from '../../support/clients/jobs.ts'
import { connectRaw } from '../../support/clients/rawSocket.ts'
import { join, joinNamespace } from '../../support/clients/wire.ts'
import { type Canary, startCanary } from '../../support/fuzz/canary.ts'
import { type HubProcess, spawnHub } from '../../support/hub/process.ts'
import { memoryMb } from '../../support/memory.ts'
import { soak } from '../../support/tools.ts'
import { until, within } from '../../support/until.ts'

const MAX_GROWTH_MB = 50
const POLLING = '/socket.io/?EIO=4&transport=polling'

let hub: HubProcess
let before = 0
let canary: Canary

beforeAll(async () => {
  // Smaller than by default, so that what is never finished ends soon.
  hub = await spawnHub({ env: { REPRISE_LIMITS_CONNECT_TIMEOUT_MS: '2s' } })
  await exchange('GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  before = memoryMb(hub.pid)
  canary = await startCanary(hub.url)
})

afterAll(async () => {
  const { sent, got, p99Ms } = await canary.stop()
  expect(got).toBe(sent)
  if (soak) expect(p99Ms).toBeLessThan(100)
  expect(hub.process.exitCode).toBe(null)
  expect(hub.stderr()).not.toMatch(/"level":"(error|fatal)"|^\s+at /m)
  await until(() => memoryMb(hub.pid) < before + MAX_GROWTH_MB, {
    what: 'its memory',
    deadlineMs: 20_000,
    everyMs: 200,
    seen: () => ({ before, after: memoryMb(hub.pid) }),
  })
})

/** What comes back for these bytes before the connection ends, or `enough` of it has come. */
async function exchange(bytes: string | Uint8Array, enough?: RegExp): Promise<string> {
  const socket = connect(hub.port, '127.0.0.1')
  let seen = ''
  socket.on('error', () => {})
  const done = new Promise<void>((resolve) => {
    socket.once('close', () => resolve())
    socket.on('data', (data) => {
      seen += data.toString('latin1')
      if (enough?.test(seen)) resolve()
    })
  })
  await once(socket, 'connect')
  socket.write(bytes)
  await within(done, 10_000, `the end of ${String(bytes).slice(0, 80)}; seen: ${seen.slice(0, 200)}`)
  socket.destroy()
  return seen
}

const UPGRADE = [
  'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1',
  'Host: localhost',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
]
const upgrade = (...more: string[]) => `${[...UPGRADE, ...more].join('\r\n')}\r\n\r\n`
const request = (line: string, ...more: string[]) =>
  `${[`${line} HTTP/1.1`, 'Host: localhost', ...more].join('\r\n')}\r\n\r\n`

/** A frame of a client: masked with zeroes, so that its bytes are what they are. */
function frame(first: number, payload: string | Uint8Array = '', masked = true): Buffer {
  const body = Buffer.from(payload)
  const bit = masked ? 0x80 : 0
  const head = body.length < 126 ? [first, bit | body.length] : [first, bit | 126, body.length >> 8, body.length & 0xff]
  return Buffer.concat([Buffer.from(head), Buffer.from(masked ? [0, 0, 0, 0] : []), body])
}

/** The code of the close frame that frames of a fresh WebSocket are answered with; 0 where there was none. */
async function closeCode(...frames: Buffer[]): Promise<number> {
  const seen = Buffer.from(await exchange(Buffer.concat([Buffer.from(upgrade()), ...frames])), 'latin1')
  const body = seen.subarray(seen.indexOf('\r\n\r\n') + 4)
  const at = body.lastIndexOf(Buffer.from([0x88]))
  return at < 0 || body.length < at + 4 ? 0 : body.readUInt16BE(at + 2)
}

describe('requests', () => {
  const many = (count: number, make: (i: number) => string) => Array.from({ length: count }, (_, i) => make(i))
  const gzip = gzipSync(Buffer.alloc(5_000_000, ' '))

  it.each<[what: string, bytes: () => string | Uint8Array, answer: RegExp]>([
    ['a head of 64 KB', () => request('GET /v1/topics', `X-Long: ${'x'.repeat(65_536)}`), /^HTTP\/1\.1 431 /],
    [
      '2,000 headers',
      () => request('GET /v1/topics', ...many(2_000, (i) => `X-H${i}: ${i}`)),
      /^HTTP\/1\.1 (431|200) /,
    ],
    [
      'very many cookies',
      () => request('GET /v1/topics', ...many(3_000, (i) => `Cookie: c${i}=1`)),
      /^HTTP\/1\.1 431 /,
    ],
    [
      'two lengths',
      () => request('POST /v1/topics/t/events', 'Content-Length: 3', 'Content-Length: 5'),
      /^HTTP\/1\.1 400 /,
    ],
    [
      'a length beside chunks',
      () => request('POST /v1/topics/t/events', 'Content-Length: 3', 'Transfer-Encoding: chunked'),
      /^HTTP\/1\.1 400 /,
    ],
    ['a bare line feed in a header', () => 'GET /v1/topics HTTP/1.1\nHost: a\nX: b\n\n', /^HTTP\/1\.1 4\d\d /],
    ['a name that leads out', () => request('GET /assets/../../../etc/passwd'), /^HTTP\/1\.1 40[034] /],
    [
      'a name with CRLF',
      () => request('GET /v1/topics/a%0d%0aSet-Cookie:%20x=1'),
      /^HTTP\/1\.1 400 (?!.*\r\nset-cookie)/is,
    ],
    ['a name with NUL', () => request('GET /v1/topics/a%00b'), /^HTTP\/1\.1 400 /],
    ['names of prototypes', () => request('GET /v1/topics?__proto__[limit]=1&constructor=1'), /^HTTP\/1\.1 400 /],
    [
      'a body that is compressed',
      () =>
        Buffer.concat([
          Buffer.from(
            request(
              'POST /v1/topics/t/events',
              'Content-Type: application/json',
              'Content-Encoding: gzip',
              `Content-Length: ${gzip.length}`,
            ),
          ),
          gzip,
        ]),
      /^HTTP\/1\.1 415 /,
    ],
    [
      'a body that says to be huge',
      () => request('POST /v1/topics/t/events', 'Content-Type: application/json', 'Content-Length: 99999999999'),
      /^HTTP\/1\.1 413 /,
    ],
    ['Engine.IO of another version', () => request('GET /socket.io/?EIO=3&transport=polling'), /^HTTP\/1\.1 400 /],
    ['one that never was', () => request('GET /socket.io/?EIO=999&transport=polling'), /^HTTP\/1\.1 400 /],
    ['a transport that is none', () => request('GET /socket.io/?EIO=4&transport=constructor'), /^HTTP\/1\.1 400 /],
    ['a session that is none', () => request(`GET ${POLLING}&sid=__proto__`), /^HTTP\/1\.1 400 /],
    ['a post without a session', () => request(`POST ${POLLING}`, 'Content-Length: 0'), /^HTTP\/1\.1 400 /],
    [
      'an upgrade to what is none',
      () => request('GET /nowhere', 'Connection: Upgrade', 'Upgrade: websocket'),
      /^(HTTP\/1\.1 [45]\d\d |$)/,
    ],
    ['no HTTP at all', () => Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, 13, 10, 13, 10]), /^HTTP\/1\.1 400 /],
  ])('with %s', async (_what, bytes, answer) => {
    expect(await exchange(bytes(), /^HTTP\/1\.1 \d+ .*\r\n\r\n/s)).toMatch(answer)
  })

  it('that offer compression of WebSocket, or names that are long and nearly right, get none', async () => {
    const slow = `permessage-deflate;${' '.repeat(6_000)}x`
    for (const offer of ['permessage-deflate; client_max_window_bits', slow, 'permessage-deflate; a="\\']) {
      const answer = await exchange(upgrade(`Sec-WebSocket-Extensions: ${offer}`), /\r\n\r\n/)
      expect(answer).toMatch(/^HTTP\/1\.1 (101|400) /)
      expect(answer).not.toMatch(/sec-websocket-extensions/i)
    }
    const protocols = await exchange(upgrade(`Sec-WebSocket-Protocol: ${'a,'.repeat(3_000)}`), /\r\n\r\n/)
    expect(protocols).toMatch(/^HTTP\/1\.1 (101|400) /)
  })

  it('that poll beside each other, post after an upgrade, or upgrade twice harm their own session alone', async () => {
    const open = async () => {
      const text = await (await fetch(hub.url + POLLING)).text()
      return `${hub.url}${POLLING}&sid=${JSON.parse(text.slice(1)).sid}`
    }
    const ask = async (url: string, init: RequestInit = {}) =>
      await fetch(url, { ...init, signal: AbortSignal.timeout(1_000) }).then(
        ({ status }) => status,
        () => 0,
      )
    const first = await open()
    expect(await Promise.all([ask(first), ask(first), ask(first)])).toContain(400)
    const binary = { 'content-type': 'application/octet-stream' }
    expect(await ask(await open(), { method: 'POST', body: '40/topics/t,{}', headers: binary })).toBe(400)
    expect([0, 413]).toContain(await ask(await open(), { method: 'POST', body: 'x'.repeat(3_000_000) }))
    // Left in the middle of its body.
    const { pathname, search } = new URL(await open())
    const begun = connect(hub.port, '127.0.0.1')
    begun.write(`${request(`POST ${pathname}${search}`, 'Content-Length: 1000')}40/topics/t,{`, () => begun.destroy())
    await once(begun, 'close')
  })
})

describe('frames of WebSocket', () => {
  it.each<[what: string, frames: () => Buffer[], codes: readonly number[]]>([
    ['that are not masked', () => [frame(0x81, '40', false)], [1002]],
    ['with a bit that means nothing', () => [frame(0xf1, '40')], [1002]],
    ['that say to be compressed', () => [frame(0xc1, '40')], [1002]],
    ['of a kind that is none', () => [frame(0x83, '40')], [1002]],
    ['of a ping that is too long', () => [frame(0x89, 'x'.repeat(200))], [1002]],
    ['of a ping in parts', () => [frame(0x09, 'x')], [1002]],
    ['that go on with nothing', () => [frame(0x80, 'x')], [1002]],
    ['of text that is not UTF-8', () => [frame(0x81, Buffer.from([0x34, 0xc3, 0x28]))], [1007]],
    ['that close with half a code', () => [frame(0x88, 'x')], [1002]],
    ['that close with a code that is none', () => [frame(0x88, Buffer.from([0x03, 0xed]))], [1002]],
    ['that close with words that are not UTF-8', () => [frame(0x88, Buffer.from([0x03, 0xe8, 0xc3, 0x28]))], [1007]],
    [
      'that say to be of 2^63 bytes',
      () => [Buffer.from([0x81, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0])],
      [1009],
    ],
    ['of nothing, forever', () => [frame(0x01, ''), ...Array.from({ length: 20_000 }, () => frame(0x00, ''))], [1008]],
    [
      'of a byte each, with pings between, forever',
      () => [
        frame(0x01, '4'),
        ...Array.from({ length: 20_000 }, (_, i) => (i % 20 === 0 ? frame(0x89) : frame(0x00, 'x'))),
      ],
      [1008, 0],
    ],
  ])('%s end that connection', async (_what, frames, codes) => {
    expect(codes).toContain(await closeCode(...frames()))
  })

  it.each([
    '42["error"]',
    '42["connect"]',
    '42["disconnect"]',
    '42["newListener"]',
    '42[{}]',
    '42[null]',
    '4',
    '9',
    '40/topics/t,{',
    '451000000-/topics/t,["publish",{"_placeholder":true,"num":0}]',
    '450-/topics/t,["publish",{"_placeholder":true,"num":0}]',
    '451-/topics/t,["publish",{"_placeholder":true,"num":"toString"}]',
    '42/topics/t,9007199254740993["read",{}]',
    '43/topics/t,99999[]',
    '452-/topics/t,["publish",[{"data":{"_placeholder":true,"num":0}}]]',
  ])('of %s harm nobody else', async (packet) => {
    // With attachments that nobody asked for.
    const parts = [frame(0x81, '4'), frame(0x82, ''), frame(0x82, 'abc'), frame(0x82, 'abc')]
    const frames = [frame(0x81, '40/topics/t,{}'), frame(0x81, packet), ...parts]
    await exchange(Buffer.concat([Buffer.from(upgrade()), ...frames, frame(0x88, Buffer.from([0x03, 0xe8]))]))
  })
})

describe('calls', () => {
  const refused = (code: string) => ({ ok: false, error: { code, retryable: false } })

  it('with what only the hub may say, and values that are none, are refused', async () => {
    const wire = await join(hub.url, 'calls', { from: 'none' })
    const queues = await joinNamespace(hub.url, '/queues', { client: 'worker' })
    for (const forged of ['offset', 'at', 'from', 'subject', 'epoch']) {
      expect(await wire.call('publish', [{ data: 1, [forged]: 1 }]), forged).toMatchObject(refused('unsupported'))
    }
    for (const forged of ['attempt', 'maxAttempts', 'sentAt', 'subject', 'lease', 'replyBy']) {
      expect(await queues.call('send', 'q', [{ data: 1, [forged]: 1 }]), forged).toMatchObject(refused('unsupported'))
    }
    for (const credit of [-1, 0.5, 2 ** 31, null, 'many', {}]) {
      expect(await queues.call('consume', 'q', { credit }), String(credit)).toMatchObject(refused('bad_request'))
    }
    for (const draft of [
      { delayMs: 1e20 },
      { delayMs: -1 },
      { delayMs: 'soon' },
      { ttlMs: 0 },
      { priority: 10 },
      { attempts: 0 },
      { key: 'x'.repeat(10_000) },
    ]) {
      expect(await queues.call('send', 'q', [{ data: 1, ...draft }]), JSON.stringify(draft)).toMatchObject(
        refused('bad_request'),
      )
    }
  })

  it('with names that break out of their place are refused, on every way in', async () => {
    const queues = await joinNamespace(hub.url, '/queues')
    const ask = asking(hub.url)
    const raw = await connectRaw(hub.url, '/queues', {})
    const names = [
      '',
      '../x',
      'a\u0000b',
      'a\r\nb',
      '{a}b',
      'a*',
      'a>',
      'x'.repeat(10_000),
      '🙂',
      'e\u0301',
      '_a',
      'a b',
      'a,b',
    ]
    for (const name of names) {
      expect(await queues.call('send', name, [{ data: 1 }]), name).toMatchObject(refused('bad_request'))
      expect(await raw.refusal(`/topics/${name.replaceAll(',', ';')}`, '{}'), name).toMatchObject({
        code: 'bad_request',
      })
      const path = `/v1/topics/${encodeURIComponent(name)}/events`
      expect([400, 404, 405], name).toContain((await ask('POST', path, { data: 1 })).status)
    }
    for (const name of ['constructor', 'toString', 'null']) {
      expect(await queues.call('send', name, [{ data: 1 }]), name).toMatchObject({ ok: true })
    }
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  })

  it('that settle what nobody holds, or tell of it, are cheap, and change nothing', async () => {
    const queues = await joinQueues(hub.url, { client: 'liar' })
    await queues.value('send', 'held', [{ data: 1, id: 'one' }])
    const lies = Array.from({ length: 10_000 }, (_, i) => ({
      id: i % 2 === 0 ? 'one' : `x${i}`,
      lease: `l${i}`,
      as: 'done',
    }))
    const settled = await queues.value<string[]>('settle', 'held', lies)
    expect(new Set(settled)).toEqual(new Set(['lost']))
    const tales = lies.map(({ id, lease }) => ({ id, lease, value: 1, log: 'not mine' }))
    expect(new Set(await queues.value<string[]>('progress', 'held', tales))).toEqual(new Set(['lost']))
    expect(await queues.value('job', 'held', 'one')).not.toHaveProperty('log')
    await queues.consume('held', { credit: 1 })
    await queues.jobsSeen(1)
  })

  it('with text that is half a character keep what can be kept, and break nothing', async () => {
    const raw = await connectRaw(hub.url, '/topics/halves', { from: 'none' })
    const reply = await raw.call('["publish",[{"data":"\\ud800","headers":{"h":"\\udc00"}}]]')
    expect(reply.ok || reply.error.code === 'bad_request').toBe(true)
    expect(await raw.call('["read",{}]')).toMatchObject({ ok: true })
  })
})
