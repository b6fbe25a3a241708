/** How far the hub is from what the wire allows: the same bytes in the same batches, by bare `ws`. */

import type { Opening, Plan, Question, Scale } from '../question.ts'
import type { FramerCalls } from '../roles/framer.ts'
import type { FramesCalls } from '../roles/frames.ts'
import type { PublisherCalls } from '../roles/publisher.ts'
import type { SocketsCalls } from '../roles/sockets.ts'
import { EVENT_BYTES } from '../scenes/load.ts'

const SIZES = {
  full: { rounds: 5, few: { sockets: 100, events: 60_000 }, many: { sockets: 1_000, events: 8_000 } },
  quick: { rounds: 3, few: { sockets: 100, events: 25_000 }, many: { sockets: 1_000, events: 4_000 } },
  smoke: { rounds: 1, few: { sockets: 5, events: 400 }, many: { sockets: 10, events: 400 } },
}
const OUTSTANDING = 1_000
const TOPIC = 'bench'

export const limit: Question = {
  name: 'limit',
  about: 'events a second to 100 and to 1,000 sockets, beside the same bytes in the same batches by bare ws',
  plan,
}

interface Size {
  readonly sockets: number
  readonly events: number
}

function plan(scale: Scale): Plan {
  const { rounds, few, many } = SIZES[scale]
  const finding = (name: string, { sockets }: Size) => ({
    what: `fan-out to ${sockets} sockets`,
    unit: 'delivered events/s',
    better: 'more' as const,
    subject: { of: `${name}.rate`, name: 'hub, durable first' },
    beside: [{ of: `ws-${name}.rate`, name: 'ws, the same bytes and batches' }],
  })
  const packets: Record<string, number> = {}
  return {
    settings: {
      'events a round': `${few.events} to ${few.sockets}, ${many.events} to ${many.sockets}`,
      'event bytes': EVENT_BYTES,
      outstanding: OUTSTANDING,
    },
    rounds,
    warmUp: true,
    hubs: { few: openHub('few', few), many: openHub('many', many) },
    peers: { 'ws-few': openWs('few', few), 'ws-many': openWs('many', many) },
    findings: [
      finding('few', few),
      finding('many', many),
      {
        what: 'size of a packet',
        unit: 'events',
        better: 'more',
        subject: { of: 'few.packet', name: `hub, ${few.sockets} sockets` },
        beside: [{ of: 'many.packet', name: `hub, ${many.sockets} sockets` }],
      },
    ],
    notes: () => [
      'from the first call of publish to the last event of the last socket; publisher, server and subscribers are processes of their own; every event of every socket is checked: once, in order',
      'ws: the publisher makes the very text that the hub sends, the server builds one frame of it and writes that to each socket; it looks at nothing, keeps nothing and waits for no disk',
      'subscribers are bare WebSocket clients, for the hub and for ws alike; each packet is parsed for one of them and compared, byte by byte, for the others',
    ],
  }

  function openHub(name: string, { sockets, events }: Size): Opening {
    return async (processes) => {
      const [hub, subscribers, publisher] = await Promise.all([
        processes.startHub(),
        processes.start<SocketsCalls>('sockets'),
        processes.start<PublisherCalls>('publisher'),
      ])
      await subscribers.ask('open', { url: hub.url, to: 'hub', topic: TOPIC, count: sockets })
      await publisher.ask('open', { url: hub.url, to: 'hub' })
      return {
        measure: async () => {
          // The publisher's first event of a round is one more.
          await subscribers.ask('arm', { total: events + 1 })
          const { startedAt } = await publisher.ask('toHub', { topic: TOPIC, count: events, outstanding: OUTSTANDING })
          const { endedAt, deliveries, packets: taken } = await subscribers.ask('arrived')
          const packet = deliveries / taken
          packets[name] = packet
          return { rate: (deliveries * 1_000) / (endedAt - startedAt), packet }
        },
      }
    }
  }

  function openWs(name: string, { sockets, events }: Size): Opening {
    return async (processes) => {
      const [server, subscribers, publisher] = await Promise.all([
        processes.start<FramesCalls>('frames'),
        processes.start<SocketsCalls>('sockets'),
        processes.start<FramerCalls>('framer'),
      ])
      const url = await server.ask('start')
      await subscribers.ask('open', { url, to: 'ws', topic: TOPIC, count: sockets })
      await publisher.ask('open', { url, topic: TOPIC })
      return {
        measure: async () => {
          await subscribers.ask('arm', { total: events })
          const together = Math.max(1, Math.round(packets[name] ?? 1))
          const { startedAt } = await publisher.ask('send', { count: events, outstanding: OUTSTANDING, together })
          const { endedAt, deliveries } = await subscribers.ask('arrived')
          return { rate: (deliveries * 1_000) / (endedAt - startedAt) }
        },
      }
    }
  }
}
