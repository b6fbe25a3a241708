/** A Redis that comes back with other settings: the replies to publishers stay true. */

import { expect, it } from 'vitest'
import type { Published } from '../../../shared/protocol.ts'
import { join, type Wire } from '../../support/clients/wire.ts'
import { startHub } from '../../support/hub/hub.ts'
import { spawnHub } from '../../support/hub/process.ts'
import { startRedis } from '../../support/redis/redis.ts'
import { has } from '../../support/tools.ts'
import { until } from '../../support/until.ts'

const published = async (wire: Wire): Promise<Published | undefined> => {
  const reply = await wire.call<Published>('publish', [{ data: 1 }])
  return reply.ok ? reply.value : undefined
}

it.runIf(has('redis-server'))('a hub names the durability of the Redis that is there now', async () => {
  const redis = await startRedis({ appendonly: 'yes', appendfsync: 'always' })
  const { url } = await startHub({ store: redis.url })
  const wire = await join(url, 'orders')
  expect(await published(wire)).toMatchObject({ durability: 'fsync' })
  for (const [settings, durability] of [
    [{ appendfsync: 'everysec' }, 'everysec'],
    [{ appendonly: 'no' }, 'memory'],
    [{ appendonly: 'yes', appendfsync: 'always' }, 'fsync'],
  ] as const) {
    await redis.restart(settings)
    const next = await until(() => published(wire), { what: 'a publish' })
    expect(next.durability).toBe(durability)
  }
})

it.runIf(has('redis-server'))(
  'a hub does not use a Redis that came back to throw events away, until it is mended',
  {
    timeout: 40_000,
  },
  async () => {
    const redis = await startRedis({ appendonly: 'yes', appendfsync: 'always' })
    const hub = await spawnHub({ store: redis.url })
    const wire = await join(hub.url, 'orders')
    expect(await published(wire)).toBeDefined()
    await redis.restart({ maxmemory: '100mb', 'maxmemory-policy': 'allkeys-lru' })
    expect(await wire.call('publish', [{ data: 2 }])).toMatchObject({ error: { code: 'unavailable' } })
    await until(async () => (await fetch(`${hub.url}/readyz`)).status === 503, { what: '/readyz to say 503' })
    expect(hub.stdout() + hub.stderr()).toMatch(/maxmemory-policy is allkeys-lru, set it to noeviction/)
    await redis.cli('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
    await until(() => published(wire), { what: 'a publish' })
    await until(async () => (await fetch(`${hub.url}/readyz`)).status === 200, { what: '/readyz to say 200' })
  },
)
