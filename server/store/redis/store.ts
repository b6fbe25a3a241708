/** The engine for many nodes, put together: where Redis is, what it is fit for, and the parts of the contract. */

import { messageOf, RepriseError } from '../../../shared/errors.ts'
import { WAIT_MS } from '../contract/basics.ts'
import type { Store, StoreContext } from '../contract/store.ts'
import { Damage } from '../damage.ts'
import { storeClosed } from '../refusals.ts'
import { Durable } from './connection/durability.ts'
import { Router } from './connection/router.ts'
import type { Send } from './connection/serverSettings.ts'
import { Subscriptions } from './connection/subscriptions.ts'
import { type Location, parseLocation } from './connection/url.ts'
import { createMaintenance } from './maintenance.ts'
import { createQueues } from './queues/queues.ts'
import type { QueuesContext } from './queues/reads.ts'
import { createRewriting } from './rewriting.ts'
import { keysWith } from './scripting/keys.ts'
import { QueueBatcher } from './scripting/queueBatcher.ts'
import { TopicBatcher } from './scripting/topicBatcher.ts'
import { createSettings } from './settings.ts'
import { createCursors } from './topics/cursors.ts'
import { storeEpochs } from './topics/epochs.ts'
import { boundsOf, createTopics, type TopicsContext } from './topics/topics.ts'

export interface RedisContext extends StoreContext {
  /** Ids remembered for one subject of one topic. Default 1,000,000. */
  readonly maxIds?: number
  /** A test's own, in place of the servers' `run_id`. */
  readonly run?: () => string
}

export interface RedisStore extends Store {
  /** Resolves when what was published before has been heard. */
  caughtUp(): Promise<void>
}

const MAX_IDS = 1_000_000
/** How long a write waits for its replicas. */
const REPLICA_WAIT_MS = 500

export async function openRedis(url: string, context: RedisContext = {}): Promise<RedisStore> {
  const location = parseLocation(url)
  const warn = context.warn ?? (() => {})
  const router = new Router(location)
  const keys = keysWith(location.prefix)
  const durable = new Durable(location.replicas, warn)
  const damage = new Damage(warn)
  try {
    await begin(router, durable)
    await storeEpochs(router, keys.store, { opening: true })
  } catch (error) {
    router.close()
    throw cannotUse(location, error, router.lastError)
  }
  const subscriptions = new Subscriptions(router, warn)
  const { now, run, maxIds = MAX_IDS } = context
  const replicas = { replicas: location.replicas, replicaWaitMs: REPLICA_WAIT_MS }
  const { lost = () => {}, committed = () => {} } = context
  const batcherContext = { damage, lost, committed, router, keys, now, run, maxIds, ...replicas, warn }
  const batcher = new TopicBatcher(batcherContext)
  const queueBatcher = new QueueBatcher(batcherContext)
  let closing: Promise<void> | undefined
  const refuseClosed = (): void => {
    if (closing !== undefined) throw storeClosed()
  }
  const parts: TopicsContext = { router, keys, batcher, subscriptions, durable, refuseClosed }
  const queueParts: QueuesContext = { router, keys, queueBatcher, subscriptions, durable, now, warn, refuseClosed }
  const time = async (): Promise<number> => {
    refuseClosed()
    if (now !== undefined) return now()
    const [reply] = await router.ask(keys.store, ['TIME'])
    const [seconds = 0, micros = 0] = (reply as Buffer[]).map(Number)
    return seconds * 1_000 + Math.floor(micros / 1_000)
  }
  const topics = createTopics(parts)
  const close = async (): Promise<void> => {
    await Promise.all([batcher.close(), queueBatcher.close()])
    subscriptions.close()
    router.close()
  }
  return {
    get durability() {
      return durable.named
    },
    topics,
    cursors: createCursors(parts, (topic) => boundsOf(parts, topic), time),
    queues: createQueues(queueParts, time),
    settings: createSettings(parts, warn, damage),
    ready: time,
    damage: () => damage.told,
    maintain: createMaintenance(parts, queueParts, time),
    rewrite: createRewriting(parts, queueParts),
    caughtUp: () => subscriptions.caughtUp(),
    close: () => {
      closing ??= close()
      return closing
    },
  }
}

async function begin(router: Router, durable: Durable): Promise<void> {
  const deadline = performance.now() + WAIT_MS
  await router.open(deadline)
  const servers = router.masters.map((address) => {
    const send: Send = (...command) => router.sendTo(address, command, deadline)
    return [address, send] as const
  })
  await durable.begin(new Map(servers))
  // From here on before each new connection is used: the server may have been started with other settings.
  router.prepare = (address, redis) => durable.check(address, (name, ...args) => redis.callBuffer(name, args))
}

function cannotUse({ shown }: Location, error: unknown, last: Error | undefined): RepriseError {
  const known = error instanceof RepriseError && error.code !== 'unavailable' && error.code !== 'internal'
  if (known) return error
  const cause = /^Redis is away|there is no connection/.test(messageOf(error)) && last !== undefined ? last : error
  const reason = messageOf(cause) || (cause as NodeJS.ErrnoException).code || 'no answer'
  return new RepriseError('unavailable', `the store ${shown} cannot be used: ${reason}`, { cause })
}
