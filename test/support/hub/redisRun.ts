/** Set-up of the project `redis`: the tests of a file run against hubs on a real Redis instead of the embedded store. */

import { beforeAll, beforeEach } from 'vitest'
import { startRedis } from '../redis/redis.ts'
import { has } from '../tools.ts'
import { useRedis } from './runStore.ts'

if (has('redis-server')) {
  beforeAll(async () => {
    useRedis((await startRedis({ appendonly: 'yes', appendfsync: 'always' })).url)
  })
} else {
  beforeEach((context) => context.skip())
}
