/** What HTTP is served with comes with the first request: nothing that is asked meanwhile is lost, whatever happens then. */

import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { expect, it } from 'vitest'
import type { HubHandler } from '../../server/http/app.ts'
import { lateApp } from '../../server/http/late.ts'
import { RepriseError } from '../../shared/errors.ts'
import { asking } from '../support/clients/ask.ts'
import { SILENT } from '../support/core/silent.ts'
import { atEnd } from '../support/ending.ts'
import { appContext } from '../support/hub/appContext.ts'
import { until } from '../support/until.ts'

const real = () => import('../../server/http/app.ts')

async function listen(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  atEnd(() => {
    server.close()
    server.closeAllConnections()
  })
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** The real one, read when `arrive` is called. */
function slow() {
  let asked = 0
  let arrive = () => {}
  const arrived = new Promise<void>((resolve) => {
    arrive = resolve
  })
  const read = async () => {
    asked += 1
    await arrived
    return await real()
  }
  return { read, arrive, asked: () => asked }
}

it('a thousand requests that come while it is read are all answered, those of a connection in their order', async () => {
  const { read, arrive, asked } = slow()
  const url = new URL(await listen(lateApp(appContext({}), read).handler))
  const connections = await Promise.all(
    Array.from({ length: 10 }, async () => {
      const socket = connect(Number(url.port), url.hostname)
      let text = ''
      socket.on('data', (chunk) => {
        text += String(chunk)
      })
      await once(socket, 'connect')
      for (let i = 0; i < 100; i++) socket.write(`GET /v1/nowhere/${i} HTTP/1.1\r\nHost: here\r\n\r\n`)
      return () =>
        [...text.matchAll(/"detail":"there is no GET \/v1\/nowhere\/(\d+)"/g)].map(([, number]) => Number(number))
    }),
  )
  await until(() => asked() === 1_000, { what: 'all requests to wait' })
  arrive()
  const inOrder = Array.from({ length: 100 }, (_, i) => i)
  for (const answers of connections) {
    await until(() => answers().length >= 100, { what: 'the answers of a connection', seen: answers })
    expect(answers()).toEqual(inOrder)
  }
})

it('a hub that begins to drain meanwhile refuses what has waited, and a client that has left is forgotten', async () => {
  const { read, arrive, asked } = slow()
  let draining = false
  const admit = () => {
    if (draining) throw new RepriseError('unavailable', 'the hub is draining')
  }
  const url = await listen(lateApp(appContext({ admit }), read).handler)
  const leaving = new AbortController()
  const left = fetch(`${url}/v1/topics`, { signal: leaving.signal })
  const ready = asking(url)('GET', '/readyz')
  const listed = asking(url)('GET', '/v1/topics')
  await until(() => asked() === 3)
  leaving.abort()
  await expect(left).rejects.toThrow(/abort/)
  draining = true
  arrive()
  expect(await ready).toMatchObject({ status: 503, body: { reason: 'the hub is draining' } })
  expect(await listed).toMatchObject({ status: 503, body: { code: 'unavailable' } })
})

it('where it cannot be read the request is told, the log says why, and the next one tries again', async () => {
  const failed: unknown[] = []
  const telemetry = { ...SILENT, failed: (what: string, cause: unknown) => void failed.push(what, cause) }
  const cause = new Error('too many open files')
  let left = 2
  const read = async () => {
    if (left-- > 0) throw cause
    return await real()
  }
  const { handler } = lateApp({ ...appContext({}), telemetry }, read)
  const ask = asking(await listen(handler))
  expect(await ask('GET', '/healthz?x=1')).toMatchObject({ status: 500, body: { code: 'internal' } })
  expect(failed).toEqual(['GET /healthz', cause])
  const within: HubHandler = (request, response) => handler(request, response, (error) => response.end(String(error)))
  const guest = asking(await listen(within))
  expect((await guest('GET', '/healthz')).body).toBe('RepriseError: the hub failed at this; its log says more')
  expect(await guest('GET', '/healthz')).toMatchObject({ status: 200, body: { alive: true } })
  expect((await guest('GET', '/elsewhere')).body).toBe('undefined')
})
