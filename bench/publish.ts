/** What durability costs a publisher: beside the store without a hub, and a Socket.IO round trip without a store. */

import { EVENT_BYTES } from './load.ts'
import { type Answer, type Context, compare, type Question, Rounds } from './question.ts'
import type { PlainCalls } from './roles/plain.ts'
import type { PublisherCalls } from './roles/publisher.ts'
import type { RawCalls } from './roles/raw.ts'

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
  ask,
}

async function ask({ scale, processes, note }: Context): Promise<Answer> {
  const { rounds, events, rawEvents, single } = SIZES[scale]
  const [hub, sdk, server, client, raw] = await Promise.all([
    processes.startHub(),
    processes.start<PublisherCalls>('publisher'),
    processes.start<PlainCalls>('plain'),
    processes.start<PublisherCalls>('publisher'),
    processes.start<RawCalls>('raw'),
  ])
  await sdk.ask('open', { url: hub.url, to: 'hub' })
  await client.ask('open', { url: await server.ask('start', { recovery: false }), to: 'plain' })
  await raw.ask('open', { folder: await processes.dataFolder() })

  const figures = new Rounds()
  // The first round warms all of them up.
  for (let round = scale === 'smoke' ? 1 : 0; round <= rounds; round++) {
    const { ms } = await sdk.ask('toHub', { topic: TOPIC, count: events, outstanding: OUTSTANDING })
    const rawMs = await raw.ask('write', { count: rawEvents, together: RAW_GROUP })
    const hubSingle = await sdk.ask('oneAtATime', { to: 'hub', topic: TOPIC, count: single })
    const put = await raw.ask('oneAtATime', { count: single })
    const roundTrip = await client.ask('oneAtATime', { to: 'plain', topic: TOPIC, count: single })
    if (round === 0) continue
    figures.add('hub', (events * 1_000) / ms)
    figures.add('raw', (rawEvents * 1_000) / rawMs)
    figures.add('single', hubSingle)
    figures.add('put', put)
    figures.add('round trip', roundTrip)
    figures.add('sum', put + roundTrip)
    note(`round ${round} of ${rounds}`)
  }

  const rate = { ...figures.series('hub'), name: 'SDK and hub' }
  const time = { ...figures.series('single'), name: 'SDK and hub' }
  return {
    settings: {
      'event bytes': EVENT_BYTES,
      'events a round': `${events} (${rawEvents} raw)`,
      outstanding: OUTSTANDING,
      'raw group': RAW_GROUP,
      'single events a round': single,
      rounds,
    },
    findings: [
      {
        what: 'publish',
        unit: 'events/s',
        subject: rate,
        comparisons: [
          compare(
            rate,
            { ...figures.series('raw'), name: 'lmdb alone, flushed group commits' },
            { of: 'ratio', least: 0.25 },
          ),
        ],
      },
      {
        what: 'one at a time',
        unit: 'ms',
        subject: time,
        comparisons: [
          compare(
            time,
            { ...figures.series('sum'), name: 'flushed put + Socket.IO reply' },
            { of: 'ratio', most: 1.3 },
          ),
          compare(time, { ...figures.series('put'), name: 'flushed put alone' }),
          compare(time, { ...figures.series('round trip'), name: 'Socket.IO reply alone' }),
        ],
      },
    ],
    notes: [
      'raw: one record an event, the same bytes for each, two groups under way, each resolved by `flushed`',
      'every receipt of the hub is checked: a later offset than the one before',
    ],
  }
}
