/** Set-up of the project `nodes`: what a file starts as one hub is three on a Redis, behind nginx. */

import { beforeAll, beforeEach } from 'vitest'
import { startRedis } from '../redis/redis.ts'
import { has } from '../tools.ts'
import { useNodes, useRedis } from './runStore.ts'

if (has('redis-server', 'nginx')) {
  beforeAll(async () => {
    useRedis((await startRedis({ appendonly: 'yes', appendfsync: 'always' })).url)
    useNodes(3)
  })
} else {
  beforeEach((context) => context.skip())
}
