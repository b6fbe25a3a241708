/** How long an event is on its way when there is little to do. */

import type { Plan, Question, Scale } from '../question.ts'
import type { PlainCalls } from '../roles/plain.ts'
import type { RawCalls } from '../roles/raw.ts'
import type { TrickleCalls } from '../roles/trickle.ts'
import { EVENT_BYTES } from '../scenes/load.ts'

const SIZES = {
  full: { sockets: 100, rounds: 5, seconds: 4 },
  quick: { sockets: 100, rounds: 3, seconds: 2 },
  smoke: { sockets: 5, rounds: 1, seconds: 0.2 },
}
const RATE = 200
const TOPIC = 'bench'

export const latency: Question = {
  name: 'latency',
  about: 'publish to receive at 200 events a second to 100 subscribers',
  plan,
}

function plan(scale: Scale): Plan {
  const { sockets, rounds, seconds } = SIZES[scale]
  const run = { events: RATE * seconds, everyMs: 1_000 / RATE }
  return {
    settings: { sockets, 'events a second': RATE, 'seconds a round': seconds, 'event bytes': EVENT_BYTES },
    rounds,
    warmUp: true,
    hubs: {
      hub: async (processes) => {
        const [hub, trickle] = await Promise.all([processes.startHub(), processes.start<TrickleCalls>('trickle')])
        await trickle.ask('open', { url: hub.url, to: 'hub', topic: TOPIC, count: sockets })
        return { measure: () => trickle.ask('run', run) }
      },
    },
    peers: {
      plain: async (processes) => {
        const [server, trickle] = await Promise.all([
          processes.start<PlainCalls>('plain'),
          processes.start<TrickleCalls>('trickle'),
        ])
        const url = await server.ask('start', { recovery: false })
        await trickle.ask('open', { url, to: 'plain', topic: TOPIC, count: sockets })
        return { measure: () => trickle.ask('run', run) }
      },
      lmdb: async (processes) => {
        const raw = await processes.start<RawCalls>('raw')
        await raw.ask('open', { folder: await processes.dataFolder() })
        return { measure: async () => ({ put: await raw.ask('oneAtATime', { count: Math.min(100, run.events) }) }) }
      },
    },
    findings: [
      {
        what: 'median',
        unit: 'ms',
        better: 'less',
        subject: { of: 'hub.median', name: 'hub' },
        beside: [
          { of: 'plain.median', name: 'plain Socket.IO', target: { of: 'difference', most: 1 } },
          { of: 'lmdb.put', name: 'lmdb alone, one flushed put' },
        ],
      },
      {
        what: '99th percentile',
        unit: 'ms',
        better: 'less',
        subject: { of: 'hub.p99', name: 'hub' },
        beside: [{ of: 'plain.p99', name: 'plain Socket.IO', target: { of: 'ratio', most: 3 } }],
      },
    ],
    notes: () => [
      'publisher and subscribers share a process and its clock; the hub and the peer are processes of their own',
      'the times contain reading the event on all sockets one after the other in that process',
    ],
  }
}
