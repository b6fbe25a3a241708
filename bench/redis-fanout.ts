/** Whether the shared store gives events to 100 sockets as fast as the embedded one. */

import { EVENT_BYTES } from './load.ts'
import { type Answer, type Context, compare, type Question, Rounds } from './question.ts'
import type { PublisherCalls } from './roles/publisher.ts'
import type { SubscriberCalls } from './roles/subscribers.ts'

const SIZES = {
  full: { sockets: 100, rounds: 7, events: 60_000 },
  quick: { sockets: 100, rounds: 3, events: 25_000 },
  smoke: { sockets: 5, rounds: 1, events: 400 },
}
const OUTSTANDING = 1_000
const APPENDFSYNC = 'everysec'
const TOPIC = 'bench'

export const redisFanout: Question = {
  name: 'redis-fanout',
  about: 'events a second to 100 sockets, saturated, on Redis and on the embedded store',
  ask,
}

async function ask({ scale, processes, note }: Context): Promise<Answer> {
  const { sockets, rounds, events } = SIZES[scale]
  const redis = await processes.startRedis(APPENDFSYNC)
  const [onRedis, onLmdb] = await Promise.all([openSide(redis.url), openSide(undefined)])

  const figures = new Rounds()
  let fellBehind = 0
  // The first round warms both up.
  for (let round = scale === 'smoke' ? 1 : 0; round <= rounds; round++) {
    const ours = await measure(onRedis)
    const theirs = await measure(onLmdb)
    if (round === 0) continue
    fellBehind += ours.fellBehind
    figures.add('redis', ours.rate)
    figures.add('lmdb', theirs.rate)
    figures.add('redis packet', ours.together)
    figures.add('lmdb packet', theirs.together)
    note(`round ${round} of ${rounds}`)
  }

  const subject = { ...figures.series('redis'), name: 'hub on Redis' }
  const packet = { ...figures.series('redis packet'), name: 'hub on Redis' }
  return {
    settings: {
      sockets,
      'event bytes': EVENT_BYTES,
      'events a round': events,
      outstanding: OUTSTANDING,
      rounds,
      appendfsync: APPENDFSYNC,
    },
    findings: [
      {
        what: 'fan-out',
        unit: 'delivered events/s',
        subject,
        comparisons: [
          compare(subject, { ...figures.series('lmdb'), name: 'hub on LMDB, with fsync' }, { of: 'ratio', least: 0.8 }),
        ],
      },
      {
        what: 'size of a packet',
        unit: 'events',
        subject: packet,
        comparisons: [compare(packet, { ...figures.series('lmdb packet'), name: 'hub on LMDB' })],
      },
    ],
    notes: [
      'from the first call of publish to the last event of the last socket; every event of every socket is checked: once, in order',
      'Redis is one process more that is busy; LMDB syncs before each answer, Redis once a second',
      ...(fellBehind > 0 ? [`${fellBehind} times a socket fell behind and was served by reading`] : []),
    ],
  }

  async function openSide(store: string | undefined) {
    const [{ url }, subscribers, publisher] = await Promise.all([
      processes.startHub(store === undefined ? 'hub-lmdb' : 'hub-redis', store),
      processes.start<SubscriberCalls>('subscribers'),
      processes.start<PublisherCalls>('publisher'),
    ])
    await subscribers.ask('open', { url, to: 'hub', topic: TOPIC, count: sockets })
    await publisher.ask('open', { url, to: 'hub' })
    return { subscribers, publisher }
  }

  async function measure({ subscribers, publisher }: Awaited<ReturnType<typeof openSide>>) {
    // The publisher's first event of a round is one more.
    await subscribers.ask('arm', { total: events + 1 })
    const { startedAt } = await publisher.ask('toHub', { topic: TOPIC, count: events, outstanding: OUTSTANDING })
    const { endedAt, deliveries, packets, fellBehind } = await subscribers.ask('arrived')
    return { rate: (deliveries * 1_000) / (endedAt - startedAt), together: deliveries / packets, fellBehind }
  }
}
