/** Coming back to a hub on Redis, beside Socket.IO's own recovery over Redis. */

import type { Plan, Question, Scale } from '../question.ts'
import { openAway, openPlainAway } from '../scenes/away.ts'

const SIZES = {
  full: { clients: 10, foreign: 300_000 },
  quick: { clients: 5, foreign: 100_000 },
  smoke: { clients: 2, foreign: 1_000 },
}
const MISSED = 10
const OTHERS = 20
const APPENDFSYNC = 'everysec'
/** At this many events of others; with fewer the peer has less to read. */
const AIM = { most: 1 / 20, from: 300_000 }

export const redisResume: Question = {
  name: 'redis-resume',
  about: 'time to the tenth missed event on Redis after many events of other rooms',
  needs: ['redis-server'],
  plan,
}

function plan(scale: Scale): Plan {
  const { clients, foreign } = SIZES[scale]
  const missing = { clients, missed: MISSED, others: OTHERS, foreign }
  return {
    settings: {
      clients,
      missed: MISSED,
      'events of others': `${foreign}, in ${OTHERS} topics`,
      appendfsync: APPENDFSYNC,
    },
    rounds: clients,
    mostRounds: clients,
    warmUp: false,
    hubs: {
      hub: async (processes) => {
        const redis = await processes.startRedis(APPENDFSYNC)
        return openAway(processes, (await processes.startHub('hub', redis.url)).url, missing)
      },
    },
    peers: {
      plain: async (processes) => openPlainAway(processes, missing, (await processes.startRedis(APPENDFSYNC)).url),
    },
    findings: [
      {
        what: 'back to the tenth missed event',
        unit: 'ms',
        better: 'less',
        subject: { of: 'hub.back', name: 'hub on Redis' },
        beside: [
          {
            of: 'plain.back',
            name: 'Socket.IO recovery, redis-streams-adapter',
            ...(foreign >= AIM.from ? { target: { of: 'ratio', most: AIM.most } } : {}),
          },
        ],
      },
    ],
    notes: () => [
      'all clients are cut off at once; half of the missed events come before those of others, half after; clients come back one by one, to the hub and the peer in turn',
      'from opening the transport to the last missed event; each side has a Redis of its own with the same settings',
      'the adapter keeps all rooms in one stream, which a recovery reads from where the client was',
    ],
  }
}
