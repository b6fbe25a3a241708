/** Who consumes from a queue on this node, one by one. Looked at when somebody asks. */

import { authorize, type Caller } from '../access.ts'
import type { Consumers } from '../queues/delivery/consumers.ts'
import { checkQueue } from '../queues/draft.ts'
import { itsTurn, PAGE_WEIGHT } from '../turns.ts'
import { seesAll } from './observer.ts'

export interface ConsumerSeen {
  readonly subject: string
  readonly client: string
  /** How many jobs it takes at a time; 0 where it takes no more, and still holds some. */
  readonly credit: number
  readonly held: number
  /** For how long it has had the job that it has longest. */
  readonly longestMs?: number
  readonly leaseMs: number
  /** This node's clock. */
  readonly since: number
  /** A lease of its lapsed, and nothing was heard of it since: it gets nothing. */
  readonly silent: boolean
}

export interface ConsumersPage {
  readonly total: number
  /** Those that hold most first. */
  readonly consumers: readonly ConsumerSeen[]
}

/** As with cursors and connections: for whoever manages the queue, or may read everything. */
export async function consumersOf(
  consumers: Consumers,
  caller: Caller,
  queue: string,
  { offset, limit }: { readonly offset: number; readonly limit: number },
): Promise<ConsumersPage> {
  checkQueue(queue, 'dead')
  if (!seesAll(caller)) authorize(caller, 'admin', queue)
  await itsTurn(PAGE_WEIGHT)
  const all = [...consumers.on(queue)]
  all.sort(({ consumer: a }, { consumer: b }) => b.holds - a.holds || a.since - b.since)
  const page = all.slice(offset, offset + limit).map(({ consumer, isSilent }): ConsumerSeen => {
    const { owner, credit, holds: held, longestMs, leaseMs, since } = consumer
    const longest = longestMs === undefined ? {} : { longestMs: Math.round(longestMs) }
    return { ...owner, credit, held, ...longest, leaseMs, since, silent: isSilent }
  })
  return { total: all.length, consumers: page }
}
