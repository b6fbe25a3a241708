/** Entering and leaving a namespace at the same moment: by several clients, and by one. */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Server } from 'socket.io'
import { io as connect } from 'socket.io-client'
import { expect, it } from 'vitest'
import { OPEN_GATE } from '../../server/core/access.ts'
import type { Core } from '../../server/core/core.ts'
import { LIMIT_DEFAULTS } from '../../server/options/limits.ts'
import { addressesBehind } from '../../server/options/proxies.ts'
import { openGateway } from '../../server/socket/gateway.ts'
import { RepriseError } from '../../shared/errors.ts'
import { DEFAULT_LIMITS } from '../../shared/protocol.ts'
import { join } from '../support/clients/wire.ts'
import { SILENT } from '../support/core/silent.ts'
import { atEnd } from '../support/ending.ts'
import { startHub } from '../support/hub/hub.ts'
import { until } from '../support/until.ts'

/** A way in to a hub that begins to serve when the test says so, with a core of the test's own. */
async function openDoor() {
  const http = createServer()
  const io = new Server(http)
  atEnd(() => io.close())
  let start: (core: Core) => void = () => {}
  const core = new Promise<Core>((resolve) => {
    start = resolve
  })
  const draining = new AbortController()
  openGateway(io, {
    core,
    telemetry: SILENT,
    gate: Promise.resolve(OPEN_GATE),
    limits: LIMIT_DEFAULTS,
    addresses: addressesBehind([]),
    console: true,
    draining: draining.signal,
    clients: { from: () => {} },
  })
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  const log = { limits: DEFAULT_LIMITS }
  const begin = (part: object): void => start({ log, telemetry: SILENT, ...part } as unknown as Core)
  return { io, url, draining, begin }
}

it('a client that comes while the hub drains is not refused for good: its connection ends, and it tries again', async () => {
  const { io, url, draining, begin } = await openDoor()
  const socket = connect(`${url}/topics/shared`, { auth: { from: 'none' }, transports: ['websocket'], forceNew: true })
  atEnd(() => {
    socket.disconnect()
  })
  const refusals: Error[] = []
  socket.on('connect_error', (error) => refusals.push(error))
  await until(() => io._nsps.has('/topics/shared'), { what: 'the client to be at the door' })
  const closed = new Promise((resolve) => socket.io.once('close', resolve))
  draining.abort()
  const admit = () => {
    throw new RepriseError('unavailable', 'the hub is draining')
  }
  begin({ admit })
  expect(await closed).toBe('transport close')
  expect([socket.active, refusals]).toEqual([true, []])
})

it('a namespace stays for a client that is still being admitted while a refused one leaves it', async () => {
  const { io, url, begin } = await openDoor()
  const entering = join(url, 'shared', { from: 'none' })
  await until(() => io._nsps.has('/topics/shared'), { what: 'the client to be at the door' })
  await expect(join(url, 'shared', { onGap: 'explode' })).rejects.toMatchObject({ code: 'bad_request' })
  // Two turns later the hub has looked whether the namespace is still needed.
  for (let i = 0; i < 2; i++) await new Promise((resolve) => setImmediate(resolve))

  const subscription = { close: () => {} }
  begin({ admit: () => {}, subscription: () => subscription })
  const wire = await entering
  const namespace = io._nsps.get('/topics/shared')
  expect(namespace?.sockets.size).toBe(1)
  namespace?.emit('live', { offset: 7 })
  expect(await wire.seen('live')).toEqual({ offset: 7 })
})

it('a client leaves a namespace and enters it again in one packet burst', async () => {
  const { url } = await startHub()
  const polling = `${url}/socket.io/?EIO=4&transport=polling`
  const { sid } = JSON.parse((await (await fetch(polling)).text()).slice(1))
  const session = `${polling}&sid=${sid}`
  const send = async (...packets: string[]) => {
    await fetch(session, { method: 'POST', body: packets.join('\x1e') })
  }
  let heard = ''
  const entered = async () => {
    heard = ''
    while (!heard.includes('40/topics/orders,')) {
      const answer = await fetch(session)
      expect(answer.status).toBe(200)
      heard += await answer.text()
    }
  }
  await send('40/topics/orders,{"from":"none"}')
  await entered()
  await send('41/topics/orders,', '40/topics/orders,{"from":"end"}')
  await entered()
})
