/** How many events a second reach 100 sockets, all of them durable first. */

import { EVENT_BYTES } from './load.ts'
import { type Answer, type Context, compare, type Question, Rounds } from './question.ts'
import type { Packing, PlainCalls } from './roles/plain.ts'
import type { PublisherCalls } from './roles/publisher.ts'
import type { SubscriberCalls } from './roles/subscribers.ts'

const SIZES = {
  full: { sockets: 100, rounds: 5, events: 60_000, eventsEach: 3_000 },
  quick: { sockets: 100, rounds: 3, events: 25_000, eventsEach: 1_500 },
  smoke: { sockets: 5, rounds: 1, events: 400, eventsEach: 100 },
}
const OUTSTANDING = 1_000
const TOPIC = 'bench'
const UNIT = 'delivered events/s'
/** Events that the publisher of the first peer puts into one packet: as many as the SDK at most. */
const SDK_PACKET = 250

export const fanout: Question = {
  name: 'fanout',
  about: 'events a second to 100 sockets, saturated, with fsync',
  ask,
}

async function ask({ scale, processes, note }: Context): Promise<Answer> {
  const { sockets, rounds, events, eventsEach } = SIZES[scale]
  const [hub, plain] = await Promise.all([processes.startHub(), processes.start<PlainCalls>('plain')])
  const plainUrl = await plain.ask('start', { recovery: false })
  const [hubSide, plainSide] = await Promise.all([openSide(hub.url, 'hub'), openSide(plainUrl, 'plain')])

  const figures = new Rounds()
  let fellBehind = 0
  // The first round warms all of them up.
  for (let round = scale === 'smoke' ? 1 : 0; round <= rounds; round++) {
    const ours = await measureHub()
    const together = Math.max(1, Math.round((events * sockets) / ours.packets))
    const each = await measurePlain(eventsEach, SDK_PACKET, 'each')
    const batches = await measurePlain(events, together, 'together')
    if (round === 0) continue
    fellBehind += ours.fellBehind
    figures.add('hub', ours.rate)
    figures.add('batch', together)
    figures.add('each', each.rate)
    figures.add('together', batches.rate)
    note(`round ${round} of ${rounds}`)
  }

  const subject = figures.series('hub')
  return {
    settings: {
      sockets,
      'event bytes': EVENT_BYTES,
      'events a round': `${events} (${eventsEach} with one packet an event)`,
      outstanding: OUTSTANDING,
      rounds,
    },
    findings: [
      {
        what: 'fan-out',
        unit: UNIT,
        subject: { ...subject, name: 'hub' },
        comparisons: [
          compare(
            subject,
            { ...figures.series('each'), name: 'plain Socket.IO, one packet an event' },
            { of: 'ratio', least: 8 },
          ),
          compare(
            subject,
            { ...figures.series('together'), name: 'plain Socket.IO, the same batches' },
            { of: 'ratio', least: 0.7 },
          ),
        ],
      },
      {
        what: 'size of a packet',
        unit: 'events',
        subject: { ...figures.series('batch'), name: 'hub' },
        comparisons: [],
      },
    ],
    notes: [
      'from the first call of publish to the last event of the last socket; hub, peer, publishers and subscribers are processes of their own; every event of every socket is checked: once, in order',
      "publishers are across the wire: the SDK, or socket.io-client with a reply to each packet; the peers' events come in packets, too",
      'subscribers are socket.io-client with a parser that parses a packet once for all sockets of its process, for hub and peers alike',
      ...(fellBehind > 0 ? [`${fellBehind} times a socket fell behind and was served by reading`] : []),
    ],
  }

  async function openSide(url: string, to: 'hub' | 'plain') {
    const [subscribers, publisher] = await Promise.all([
      processes.start<SubscriberCalls>('subscribers'),
      processes.start<PublisherCalls>('publisher'),
    ])
    await subscribers.ask('open', { url, to, topic: TOPIC, count: sockets })
    await publisher.ask('open', { url, to })
    return { subscribers, publisher }
  }

  async function measureHub() {
    const { subscribers, publisher } = hubSide
    // The publisher's first event of a round is one more.
    await subscribers.ask('arm', { total: events + 1 })
    const { startedAt } = await publisher.ask('toHub', { topic: TOPIC, count: events, outstanding: OUTSTANDING })
    return rated(startedAt, await subscribers.ask('arrived'))
  }

  async function measurePlain(count: number, together: number, packing: Packing) {
    const { subscribers, publisher } = plainSide
    await subscribers.ask('arm', { total: count })
    const params = { room: TOPIC, count, outstanding: OUTSTANDING, together, packing }
    const { startedAt } = await publisher.ask('toPlain', params)
    return rated(startedAt, await subscribers.ask('arrived'))
  }

  /** From the first call of publish to the last event of the last socket. */
  function rated<T extends { readonly endedAt: number; readonly deliveries: number }>(startedAt: number, arrived: T) {
    return { ...arrived, rate: (arrived.deliveries * 1_000) / (arrived.endedAt - startedAt) }
  }
}
