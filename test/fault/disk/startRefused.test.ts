/** Hubs that cannot have their store: nothing listens, and what an embedded one tells its clients may pass. */

import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect as connectTo } from 'node:net'
import { join as joinPath } from 'node:path'
import { describe, expect, it } from 'vitest'
import { connect } from '../../../client/index.ts'
import { createHub, type Hub } from '../../../server/index.ts'
import { join, joinNamespace } from '../../support/clients/wire.ts'
import { atEnd } from '../../support/ending.ts'
import { cliCommand, startChild } from '../../support/hub/process.ts'
import { freePort } from '../../support/network/ports.ts'
import { startRedis } from '../../support/redis/redis.ts'
import { diskFolder } from '../../support/temp.ts'
import { has } from '../../support/tools.ts'
import { until, within } from '../../support/until.ts'

/** Whether anything ever listened at the port until the program was over, and what it said. */
async function startAndWatch(args: readonly string[]): Promise<{ heard: boolean; code: number | null; said: string }> {
  const port = await freePort()
  const child = startChild([...cliCommand(), 'serve', '--port', String(port), ...args])
  let over = false
  let heard = false
  const watching = (async () => {
    while (!over && !heard) {
      const probe = connectTo(port, '127.0.0.1')
      heard = await new Promise<boolean>((resolve) => {
        probe.once('connect', () => resolve(true))
        probe.once('error', () => resolve(false))
      })
      probe.destroy()
    }
  })()
  const { code } = await within(child.exited, 20_000, 'the hub to give up')
  over = true
  await watching
  return { heard, code, said: child.stderr() }
}

async function embedded(store: string, port = 0): Promise<{ hub: Hub; url: string; close(): Promise<void> }> {
  const hub = createHub({ store, logLevel: 'silent' })
  const server = createServer(hub.handler)
  hub.attach(server)
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const close = async () => {
    await hub.close()
    server.close()
    server.closeAllConnections()
  }
  atEnd(close)
  return { hub, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close }
}

const LOCKED = async (): Promise<string> => {
  const store = joinPath(await diskFolder(), 'data')
  await (await embedded(store)).hub.ready
  return store
}

const EVICTING = async (): Promise<string> => {
  const { url } = await startRedis({ maxmemory: '100mb', 'maxmemory-policy': 'allkeys-lru' })
  return url
}

const WRONG_PASSWORD = async (): Promise<string> => {
  const { port } = await startRedis({ requirepass: 'right' })
  return `redis://:wrong@127.0.0.1:${port}`
}

const STORES = [
  ['a folder that another hub has', LOCKED, 'conflict', true],
  ['a Redis that throws events away', EVICTING, 'unsupported', has('redis-server')],
  ['a Redis with another password', WRONG_PASSWORD, 'unavailable', has('redis-server')],
] as const

describe.each(STORES.filter(([, , , here]) => here))('a hub on %s', (_, place, code) => {
  it('never listens, and ends with one line', async () => {
    const store = await place()
    const { heard, code: exit, said } = await startAndWatch([store.startsWith('redis:') ? '--store' : '--data', store])
    expect(said).toMatch(/^reprise: [^\n]+\n$/)
    expect({ heard, exit }).toEqual({ heard: false, exit: 1 })
  })

  it('that is embedded tells its clients `unavailable`, over each way', async () => {
    const { hub, url } = await embedded(await place())
    const passing = { code: 'unavailable', retryable: true }
    for (const transport of ['websocket', 'polling'] as const) {
      await expect(join(url, 't', {}, { transports: [transport] })).rejects.toMatchObject(passing)
      await expect(joinNamespace(url, '/queues', {}, { transports: [transport] })).rejects.toMatchObject(passing)
    }
    for (const path of ['/v1/topics/t/events', '/v1/topics/t/stream', '/v1/queues/q']) {
      const answer = await fetch(`${url}${path}`)
      expect([answer.status, await answer.json()]).toMatchObject([503, passing])
    }
    await expect(hub.ready).rejects.toMatchObject({ code })
  })
})

describe('the SDK at a hub that could not start', () => {
  it('keeps its subscription, its consumer and what it is to publish, until one that can is there', async () => {
    const store = await LOCKED()
    const first = await embedded(store)
    const own = connect<{ topics: { t: number }; queues: { q: number } }>(first.url, { client: 'c' })
    atEnd(() => own.close())
    const seen: number[] = []
    const worked: number[] = []
    const subscription = own.topic('t').subscribe(({ data }) => seen.push(data), { from: 'start' })
    const worker = own.queue('q').consume(({ data }) => void worked.push(data))
    const published = own.topic('t').publish(1)
    const sent = own.queue('q').send(2)
    const refusals: string[] = []
    subscription.onStatus((status) => {
      if (status.state === 'offline') refusals.push(status.reason.code)
    })
    await until(() => refusals.length > 1, { what: 'the hub to have refused' })
    expect(new Set(refusals)).toEqual(new Set(['unavailable']))
    expect([subscription.status.state, worker.status.state]).not.toContain('ended')
    await first.close()
    await embedded(joinPath(await diskFolder(), 'data'), Number(new URL(first.url).port))
    expect(await published).toMatchObject({ offset: 1 })
    await sent
    await until(() => seen.length === 1 && worked.length === 1, { what: 'the event and the job' })
    await own.close()
  })
})
