/** How many events a second reach 100 sockets, all of them durable first. */

import type { Plan, Question, Scale } from '../question.ts'
import { withCost } from '../scenes/costs.ts'
import { openCrowd, openPlainCrowd } from '../scenes/crowds.ts'
import { EVENT_BYTES } from '../scenes/load.ts'

const SIZES = {
  full: { sockets: 100, rounds: 5, events: 60_000, eventsEach: 3_000 },
  quick: { sockets: 100, rounds: 3, events: 25_000, eventsEach: 1_500 },
  smoke: { sockets: 5, rounds: 1, events: 400, eventsEach: 100 },
}
const OUTSTANDING = 1_000
/** Events that the publisher of the first peer puts into one packet: as many as the SDK at most. */
const SDK_PACKET = 250

export const fanout: Question = {
  name: 'fanout',
  about: 'events a second to 100 sockets, saturated, with fsync',
  plan,
}

function plan(scale: Scale): Plan {
  const { sockets, rounds, events, eventsEach } = SIZES[scale]
  let together = 1
  let fellBehind = 0
  return {
    settings: {
      sockets,
      'event bytes': EVENT_BYTES,
      'events a round': `${events} (${eventsEach} with one packet an event)`,
      outstanding: OUTSTANDING,
    },
    rounds,
    warmUp: true,
    hubs: {
      hub: async (processes) => {
        const hub = await processes.startHub()
        const crowd = await openCrowd(processes, hub.url, sockets)
        return {
          measure: async () => {
            const { answer, us } = await withCost([hub], () => crowd.saturate({ events, outstanding: OUTSTANDING }))
            const { rate, packet, behind } = answer
            together = Math.max(1, Math.round(packet))
            fellBehind += behind
            return { rate, packet, cost: us / events }
          },
        }
      },
    },
    peers: {
      plain: async (processes) => {
        const crowd = await openPlainCrowd(processes, sockets)
        return {
          measure: async () => {
            const outstanding = OUTSTANDING
            const each = await crowd.saturate({
              events: eventsEach,
              outstanding,
              together: SDK_PACKET,
              packing: 'each',
            })
            const batches = await crowd.saturate({ events, outstanding, together, packing: 'together' })
            return { each: each.rate, together: batches.rate }
          },
        }
      },
    },
    findings: [
      {
        what: 'fan-out',
        unit: 'delivered events/s',
        better: 'more',
        subject: { of: 'hub.rate', name: 'hub' },
        beside: [
          { of: 'plain.each', name: 'plain Socket.IO, one packet an event', target: { of: 'ratio', least: 8 } },
          { of: 'plain.together', name: 'plain Socket.IO, the same batches', target: { of: 'ratio', least: 0.7 } },
        ],
      },
      {
        what: 'size of a packet',
        unit: 'events',
        better: 'more',
        subject: { of: 'hub.packet', name: 'hub' },
        beside: [],
      },
      {
        what: "the hub's processor time",
        unit: 'µs for an event to all sockets',
        better: 'less',
        subject: { of: 'hub.cost', name: 'hub' },
        beside: [],
      },
    ],
    notes: () => [
      'from the first call of publish to the last event of the last socket; hub, peer, publishers and subscribers are processes of their own; every event of every socket is checked: once, in order',
      "publishers are across the wire: the SDK, or socket.io-client with a reply to each packet; the peers' events come in packets, too",
      'subscribers are socket.io-client with a parser that parses a packet once for all sockets of its process, for hub and peers alike',
      ...(fellBehind > 0 ? [`${fellBehind} times a socket fell behind and was served by reading`] : []),
    ],
  }
}
