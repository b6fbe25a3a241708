/**
 * What the fuzzer does, on each transport again and again: one step of a lane opens what it needs, sends, and closes. All
 * that a lane sends comes of its own row of random numbers, so the same seed sends the same.
 */

import { once } from 'node:events'
import { connect } from 'node:net'
import { WebSocket } from 'ws'
import type { Random } from '../seed.ts'
import { mutated } from './mutate.ts'

/** Does one thing; rejects for what the hub must never do. */
export type Step = (url: URL, random: Random) => Promise<void>

/** How long one waits for an answer that may never come. */
const PATIENCE_MS = 400

const PACKETS = [
  '40/topics/fuzz,{"from":"start","client":"fuzz"}',
  '40/topics/fuzz,{"from":{"epoch":"e","offset":3},"paced":true,"joined":true,"limits":true}',
  '40/queues,{"client":"fuzz","protocol":1}',
  '42/topics/fuzz,7["publish",[{"data":{"a":[1,2]},"id":"x","key":"k","headers":{"h":"v"}}],{"producer":"p","seq":1}]',
  '42/topics/fuzz,8["read",{"after":0,"limit":10}]',
  '42/topics/fuzz,9["subscribe",{"from":"start","onGap":"end"}]',
  '42/topics/fuzz,1["ack",{"epoch":"e","offset":5}]',
  '42/topics/fuzz,2["unsubscribe"]',
  '42/queues,3["send","fuzz",[{"data":1,"key":"k","priority":9,"delayMs":5,"ttlMs":500}]]',
  '42/queues,4["consume","fuzz",{"credit":3,"leaseMs":500,"holding":[]}]',
  '42/queues,5["settle","fuzz",[{"id":"a","lease":"b","as":"done","reply":1},{"id":"a","lease":"b","as":"extend","leaseMs":5}]]',
  '42/queues,4["progress","fuzz",[{"id":"a","lease":"1.1.b","value":{"p":[1]},"log":"l"}]]',
  '42/queues,6["request","fuzz",{"data":1},{"timeoutMs":20}]',
  '42/queues,7["remove","fuzz","x"]',
  '42/topics/fuzz,8["auth",{"token":"x"}]',
  '40/console,{"limits":true}',
  '42/console,9["clients",{"search":"f","topic":"fuzz","sort":"lag","offset":1,"limit":5}]',
  '42/console,1["disconnectClient",{"id":"x"}]',
  '451-/topics/fuzz,9["publish",[{"data":{"_placeholder":true,"num":0}}]]',
  '43/topics/fuzz,1[]',
  '41/topics/fuzz,',
  '41/queues,',
  '2probe',
  '5',
  '2',
  '3',
]

const POLLING = '/socket.io/?EIO=4&transport=polling'

const REQUESTS = [
  `GET ${POLLING} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
  `POST ${POLLING}&sid=x HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n40{}x`,
  'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n',
  'POST /v1/topics/fuzz/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"d\r\n0\r\n\r\n',
  'GET /v1/topics/fuzz/stream?from=start HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: e:3\r\nAuthorization: Bearer x\r\n\r\n',
  'GET /v1/topics/fuzz/events HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n',
  'OPTIONS /v1/topics HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nAccess-Control-Request-Method: PUT\r\nX-Forwarded-For: 1.2.3.4\r\nCookie: a=b\r\n\r\n',
  'GET /demo/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-5\r\nExpect: 100-continue\r\n\r\n',
]

const CALLS: readonly (readonly [method: string, path: string, body?: string])[] = [
  ['POST', '/v1/topics/fuzz/events', '{"data":{"a":[1,2]},"id":"x","key":"k","headers":{"h":"v"}}'],
  ['POST', '/v1/topics/fuzz/events', '[{"data":1},{"base64":"AAAA"}]'],
  ['GET', '/v1/topics/fuzz/events?after=0&limit=5&waitMs=20'],
  [
    'PUT',
    '/v1/topics/fuzz',
    '{"retain":{"events":10,"age":"1d"},"schema":{"type":"object","properties":{"a":{"pattern":"^a+$"}}}}',
  ],
  ['PUT', '/v1/topics/fuzz', '{}'],
  ['PUT', '/v1/topics/fuzz/cursors/fuzz', '{"from":"start"}'],
  ['GET', '/v1/topics/fuzz/cursors?limit=3'],
  ['DELETE', '/v1/topics/fuzz'],
  ['POST', '/v1/queues/fuzz/jobs', '[{"data":1,"delayMs":10,"priority":2,"ttlMs":1000}]'],
  ['POST', '/v1/queues/fuzz/claims', '{"max":3,"leaseMs":200,"waitMs":20,"client":"c"}'],
  ['POST', '/v1/queues/fuzz/settlements', '[{"id":"a","lease":"b","as":"retry","delayMs":5,"error":"e"}]'],
  ['POST', '/v1/queues/fuzz/progress', '[{"id":"a","lease":"1.1.b","value":{"p":[1]},"log":"l"}]'],
  ['PUT', '/v1/queues/fuzz', '{"leaseMs":200,"rate":100,"maxJobs":100,"from":["fuzz"]}'],
  ['POST', '/v1/queues/fuzz/redrive', '{"filter":{"ids":["a"]}}'],
  ['POST', '/v1/queues/fuzz/purge'],
  ['POST', '/v1/queues/fuzz/jobs/a/run'],
  ['GET', '/v1/clients?search=f&topic=fuzz&sort=lag&descending=true&offset=1&limit=5'],
  ['DELETE', '/v1/clients/x'],
  ['GET', '/v1/queues/fuzz/jobs?state=ready&limit=5'],
  ['GET', '/v1/queues/fuzz%2Fdead/jobs/x'],
  ['POST', '/v1/tickets', '{}'],
  ['POST', '/v1/revocations', '{"subject":"x"}'],
]

/** Anything at all on a plain connection: random bytes, heads that are wrong, several requests in a row. */
const raw: Step = async (url, random) => {
  const socket = connect(Number(url.port), url.hostname)
  socket.on('error', () => {})
  socket.on('data', () => {})
  for (let times = random.integer(1, 4); times > 0; times--) {
    if (random.chance(0.2)) socket.write(random.bytes(random.integer(1, 3_000)))
    else socket.write(Buffer.from(mutated(random.pick(REQUESTS), random), 'latin1'))
    if (random.chance(0.3)) await pause(random.integer(0, 10))
  }
  if (random.chance(0.5)) socket.destroy()
  else socket.end()
  await atMost(once(socket, 'close'))
  socket.destroy()
}

/** Packets over WebSocket, some of them right, and frames that are none. */
const frames: Step = async (url, random) => {
  const socket = new WebSocket(`ws://${url.host}/socket.io/?EIO=4&transport=websocket`)
  socket.on('error', () => {})
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await atMost(Promise.race([once(socket, 'message').catch(() => {}), closed]))
  const { _socket: wire } = socket as unknown as { readonly _socket?: { write(data: Uint8Array): void } | null }
  for (let times = random.integer(1, 12); times > 0; times--) {
    const kind = random.next()
    const text = random.chance(0.4) ? random.pick(PACKETS) : mutated(random.pick(PACKETS), random)
    const part = random.bytes(random.integer(0, 500))
    const isLast = random.chance(0.8)
    const noise = random.bytes(random.integer(1, 60))
    if (socket.readyState !== WebSocket.OPEN) break
    if (kind < 0.75) socket.send(text)
    else if (kind < 0.85) socket.send(part)
    else if (kind < 0.95) socket.send(text, { fin: isLast })
    else wire?.write(noise)
  }
  await pause(random.integer(0, 20))
  if (random.chance(0.5)) socket.terminate()
  else socket.close()
  await atMost(closed)
  socket.terminate()
}

