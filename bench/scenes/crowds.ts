/** A publisher and many sockets around one server: how fast everything gets to all of them. */

import type { Processes } from '../processes.ts'
import type { Packing, PlainCalls } from '../roles/plain.ts'
import type { PublisherCalls } from '../roles/publisher.ts'
import type { SubscriberCalls } from '../roles/subscribers.ts'

const TOPIC = 'bench'

export interface Saturated {
  /** Delivered events a second, from the first call of publish to the last event of the last socket. */
  readonly rate: number
  /** Events in a packet. */
  readonly packet: number
  /** How many sockets fell behind and were served by reading. */
  readonly behind: number
}

/** Around a hub; the publisher is the SDK. `token`: what all of them show. */
export async function openCrowd(processes: Processes, url: string, sockets: number, token?: string) {
  const { subscribers, publisher } = await openBoth(processes, url, 'hub', sockets, token)
  return {
    subscribers,
    publisher,
    async saturate({ events, outstanding }: { events: number; outstanding: number }): Promise<Saturated> {
      // The publisher's first event of a round is one more.
      await subscribers.ask('arm', { total: events + 1 })
      const { startedAt } = await publisher.ask('toHub', { topic: TOPIC, count: events, outstanding })
      return saturated(startedAt, await subscribers.ask('arrived'))
    },
  }
}

/** Around a plain Socket.IO server of its own. */
export async function openPlainCrowd(processes: Processes, sockets: number) {
  const server = await processes.start<PlainCalls>('plain')
  const url = await server.ask('start', { recovery: false })
  const { subscribers, publisher } = await openBoth(processes, url, 'plain', sockets)
  return {
    server,
    url,
    async saturate({ events, ...how }: { events: number; outstanding: number; together: number; packing: Packing }) {
      await subscribers.ask('arm', { total: events })
      const { startedAt } = await publisher.ask('toPlain', { room: TOPIC, count: events, ...how })
      return saturated(startedAt, await subscribers.ask('arrived'))
    },
  }
}

async function openBoth(processes: Processes, url: string, to: 'hub' | 'plain', sockets: number, token?: string) {
  const [subscribers, publisher] = await Promise.all([
    processes.start<SubscriberCalls>('subscribers'),
    processes.start<PublisherCalls>('publisher'),
  ])
  const shown = token === undefined ? {} : { token }
  await subscribers.ask('open', { url, to, topic: TOPIC, count: sockets, ...shown })
  await publisher.ask('open', { url, to, ...shown })
  return { subscribers, publisher }
}

function saturated(
  startedAt: number,
  { endedAt, packets, deliveries, fellBehind }: Awaited<ReturnType<SubscriberCalls['arrived']>>,
): Saturated {
  return { rate: (deliveries * 1_000) / (endedAt - startedAt), packet: deliveries / packets, behind: fellBehind }
}
