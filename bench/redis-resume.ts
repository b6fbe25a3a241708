/** Coming back to a hub on Redis, beside Socket.IO's own recovery over Redis. */

import { type Answer, type Context, compare, type Question, Rounds } from './question.ts'
import type { PlainCalls } from './roles/plain.ts'
import type { PublisherCalls } from './roles/publisher.ts'
import type { ReaderCalls } from './roles/reader.ts'
import type { RecoveredCalls } from './roles/recovered.ts'

const SIZES = {
  full: { clients: 10, foreign: 300_000 },
  quick: { clients: 5, foreign: 100_000 },
  smoke: { clients: 2, foreign: 1_000 },
}
const MISSED = 10
const OTHERS = 20
const APPENDFSYNC = 'everysec'
/** At this many events of others; with fewer the peer has less to read. */
const AIM = { least: 20, from: 300_000 }

export const redisResume: Question = {
  name: 'redis-resume',
  about: 'time to the tenth missed event on Redis after many events of other rooms',
  ask,
}

async function ask({ scale, processes, note }: Context): Promise<Answer> {
  const { clients, foreign } = SIZES[scale]
  const topics = Array.from({ length: clients }, (_, i) => `mine-${i}`)
  const others = Array.from({ length: OTHERS }, (_, i) => `other-${i}`)
  const hubSide = await awayFromHub()
  note('the hub is ready')
  const peerSide = await awayFromPlain()
  note('the peer is ready')

  const figures = new Rounds()
  for (const topic of topics) {
    const hub = await hubSide.ask('resume', { topic, missed: MISSED })
    const peer = await peerSide.ask('resume', { room: topic, missed: MISSED })
    figures.add('hub', hub)
    figures.add('peer', peer)
  }

  const subject = { ...figures.series('peer'), name: 'Socket.IO recovery, redis-streams-adapter' }
  const hub = { ...figures.series('hub'), name: 'hub on Redis' }
  const target = foreign >= AIM.from ? ({ of: 'ratio', least: AIM.least } as const) : undefined
  return {
    settings: {
      clients,
      missed: MISSED,
      'events of others': `${foreign}, in ${OTHERS} topics`,
      appendfsync: APPENDFSYNC,
    },
    findings: [
      {
        what: 'back to the tenth missed event: how many times faster the hub is',
        unit: 'ms',
        subject,
        comparisons: [compare(subject, hub, target)],
      },
    ],
    notes: [
      'all clients are cut off at once; half of the missed events come before those of others, half after; clients come back one by one, to the hub and the peer in turn',
      'from opening the transport to the last missed event; each side has a Redis of its own with the same settings',
      'the adapter keeps all rooms in one stream, which a recovery reads from where the client was',
    ],
  }

  async function awayFromHub() {
    const redis = await processes.startRedis(APPENDFSYNC)
    const [hub, reader, publisher] = await Promise.all([
      processes.startHub('hub', redis.url),
      processes.start<ReaderCalls>('reader'),
      processes.start<PublisherCalls>('publisher'),
    ])
    await publisher.ask('open', { url: hub.url, to: 'hub' })
    await reader.ask('attach', { url: hub.url, topics })
    await reader.ask('cut')
    await publisher.ask('spread', { topics, each: MISSED / 2 })
    await publisher.ask('spread', { topics: others, each: foreign / OTHERS })
    await publisher.ask('spread', { topics, each: MISSED / 2 })
    await publisher.stop()
    return reader
  }

  async function awayFromPlain() {
    const redis = await processes.startRedis(APPENDFSYNC)
    const [server, client] = await Promise.all([
      processes.start<PlainCalls>('plain'),
      processes.start<RecoveredCalls>('recovered'),
    ])
    const url = await server.ask('start', { recovery: true, redis: redis.url })
    await client.ask('attach', { url, rooms: topics })
    await client.ask('cut')
    await server.ask('fill', { rooms: topics, each: MISSED / 2 })
    await server.ask('fill', { rooms: others, each: foreign / OTHERS })
    await server.ask('fill', { rooms: topics, each: MISSED / 2 })
    await server.ask('settled')
    return client
  }
}
