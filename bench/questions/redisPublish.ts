/** What the promises cost a publisher on Redis: beside a stream that promises nothing. */

import type { Plan, Question, Scale } from '../question.ts'
import type { PublisherCalls } from '../roles/publisher.ts'
import type { StreamsCalls } from '../roles/streams.ts'
import { withCost } from '../scenes/costs.ts'
import { EVENT_BYTES } from '../scenes/load.ts'

const SIZES = {
  full: { rounds: 7, events: 100_000 },
  quick: { rounds: 3, events: 60_000 },
  smoke: { rounds: 1, events: 500 },
}
const OUTSTANDING = 1_000
/** Two pipelines under way. */
const PIPELINE = 500
const APPENDFSYNC = 'everysec'
const TOPIC = 'bench'

export const redisPublish: Question = {
  name: 'redis-publish',
  about: 'events a second from one SDK client to a hub on Redis',
  needs: ['redis-server'],
  plan,
}

function plan(scale: Scale): Plan {
  const { rounds, events } = SIZES[scale]
  return {
    settings: {
      'event bytes': EVENT_BYTES,
      'events a round': events,
      outstanding: OUTSTANDING,
      'raw pipeline': PIPELINE,
      appendfsync: APPENDFSYNC,
    },
    rounds,
    warmUp: true,
    hubs: {
      hub: async (processes) => {
        const redis = await processes.startRedis(APPENDFSYNC)
        const [hub, sdk] = await Promise.all([
          processes.startHub('hub', redis.url),
          processes.start<PublisherCalls>('publisher'),
        ])
        await sdk.ask('open', { url: hub.url, to: 'hub' })
        return {
          measure: async () => {
            const { answer, us } = await withCost([hub], () =>
              sdk.ask('toHub', { topic: TOPIC, count: events, outstanding: OUTSTANDING }),
            )
            return { rate: (events * 1_000) / answer.ms, cost: us / events }
          },
        }
      },
    },
    peers: {
      raw: async (processes) => {
        const redis = await processes.startRedis(APPENDFSYNC)
        const raw = await processes.start<StreamsCalls>('streams')
        await raw.ask('open', { url: redis.url })
        return {
          measure: async () => {
            const ms = await raw.ask('add', { count: events, outstanding: OUTSTANDING, together: PIPELINE })
            return { rate: (events * 1_000) / ms }
          },
        }
      },
    },
    findings: [
      {
        what: 'publish on Redis',
        unit: 'events/s',
        better: 'more',
        subject: { of: 'hub.rate', name: 'SDK and hub' },
        beside: [{ of: 'raw.rate', name: 'XADD pipelined, ioredis', target: { of: 'ratio', least: 0.75 } }],
      },
      {
        what: "the hub's processor time",
        unit: 'µs for a published event',
        better: 'less',
        subject: { of: 'hub.cost', name: 'hub' },
        beside: [],
      },
    ],
    notes: () => [
      'a Redis for each side, with the same settings; the SDK, the hub and Redis are three busy processes, the raw client and Redis two',
      'every receipt of the hub is checked: a later offset than the one before',
    ],
  }
}
