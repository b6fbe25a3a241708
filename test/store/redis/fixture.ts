/** What the store's tests need of the Redis engine: a place of its own on servers that many tests share. */

import { afterAll, beforeAll } from 'vitest'
import { openRedis, type RedisStore } from '../../../server/store/redis/store.ts'
import { type RedisServer, startRedis, startRedisCluster } from '../../support/redis/redis.ts'
import { type Clock, type Engine, START } from '../conformance/fixture.ts'

export const ALWAYS = { appendonly: 'yes', appendfsync: 'always' }

export interface Servers {
  readonly nodes: readonly RedisServer[]
  /** A URL with this prefix for the keys. */
  url(prefix: string): string
}

let places = 0

/** Servers for all tests of a file. */
export function sharedServers(kind: 'single' | 'cluster'): () => Servers {
  let servers: Servers | undefined
  beforeAll(async () => {
    if (kind === 'single') {
      const server = await startRedis(ALWAYS)
      servers = { nodes: [server], url: (prefix) => `${server.url}?prefix=${prefix}` }
    } else {
      const { nodes } = await startRedisCluster(3, ALWAYS)
      const hosts = nodes.map(({ port }) => `127.0.0.1:${port}`).join()
      servers = { nodes, url: (prefix) => `redis-cluster://${hosts}?prefix=${prefix}` }
    }
  }, 60_000)
  afterAll(async () => {
    for (const { kill } of servers?.nodes ?? []) await kill()
  })
  return () => {
    if (servers === undefined) throw new Error('the servers are not started')
    return servers
  }
}

export interface RedisEngine extends Engine {
  readonly url: string
}

/**
 * A fresh place. An opening counts as a run of the servers of its own: that is when continuity is not certain. Calls
 * resolve when what they did has been heard, which the contract leaves open and the tests ask for.
 */
export async function redisEngine(servers: Servers): Promise<RedisEngine> {
  places++
  const prefix = `p${process.pid}-${places}:`
  const url = servers.url(prefix)
  const clock: Clock = { now: START }
  const opened: RedisStore[] = []
  let opening = 0
  return {
    url,
    clock,
    ordersByTopic: true,
    open: async (context = {}) => {
      opening++
      const run = `run${opening}x`
      const store = await openRedis(url, { now: () => clock.now, run: () => run, ...context })
      opened.push(store)
      return hearing(store)
    },
    heard: async () => opened.at(-1)?.caughtUp(),
    destroy: async () => {
      for (const store of opened) await store.close()
    },
  }
}

/** The store, with calls that resolve once their notifications are through. */
export function hearing(store: RedisStore): RedisStore {
  const heard = <A extends unknown[], T>(call: (...args: A) => Promise<T>) => {
    return async (...args: A): Promise<T> => {
      const value = await call(...args)
      await store.caughtUp()
      return value
    }
  }
  const { topics, cursors, settings } = store
  return {
    ...store,
    durability: store.durability,
    topics: { ...topics, append: heard(topics.append), drop: heard(topics.drop) },
    cursors: { ...cursors, open: heard(cursors.open) },
    settings: { ...settings, put: heard(settings.put) },
  }
}
