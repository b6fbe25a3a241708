/** What durability costs a publisher: beside the store without a hub, and a Socket.IO round trip without a store. */

import type { Plan, Question, Scale } from '../question.ts'
import type { PlainCalls } from '../roles/plain.ts'
import type { PublisherCalls } from '../roles/publisher.ts'
import type { RawCalls } from '../roles/raw.ts'
import { withCost } from '../scenes/costs.ts'
import { EVENT_BYTES } from '../scenes/load.ts'

const SIZES = {
  full: { rounds: 5, events: 150_000, rawEvents: 300_000, single: 300 },
  quick: { rounds: 3, events: 60_000, rawEvents: 200_000, single: 200 },
  smoke: { rounds: 1, events: 500, rawEvents: 1_000, single: 10 },
}
const OUTSTANDING = 1_000
const RAW_GROUP = 500
const TOPIC = 'bench'

export const publish: Question = {
  name: 'publish',
  about: 'durable events a second from one SDK client, and how long a single one takes',
  plan,
}

function plan(scale: Scale): Plan {
  const { rounds, events, rawEvents, single } = SIZES[scale]
  return {
    settings: {
      'event bytes': EVENT_BYTES,
      'events a round': `${events} (${rawEvents} raw)`,
      outstanding: OUTSTANDING,
      'raw group': RAW_GROUP,
      'single events a round': single,
    },
    rounds,
    warmUp: true,
    hubs: {
      hub: async (processes) => {
        const [hub, sdk] = await Promise.all([processes.startHub(), processes.start<PublisherCalls>('publisher')])
        await sdk.ask('open', { url: hub.url, to: 'hub' })
        return {
          measure: async () => {
            const { answer, us } = await withCost([hub], () =>
              sdk.ask('toHub', { topic: TOPIC, count: events, outstanding: OUTSTANDING }),
            )
            const one = await sdk.ask('oneAtATime', { to: 'hub', topic: TOPIC, count: single })
            return { rate: (events * 1_000) / answer.ms, cost: us / events, single: one }
          },
        }
      },
    },
    peers: {
      raw: async (processes) => {
        const [server, client, raw] = await Promise.all([
          processes.start<PlainCalls>('plain'),
          processes.start<PublisherCalls>('publisher'),
          processes.start<RawCalls>('raw'),
        ])
        await client.ask('open', { url: await server.ask('start', { recovery: false }), to: 'plain' })
        await raw.ask('open', { folder: await processes.dataFolder() })
        return {
          measure: async () => {
            const ms = await raw.ask('write', { count: rawEvents, together: RAW_GROUP })
            const put = await raw.ask('oneAtATime', { count: single })
            const roundTrip = await client.ask('oneAtATime', { to: 'plain', topic: TOPIC, count: single })
            return { rate: (rawEvents * 1_000) / ms, put, roundTrip, sum: put + roundTrip }
          },
        }
      },
    },
    findings: [
      {
        what: 'publish',
        unit: 'events/s',
        better: 'more',
        subject: { of: 'hub.rate', name: 'SDK and hub' },
        beside: [{ of: 'raw.rate', name: 'lmdb alone, flushed group commits', target: { of: 'ratio', least: 0.25 } }],
      },
      {
        what: 'one at a time',
        unit: 'ms',
        better: 'less',
        subject: { of: 'hub.single', name: 'SDK and hub' },
        beside: [
          { of: 'raw.sum', name: 'flushed put + Socket.IO reply', target: { of: 'ratio', most: 1.3 } },
          { of: 'raw.put', name: 'flushed put alone' },
          { of: 'raw.roundTrip', name: 'Socket.IO reply alone' },
        ],
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
      'raw: one record an event, the same bytes for each, two groups under way, each resolved by `flushed`',
      'every receipt of the hub is checked: a later offset than the one before',
    ],
  }
}
