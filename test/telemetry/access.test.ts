/** Who may read `/metrics`, and where they are. */

import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import express from 'express'
import { describe, expect, it } from 'vitest'
import { createHub, type HubOptions } from '../../server/index.ts'
import { asking } from '../support/clients/ask.ts'
import { SECRET, tokenOf } from '../support/clients/tokens.ts'
import { atEnd } from '../support/ending.ts'
import { startHub } from '../support/hub/hub.ts'
import { freePort } from '../support/network/ports.ts'
import { tempFolder } from '../support/temp.ts'

const auth = { jwt: { secret: SECRET } }
const isText = { status: 200, body: expect.stringContaining('reprise_store_up 1\n') }

/** A program with the hub and a `/metrics` of its own. */
async function startProgram(options: HubOptions): Promise<string> {
  const hub = createHub({ store: await tempFolder(), logLevel: 'silent', ...options })
  const app = express()
  app.use(hub.handler)
  app.use('/hub', hub.handler)
  app.all('/metrics', (_request, response) => void response.send("the program's"))
  const server = createServer(app)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atEnd(async () => {
    server.close()
    await hub.close()
  })
  await hub.ready
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe('/metrics', () => {
  it('is for everybody where nothing asks for a token, and only read', async () => {
    const ask = asking((await startHub()).url)
    const { headers, ...answer } = await ask('GET', '/metrics?x=1')
    expect(answer).toMatchObject(isText)
    expect(headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(headers.get('cache-control')).toBe('no-store')
    expect(await ask('HEAD', '/metrics')).toMatchObject({ status: 200, body: '' })
    expect(await ask('POST', '/metrics', {})).toMatchObject({ status: 405 })
    expect(await ask('GET', '/metrics', undefined, { origin: 'https://evil.example' })).toMatchObject({ status: 403 })
    expect(await ask('GET', '/metrics/')).toMatchObject({ status: 404 })
  })

  it('wants admin on everything where tokens are asked for', async () => {
    const ask = asking((await startHub({ auth })).url)
    const as = async (grants?: { actions: string[]; names: string[] }[]) => ({
      authorization: `Bearer ${await tokenOf('ann', grants === undefined ? {} : { grants })}`,
    })
    expect(await ask('GET', '/metrics')).toMatchObject({ status: 401, headers: expect.anything() })
    expect(await ask('GET', '/metrics', undefined, { authorization: 'Bearer no' })).toMatchObject({ status: 401 })
    for (const grant of [
      { actions: ['admin'], names: ['orders.*'] },
      { actions: ['read'], names: ['*'] },
    ]) {
      expect(await ask('GET', '/metrics', undefined, await as([grant]))).toMatchObject({ status: 403 })
    }
    expect(await ask('GET', '/metrics', undefined, await as([{ actions: ['admin'], names: ['*'] }]))).toMatchObject(
      isText,
    )
    const ticket = await ask<{ ticket: string }>('POST', '/v1/tickets', undefined, await as())
    expect(await ask('GET', `/metrics?ticket=${ticket.body.ticket}`)).toMatchObject({ status: 401 })
  })

  it('can be open beside tokens', async () => {
    const ask = asking((await startHub({ auth, metrics: { open: true } })).url)
    expect(await ask('GET', '/metrics')).toMatchObject(isText)
    expect(await ask('GET', '/v1/topics')).toMatchObject({ status: 401 })
  })

  it('can have a port of its own, and is nowhere else then', async () => {
    const port = await freePort()
    const hub = await startHub({ auth, metrics: { port } })
    const alone = asking(`http://127.0.0.1:${port}`)
    expect(await alone('GET', '/metrics')).toMatchObject(isText)
    expect(await alone('GET', '/v1/topics')).toMatchObject({ status: 404, body: { code: 'not_found' } })
    expect(await alone('POST', '/metrics', {})).toMatchObject({ status: 405 })
    expect(await alone('GET', '/metrics', undefined, { host: 'evil.example' })).toBeDefined()
    const token = { authorization: `Bearer ${await tokenOf('ann')}` }
    expect(await asking(hub.url)('GET', '/metrics', undefined, token)).toMatchObject({ status: 404 })
    await expect(startHub({ metrics: { port } })).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(/^metrics\.port: port \d+ of 127\.0\.0\.1 cannot be used: /),
    })
    await hub.close()
    await expect(alone('GET', '/metrics')).rejects.toThrow()
  })

  it("leaves the program around a hub its own, unless the hub's are asked for", async () => {
    const plain = asking(await startProgram({}))
    expect(await plain('GET', '/metrics')).toMatchObject({ status: 200, body: "the program's" })
    expect(await plain('GET', '/hub/metrics')).toMatchObject(isText)
    const asked = asking(await startProgram({ metrics: { open: true } }))
    expect(await asked('GET', '/metrics')).toMatchObject(isText)
  })

  it('is not made again and again for somebody who does not read it', async () => {
    const { url } = await startHub()
    const { host, port } = new URL(url)
    const socket = connect(Number(port), '127.0.0.1')
    atEnd(() => void socket.destroy())
    socket.on('error', () => {})
    const request = `GET /metrics HTTP/1.1\r\nHost: ${host}\r\n\r\n`
    await new Promise<void>((resolve) => void socket.write(request.repeat(10_000), () => resolve()))
    const closed = new Promise((resolve) => socket.once('close', resolve))
    let bytes = 0
    socket.on('data', (data) => {
      bytes += data.length
    })
    await closed
    expect(bytes).toBeLessThan(5 * 1_048_576)
    expect(await asking(url)('GET', '/metrics')).toMatchObject(isText)
  })
})
