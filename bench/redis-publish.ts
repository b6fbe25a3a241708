/** What the promises cost a publisher on Redis: beside a stream that promises nothing. */

import { EVENT_BYTES } from './load.ts'
import { type Answer, type Context, compare, type Question, Rounds } from './question.ts'
import type { PublisherCalls } from './roles/publisher.ts'
import type { StreamsCalls } from './roles/streams.ts'

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
  ask,
}

async function ask({ scale, processes, note }: Context): Promise<Answer> {
  const { rounds, events } = SIZES[scale]
  const redis = await processes.startRedis(APPENDFSYNC)
  const [hub, sdk, raw] = await Promise.all([
    processes.startHub('hub', redis.url),
    processes.start<PublisherCalls>('publisher'),
    processes.start<StreamsCalls>('streams'),
  ])
  await sdk.ask('open', { url: hub.url, to: 'hub' })
  await raw.ask('open', { url: redis.url })

  const figures = new Rounds()
  // The first round warms both up.
  for (let round = scale === 'smoke' ? 1 : 0; round <= rounds; round++) {
    const { ms } = await sdk.ask('toHub', { topic: TOPIC, count: events, outstanding: OUTSTANDING })
    const rawMs = await raw.ask('add', { count: events, outstanding: OUTSTANDING, together: PIPELINE })
    if (round === 0) continue
    figures.add('hub', (events * 1_000) / ms)
    figures.add('raw', (events * 1_000) / rawMs)
    note(`round ${round} of ${rounds}`)
  }

  const subject = { ...figures.series('hub'), name: 'SDK and hub' }
  return {
    settings: {
      'event bytes': EVENT_BYTES,
      'events a round': events,
      outstanding: OUTSTANDING,
      'raw pipeline': PIPELINE,
      rounds,
      appendfsync: APPENDFSYNC,
    },
    findings: [
      {
        what: 'publish on Redis',
        unit: 'events/s',
        subject,
        comparisons: [
          compare(subject, { ...figures.series('raw'), name: 'XADD pipelined, ioredis' }, { of: 'ratio', least: 0.6 }),
        ],
      },
    ],
    notes: [
      'one Redis for both; the SDK, the hub and Redis are three busy processes, the raw client and Redis two',
      'every receipt of the hub is checked: a later offset than the one before',
    ],
  }
}
