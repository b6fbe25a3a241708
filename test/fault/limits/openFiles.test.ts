/** A hub that has as many files and connections open as the system lets it. */

import { Agent, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { tidyUp } from '../../../server/idle.ts'
import { ensureBuilt } from '../../support/built.ts'
import { join } from '../../support/clients/wire.ts'
import { atEnd } from '../../support/ending.ts'
import { spawnHub } from '../../support/hub/process.ts'
import { until } from '../../support/until.ts'

const MOST = 64
const SCHEMA = { schema: { type: 'string' } }

/** Requests over one connection, which stays open. */
function overOne(url: string) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  atEnd(() => agent.destroy())
  return (method: string, path: string, body?: unknown) =>
    new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
      const headers = body === undefined ? {} : { 'content-type': 'application/json' }
      request(`${url}${path}`, { method, agent, headers }, (answer) => {
        text(answer).then((text) => resolve({ status: answer.statusCode, text }), reject)
      })
        .once('error', reject)
        .end(JSON.stringify(body))
    })
}

beforeAll(ensureBuilt, 60_000)

describe('a hub that may open no more files', () => {
  it('serves who is connected, refuses what needs a file, and does all of it when there are files again', async () => {
    const hub = await spawnHub({
      wrapper: ['sh', '-c', `ulimit -n ${MOST}; exec "$@"`, 'sh'],
      // Those of the flood ask for nothing, and have to stay however slow this machine is.
      env: { REPRISE_LIMITS_CONNECT_TIMEOUT_MS: '120000' },
    })
    const ask = overOne(hub.url)
    const topic = await join(hub.url, 'orders', { from: 'start' })
    await topic.value('publish', [{ data: 1 }])
    expect((await ask('GET', '/v1/topics')).status).toBe(200)

    const flood: Socket[] = []
    let closed = 0
    for (let n = 0; n < 2 * MOST; n++) {
      const socket = connect(hub.port, '127.0.0.1')
      socket.on('error', () => {})
      socket.once('close', () => closed++)
      flood.push(socket)
    }
    atEnd(() => flood.forEach((socket) => void socket.destroy()))
    await until(() => closed > 0, { what: 'the system to refuse connections' })

    const needFiles = [
      ['GET', '/sdk/reprise-client.global.js'],
      ['GET', '/'],
      ['GET', '/metrics'],
      ['GET', '/v1/doctor'],
      ['PUT', '/v1/topics/orders', SCHEMA],
    ] as const
    for (const [method, path, body] of needFiles) {
      const { status, text } = await ask(method, path, body)
      expect([path, status, JSON.parse(text).code]).toEqual([path, 503, 'unavailable'])
    }
    await topic.value('publish', [{ data: 2 }])
    expect((await ask('POST', '/v1/topics/orders/events', { data: 3 })).status).toBe(201)
    await topic.eventsSeen(3)

    for (const socket of flood) socket.destroy()
    for (const [method, path, body] of needFiles) {
      // A failed text of the metrics counts for a second.
      const isServed = async () => (await ask(method, path, body)).status === 200
      await until(isServed, { what: path, everyMs: 100 })
    }
    expect((await ask('POST', '/v1/topics/orders/events', { data: 4 })).text).toContain('does not fit the schema')
    expect((await ask('GET', '/v1/doctor')).text).toContain(` of ${MOST}, one for each connection`)
  })

  it('does not fail at learning how large it is', async () => {
    const rss = vi.spyOn(process.memoryUsage, 'rss').mockImplementation(() => {
      throw Object.assign(new Error('too many open files'), { code: 'EMFILE' })
    })
    atEnd(() => rss.mockRestore())
    tidyUp()
    await until(() => rss.mock.results.length > 0, { what: 'the look' })
    expect(rss.mock.results[0]?.type).toBe('throw')
  })
})
