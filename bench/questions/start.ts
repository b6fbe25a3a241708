/** What it takes to have a hub: the time until it listens, and the memory of one that nobody uses. */

import type { Plan, Question, Scale } from '../question.ts'
import type { BareCalls } from '../roles/bare.ts'

const SIZES = {
  full: { rounds: 15, idleMs: 1_000 },
  quick: { rounds: 7, idleMs: 500 },
  smoke: { rounds: 1, idleMs: 50 },
}
const MB = 1e6
const MOST_IDLE_MB = 75

export const start: Question = {
  name: 'start',
  about: 'from starting the program until it listens, and the memory of an idle hub',
  plan,
}

function plan(scale: Scale): Plan {
  const { rounds, idleMs } = SIZES[scale]
  const rest = () => new Promise((resolve) => setTimeout(resolve, idleMs))
  return {
    settings: { 'idle for ms': idleMs },
    rounds,
    warmUp: true,
    hubs: {
      hub: async (processes) => ({
        measure: async () => {
          const started = performance.now()
          const hub = await processes.startHub()
          const ms = performance.now() - started
          await rest()
          const rss = (await hub.ask('rss')) / MB
          await hub.stop()
          return { ms, rss }
        },
      }),
    },
    peers: {
      bare: async (processes) => ({
        measure: async () => {
          const started = performance.now()
          const bare = await processes.start<BareCalls>('bare')
          const ms = performance.now() - started
          await rest()
          const rss = (await bare.ask('rss')) / MB
          await bare.stop()
          return { ms, rss }
        },
      }),
    },
    findings: [
      {
        what: 'until it listens',
        unit: 'ms',
        better: 'less',
        subject: { of: 'hub.ms', name: 'hub, with a new store' },
        beside: [{ of: 'bare.ms', name: 'Socket.IO and nothing else' }],
      },
      {
        what: 'memory of an idle process',
        unit: 'MB (RSS)',
        better: 'less',
        subject: { of: 'hub.rss', name: 'hub' },
        beside: [{ of: 'bare.rss', name: 'Socket.IO and nothing else' }],
        most: MOST_IDLE_MB,
      },
    ],
    notes: () => [
      'each round starts a process of its own; the first, which finds the files in no cache, does not count',
      'no garbage collection is asked for',
    ],
  }
}
