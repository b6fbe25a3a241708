/** The hub beside NATS, a server in Go with streams on disk. Only where `nats-server` is installed. */

import type { Opening, Plan, Question, Scale } from '../question.ts'
import type { NatsCalls } from '../roles/nats.ts'
import type { NatsReadersCalls } from '../roles/natsReaders.ts'
import type { PublisherCalls } from '../roles/publisher.ts'
import { openCrowd } from '../scenes/crowds.ts'
import { EVENT_BYTES } from '../scenes/load.ts'

const SIZES = {
  full: { sockets: 100, rounds: 5, publish: 100_000, fanout: 30_000 },
  quick: { sockets: 100, rounds: 3, publish: 40_000, fanout: 10_000 },
  smoke: { sockets: 4, rounds: 1, publish: 300, fanout: 300 },
}
const OUTSTANDING = 1_000
const TOPIC = 'bench'
const SUBJECT = 'events'
const STREAM = 'bench'

export const nats: Question = {
  name: 'nats',
  about: 'publish and fan-out to 100 connections, beside NATS with a stream on disk and without one',
  needs: ['nats-server'],
  plan,
}

function plan(scale: Scale): Plan {
  const { sockets, rounds, publish, fanout } = SIZES[scale]
  return {
    settings: {
      'event bytes': EVENT_BYTES,
      'events a round': `${publish} published, ${fanout} to ${sockets} connections`,
      outstanding: OUTSTANDING,
    },
    rounds,
    warmUp: true,
    hubs: {
      hub: async (processes) => {
        const [alone, busy] = await Promise.all([processes.startHub(), processes.startHub()])
        const publisher = await processes.start<PublisherCalls>('publisher')
        await publisher.ask('open', { url: alone.url, to: 'hub' })
        const crowd = await openCrowd(processes, busy.url, sockets)
        return {
          measure: async () => {
            const { ms } = await publisher.ask('toHub', { topic: TOPIC, count: publish, outstanding: OUTSTANDING })
            const { rate } = await crowd.saturate({ events: fanout, outstanding: OUTSTANDING })
            return { publish: (publish * 1_000) / ms, fanout: rate }
          },
        }
      },
    },
    peers: { stream: openStream(), core: openCore() },
    findings: [
      {
        what: 'publish, each with its receipt',
        unit: 'events/s',
        better: 'more',
        subject: { of: 'hub.publish', name: 'SDK and hub, with fsync' },
        beside: [{ of: 'stream.publish', name: 'NATS, a stream on disk, fsync every 2 minutes' }],
      },
      {
        what: `fan-out to ${sockets} connections`,
        unit: 'delivered events/s',
        better: 'more',
        subject: { of: 'hub.fanout', name: 'hub, durable first, with fsync' },
        beside: [
          { of: 'stream.fanout', name: 'NATS, a consumer of the stream each' },
          { of: 'core.fanout', name: 'NATS, nothing stored' },
        ],
      },
    ],
    notes: () => [
      'NATS has its defaults: it answers when an event is written, and syncs its files every two minutes; the hub answers when the disk has it',
      'NATS speaks its own protocol over TCP, with one message an event; the hub speaks Socket.IO over WebSocket, with packets of many events',
      'the clients of NATS are as little as the protocol allows; each event of each connection is checked: once, in order',
      'nobody acknowledges',
    ],
  }

  function openStream(): Opening {
    return async (processes) => {
      const [alone, busy] = await Promise.all([processes.startNats(), processes.startNats()])
      const [publisher, sender, readers] = await Promise.all([
        processes.start<NatsCalls>('nats'),
        processes.start<NatsCalls>('nats'),
        processes.start<NatsReadersCalls>('natsReaders'),
      ])
      await publisher.ask('open', { port: alone.port, subject: SUBJECT, stream: true })
      await sender.ask('open', { port: busy.port, subject: SUBJECT, stream: true })
      await readers.ask('open', { port: busy.port, subject: SUBJECT, count: sockets, stream: STREAM })
      return {
        measure: async () => {
          const { ms } = await publisher.ask('toStream', { subject: SUBJECT, count: publish, outstanding: OUTSTANDING })
          await readers.ask('arm', { total: fanout })
          const how = { subject: SUBJECT, count: fanout, outstanding: OUTSTANDING }
          const { startedAt } = await sender.ask('toStream', how)
          return { publish: (publish * 1_000) / ms, fanout: rated(startedAt, await readers.ask('arrived')) }
        },
      }
    }
  }

  function openCore(): Opening {
    return async (processes) => {
      const { port } = await processes.startNats()
      const [sender, readers] = await Promise.all([
        processes.start<NatsCalls>('nats'),
        processes.start<NatsReadersCalls>('natsReaders'),
      ])
      await sender.ask('open', { port, subject: SUBJECT, stream: false })
      await readers.ask('open', { port, subject: SUBJECT, count: sockets })
      return {
        measure: async () => {
          await readers.ask('arm', { total: fanout })
          const how = { subject: SUBJECT, count: fanout, outstanding: OUTSTANDING }
          const { startedAt } = await sender.ask('toAll', how)
          return { fanout: rated(startedAt, await readers.ask('arrived')) }
        },
      }
    }
  }
}

function rated(startedAt: number, { endedAt, deliveries }: { endedAt: number; deliveries: number }): number {
  return (deliveries * 1_000) / (endedAt - startedAt)
}