/** Sessions of long polling: payloads of several packets, polls beside each other, upgrades that do not come. */
const polling: Step = async (url, random) => {
  const path = `http://${url.host}${mutatedQuery(POLLING, random)}`
  const opened = (await ask(path)) ?? ''
  const sid = /"sid":"([^"]+)"/.exec(opened)?.[1] ?? 'none'
  const session = `http://${url.host}${POLLING}&sid=${encodeURIComponent(sid)}`
  for (let times = random.integer(1, 5); times > 0; times--) {
    const packets = Array.from({ length: random.integer(1, 6) }, () =>
      random.chance(0.4) ? random.pick(PACKETS) : mutated(random.pick(PACKETS), random),
    )
    const type = random.pick(['text/plain', 'application/json', 'application/octet-stream', 'x'])
    const both = random.chance(0.3)
    const posted = ask(session, { method: 'POST', body: packets.join('\u001e'), headers: { 'content-type': type } })
    if (both) await Promise.all([posted, ask(session)])
    else await posted
  }
  if (random.chance(0.7)) await ask(session, { method: 'POST', body: '1' })
}

/** Streams of server-sent events that begin somewhere and are left. */
const streams: Step = async (url, random) => {
  const query = mutatedQuery('from=start&onGap=fail&lastEventId=e:3', random)
  const from = new AbortController()
  const headers = random.chance(0.5) ? { 'last-event-id': headerOf(mutated('abc:5', random)) } : {}
  const leaveAfter = random.integer(0, 40)
  try {
    const response = await fetch(`http://${url.host}/v1/topics/fuzz/stream?${query}`, {
      headers,
      signal: AbortSignal.any([from.signal, AbortSignal.timeout(PATIENCE_MS)]),
    })
    await pause(leaveAfter)
    await response.body?.cancel()
  } catch {
    // Left, or refused.
  }
  from.abort()
}

/** Requests of the HTTP interface whose parts are wrong. What is right is never answered with a bug. */
const calls: Step = async (url, random) => {
  const [method, path, body] = random.pick(CALLS)
  const text = body === undefined ? undefined : mutated(body, random)
  const [head = '', ...query] = path.split('?')
  const place = random.chance(0.3) ? `/v1${encodeURI(headerOf(mutated(head.slice(3), random)))}` : head
  const address = `http://${url.host}${place}${query.length === 0 ? '' : `?${mutatedQuery(query.join('?'), random)}`}`
  const response = await fetch(address, {
    method,
    ...(text === undefined ? {} : { body: text }),
    headers: { 'content-type': 'application/json' },
    signal: AbortSignal.timeout(PATIENCE_MS * 5),
  }).catch(() => undefined)
  const answer = await response?.text().catch(() => '')
  if (response?.status === 500) throw new Error(`500 for ${method} ${place}: ${text?.slice(0, 300)} → ${answer}`)
}

export const LANES: Readonly<Record<string, Step>> = { raw, frames, polling, streams, calls }

function mutatedQuery(query: string, random: Random): string {
  return random.chance(0.5)
    ? query
    : mutated(query, random)
        .replace(/[^!-~]|#/g, '_')
        .slice(0, 4_000)
}

/** What a client of HTTP can send at all. */
function headerOf(text: string): string {
  return text.replace(/[^\u0020-\u007e]/g, '_').slice(0, 2_000)
}

async function ask(address: string, init: RequestInit = {}): Promise<string | undefined> {
  try {
    const response = await fetch(address, { ...init, signal: AbortSignal.timeout(PATIENCE_MS) })
    return await response.text()
  } catch {
    return undefined
  }
}

async function atMost(work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, PATIENCE_MS)
  })
  await Promise.race([work.catch(() => {}), late])
  clearTimeout(timer)
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
