/** Whether the shared store gives events to 100 sockets as fast as the embedded one. */

import type { HubRole } from '../processes.ts'
import type { Opening, Plan, Question, Scale } from '../question.ts'
import { withCost } from '../scenes/costs.ts'
import { openCrowd } from '../scenes/crowds.ts'
import { EVENT_BYTES } from '../scenes/load.ts'

const SIZES = {
  full: { sockets: 100, rounds: 7, events: 60_000 },
  quick: { sockets: 100, rounds: 3, events: 25_000 },
  smoke: { sockets: 5, rounds: 1, events: 400 },
}
const OUTSTANDING = 1_000
const APPENDFSYNC = 'everysec'

export const redisFanout: Question = {
  name: 'redis-fanout',
  about: 'events a second to 100 sockets, saturated, on Redis and on the embedded store',
  needs: ['redis-server'],
  plan,
}

function plan(scale: Scale): Plan {
  const { sockets, rounds, events } = SIZES[scale]
  let fellBehind = 0
  const open =
    (start: (processes: Parameters<Opening>[0]) => Promise<HubRole>): Opening =>
    async (processes) => {
      const hub = await start(processes)
      const crowd = await openCrowd(processes, hub.url, sockets)
      return {
        measure: async () => {
          const { answer, us } = await withCost([hub], () => crowd.saturate({ events, outstanding: OUTSTANDING }))
          const { rate, packet, behind } = answer
          fellBehind += behind
          return { rate, packet, cost: us / events }
        },
      }
    }
  return {
    settings: {
      sockets,
      'event bytes': EVENT_BYTES,
      'events a round': events,
      outstanding: OUTSTANDING,
      appendfsync: APPENDFSYNC,
    },
    rounds,
    warmUp: true,
    hubs: {
      redis: open(async (processes) => processes.startHub('hub-redis', (await processes.startRedis(APPENDFSYNC)).url)),
      lmdb: open((processes) => processes.startHub('hub-lmdb')),
    },
    peers: {},
    findings: [
      {
        what: 'fan-out',
        unit: 'delivered events/s',
        better: 'more',
        subject: { of: 'redis.rate', name: 'hub on Redis' },
        beside: [{ of: 'lmdb.rate', name: 'hub on LMDB, with fsync', target: { of: 'ratio', least: 0.8 } }],
      },
      {
        what: 'size of a packet',
        unit: 'events',
        better: 'more',
        subject: { of: 'redis.packet', name: 'hub on Redis' },
        beside: [{ of: 'lmdb.packet', name: 'hub on LMDB' }],
      },
      {
        what: "the hub's processor time",
        unit: 'µs for an event to all sockets',
        better: 'less',
        subject: { of: 'redis.cost', name: 'hub on Redis' },
        beside: [{ of: 'lmdb.cost', name: 'hub on LMDB' }],
      },
    ],
    notes: () => [
      'from the first call of publish to the last event of the last socket; every event of every socket is checked: once, in order',
      'Redis is one process more that is busy; LMDB syncs before each answer, Redis once a second',
      ...(fellBehind > 0 ? [`${fellBehind} times a socket fell behind and was served by reading`] : []),
    ],
  }
}
