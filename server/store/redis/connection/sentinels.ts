/**
 * Listens to the sentinels for the news that the master was replaced, so that it is left at once, also when it hangs or
 * does not know of it yet. A hint: who is the master is asked anew with each connection.
 */

import { Redis, type RedisOptions } from 'ioredis'

const CHANNEL = '+switch-master'
const RETRY_MS = 1_000
const PING_MS = 5_000

export interface SentinelsContext {
  readonly addresses: readonly { readonly host: string; readonly port: number }[]
  readonly master: string
  readonly options: RedisOptions
  readonly switched: () => void
}

/** The result ends it. */
export function watchSentinels({ addresses, master, options, switched }: SentinelsContext): () => void {
  const sentinels = addresses.map((address) => {
    const redis = new Redis({
      ...options,
      ...address,
      enableReadyCheck: false,
      disableClientInfo: true,
      connectTimeout: RETRY_MS,
      retryStrategy: () => RETRY_MS,
      autoResubscribe: false,
      maxRetriesPerRequest: null,
    } as RedisOptions & { replyMapping?: 'legacy' })
    // One that is away matters only when a master is looked for, and is told there.
    redis.on('error', () => {})
    redis.on('ready', () => redis.subscribe(CHANNEL).catch(() => {}))
    redis.on('message', (_: string, text: string) => {
      if (text.startsWith(`${master} `)) switched()
    })
    return redis
  })
  const pings = setInterval(() => {
    for (const redis of sentinels) if (redis.status === 'ready') redis.ping().catch(() => {})
  }, PING_MS)
  pings.unref()
  return () => {
    clearInterval(pings)
    for (const redis of sentinels) redis.disconnect()
  }
}
