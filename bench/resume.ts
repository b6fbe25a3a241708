/** Whether coming back costs more when much has happened elsewhere meanwhile. */

import { type Answer, type Context, compare, type Question, Rounds } from './question.ts'
import type { PlainCalls } from './roles/plain.ts'
import type { PublisherCalls } from './roles/publisher.ts'
import type { ReaderCalls } from './roles/reader.ts'
import type { RecoveredCalls } from './roles/recovered.ts'

const SIZES = {
  full: { clients: 15, few: 1_000, many: 1_000_000 },
  quick: { clients: 10, few: 1_000, many: 100_000 },
  smoke: { clients: 2, few: 100, many: 1_000 },
}
const MISSED = 10
const OTHERS = 20

export const resume: Question = {
  name: 'resume',
  about: 'time to the tenth missed event after few and many events of other topics',
  ask,
}

async function ask({ scale, processes, note }: Context): Promise<Answer> {
  const { clients, few, many } = SIZES[scale]
  const topics = Array.from({ length: clients }, (_, i) => `mine-${i}`)
  const others = Array.from({ length: OTHERS }, (_, i) => `other-${i}`)
  const [hubFew, hubMany] = await Promise.all([awayFromHub(few), awayFromHub(many)])
  note('the hubs are ready')
  const [peerFew, peerMany] = await Promise.all([awayFromPlain(few), awayFromPlain(many)])
  note('the peers are ready')

  const figures = new Rounds()
  for (const topic of topics) {
    figures.add('few', await hubFew.ask('resume', { topic, missed: MISSED }))
    figures.add('many', await hubMany.ask('resume', { topic, missed: MISSED }))
    figures.add('peer few', await peerFew.ask('resume', { room: topic, missed: MISSED }))
    figures.add('peer many', await peerMany.ask('resume', { room: topic, missed: MISSED }))
  }

  const subject = { ...figures.series('many'), name: `hub, ${many} events of others` }
  const peer = { ...figures.series('peer many'), name: `Socket.IO recovery, ${many} events of others` }
  return {
    settings: { clients, missed: MISSED, 'events of others': `${few} and ${many}, in ${OTHERS} topics` },
    findings: [
      {
        what: 'back to the tenth missed event',
        unit: 'ms',
        subject,
        comparisons: [
          compare(
            subject,
            { ...figures.series('few'), name: `hub, ${few} events of others` },
            { of: 'ratio', most: 1.5 },
          ),
          compare(subject, peer),
        ],
      },
      {
        what: 'the same of the peer',
        unit: 'ms',
        subject: peer,
        comparisons: [
          compare(peer, { ...figures.series('peer few'), name: `Socket.IO recovery, ${few} events of others` }),
        ],
      },
    ],
    notes: [
      'all clients are cut off at once; half of the missed events come before those of others, half after; clients come back one by one',
      'from opening the transport to the handler; the hub also begins a session in its store, on disk, before it answers',
      'the peer keeps its events in the memory of one process (in-memory adapter); the hub keeps them on disk',
    ],
  }

  async function awayFromHub(foreign: number) {
    const [hub, reader, publisher] = await Promise.all([
      processes.startHub(),
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

  async function awayFromPlain(foreign: number) {
    const [server, client] = await Promise.all([
      processes.start<PlainCalls>('plain'),
      processes.start<RecoveredCalls>('recovered'),
    ])
    const url = await server.ask('start', { recovery: true })
    await client.ask('attach', { url, rooms: topics })
    await client.ask('cut')
    await server.ask('fill', { rooms: topics, each: MISSED / 2 })
    await server.ask('fill', { rooms: others, each: foreign / OTHERS })
    await server.ask('fill', { rooms: topics, each: MISSED / 2 })
    return client
  }
}
