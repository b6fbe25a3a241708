/** Set-up of the project `redis`: the tests of a file run against hubs on a real Redis instead of the embedded store. */

import { beforeAll, beforeEach } from 'vitest'
import { startRedis } from './redis.ts'
import { useRedis } from './run-store.ts'
import { has } from './tools.ts'

if (has('redis-server')) {
  beforeAll(async () => {
    useRedis((await startRedis({ appendonly: 'yes', appendfsync: 'always' })).url)
  })
} else {
  beforeEach((context) => context.skip())
}
