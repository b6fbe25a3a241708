/** Clients in trains and lifts: each is cut off every quarter of a minute or so, and nothing may be missing. */

import type { Opening, Plan, Question, Scale } from '../question.ts'
import { withCost } from '../scenes/costs.ts'
import { openHerds } from '../scenes/herds.ts'

const SIZES = {
  full: { clients: 500, rounds: 5, seconds: 30 },
  quick: { clients: 500, rounds: 3, seconds: 8 },
  smoke: { clients: 10, rounds: 1, seconds: 0.5 },
}
const EVERY_MS = 15_000
const AWAY_MS = 200
const RATE = 20

export const jitter: Question = {
  name: 'jitter',
  about: '500 clients, each cut off every 15 s or so, at 20 events a second',
  plan,
}

function plan(scale: Scale): Plan {
  const { clients, rounds, seconds } = SIZES[scale]
  const plainName = 'plain Socket.IO, a log in memory'
  return {
    settings: {
      clients,
      'cut every ms': `${EVERY_MS / 2} … ${EVERY_MS * 1.5}`,
      'away for ms': AWAY_MS,
      'events a second': RATE,
      'seconds a round': seconds,
    },
    rounds,
    warmUp: true,
    hubs: { hub: open('hub') },
    peers: { plain: open('logged') },
    findings: [
      {
        what: 'publish to handler, median',
        unit: 'ms',
        better: 'less',
        subject: { of: 'hub.p50', name: 'hub and SDK' },
        beside: [{ of: 'plain.p50', name: plainName }],
      },
      {
        what: 'publish to handler, 99th percentile, with the time away',
        unit: 'ms',
        better: 'less',
        subject: { of: 'hub.p99', name: 'hub and SDK' },
        beside: [{ of: 'plain.p99', name: plainName }],
      },
      {
        what: "the server's processor time",
        unit: 'µs for a delivered event',
        better: 'less',
        subject: { of: 'hub.cost', name: 'hub' },
        beside: [{ of: 'plain.cost', name: plainName }],
      },
      {
        what: 'cuts a round',
        unit: 'cuts',
        better: 'more',
        subject: { of: 'hub.cuts', name: 'hub' },
        beside: [{ of: 'plain.cuts', name: plainName }],
      },
    ],
    notes: () => [
      'every event of every client is checked: once, in order; a round in which one is missing fails',
      'clients, publisher and server are processes of their own, with one clock',
      "the hub keeps events and cursors on disk; the peer's clients tell it the last offset that they have",
    ],
  }

  function open(to: 'hub' | 'logged'): Opening {
    return async (processes) => {
      const { server, pace, herds, reached } = await openHerds(processes, to, [clients])
      const [herd] = herds
      if (herd === undefined) throw new Error('there are no clients')
      return {
        measure: async () => {
          await herd.ask('ways')
          const { answer, us } = await withCost([server], async () => {
            await herd.ask('jitter', { everyMs: EVERY_MS, awayMs: AWAY_MS })
            await pace.ask('begin', { everyMs: 1_000 / RATE })
            await new Promise((resolve) => setTimeout(resolve, seconds * 1_000))
            const cuts = await herd.ask('calm')
            await reached(await pace.ask('end'))
            return cuts
          })
          const { count, p50, p99 } = await herd.ask('ways')
          return { p50, p99, cost: us / count, cuts: answer }
        },
      }
    }
  }
}
