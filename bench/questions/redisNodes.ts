/** What a second node costs: the processor time of all hubs for each delivered event. */

import type { Opening, Plan, Question, Scale } from '../question.ts'
import type { PublisherCalls } from '../roles/publisher.ts'
import type { SubscriberCalls } from '../roles/subscribers.ts'
import { withCost } from '../scenes/costs.ts'
import { EVENT_BYTES } from '../scenes/load.ts'

const SIZES = {
  full: { sockets: 100, rounds: 7, events: 40_000 },
  quick: { sockets: 100, rounds: 3, events: 20_000 },
  smoke: { sockets: 4, rounds: 1, events: 400 },
}
const OUTSTANDING = 1_000
const APPENDFSYNC = 'everysec'
const TOPIC = 'bench'
const MOST = 1.15

export const redisNodes: Question = {
  name: 'redis-nodes',
  about: "the hubs' processor time for a delivered event, with one node and with two",
  needs: ['redis-server'],
  plan,
}

function plan(scale: Scale): Plan {
  const { sockets, rounds, events } = SIZES[scale]
  const unit = 'ns of processor time for a delivered event'
  const single = { of: 'one.ns', name: `one node, ${sockets} sockets`, target: { of: 'ratio', most: MOST } } as const
  return {
    settings: {
      'event bytes': EVENT_BYTES,
      'events a round': events,
      outstanding: OUTSTANDING,
      appendfsync: APPENDFSYNC,
    },
    rounds,
    warmUp: true,
    hubs: {
      one: openNodes([sockets], events),
      two: openNodes([sockets, sockets], events),
      split: openNodes([sockets / 2, sockets / 2], events),
    },
    peers: {},
    findings: [
      {
        what: 'a second node with clients of its own',
        unit,
        better: 'less',
        subject: { of: 'two.ns', name: `two nodes, ${sockets} sockets each` },
        beside: [single],
      },
      {
        what: 'the same clients on two nodes',
        unit,
        better: 'less',
        subject: { of: 'split.ns', name: `two nodes, ${sockets / 2} sockets each` },
        beside: [single],
      },
    ],
    notes: () => [
      'user and system time of the hub processes together; Redis, publisher and subscribers are not in it',
      'one SDK client publishes to the first node; every event of every socket is checked: once, in order',
    ],
  }
}

/** A hub for each number of sockets, on one Redis. */
function openNodes(sockets: readonly number[], events: number): Opening {
  return async (processes) => {
    const redis = await processes.startRedis(APPENDFSYNC)
    const nodes = await Promise.all(
      sockets.map(async (count) => {
        const hub = await processes.startHub('hub', redis.url)
        const subscribers = await processes.start<SubscriberCalls>('subscribers')
        await subscribers.ask('open', { url: hub.url, to: 'hub', topic: TOPIC, count })
        return { hub, subscribers }
      }),
    )
    const publisher = await processes.start<PublisherCalls>('publisher')
    await publisher.ask('open', { url: nodes[0]?.hub.url ?? '', to: 'hub' })
    return {
      measure: async () => {
        // The publisher's first event of a round is one more.
        for (const { subscribers } of nodes) await subscribers.ask('arm', { total: events + 1 })
        const hubs = nodes.map(({ hub }) => hub)
        const { answer, us } = await withCost(hubs, async () => {
          await publisher.ask('toHub', { topic: TOPIC, count: events, outstanding: OUTSTANDING })
          return await Promise.all(nodes.map(({ subscribers }) => subscribers.ask('arrived')))
        })
        return { ns: (us * 1_000) / answer.reduce((sum, { deliveries }) => sum + deliveries, 0) }
      },
    }
  }
}
