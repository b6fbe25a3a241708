/** What happens when everybody comes back at once while publishing goes on: to those who come, and to those who were there. */

import type { Opening, Plan, Question, Scale } from '../question.ts'
import { withCost } from '../scenes/costs.ts'
import { openHerds } from '../scenes/herds.ts'

const SIZES = {
  full: { clients: 1_000, watchers: 20, rounds: 5 },
  quick: { clients: 500, watchers: 20, rounds: 3 },
  smoke: { clients: 10, watchers: 2, rounds: 1 },
}
const MISSED = 100
const RATE = 20
const MOST_LIVE_MS = 250

export const storm: Question = {
  name: 'storm',
  about: 'all clients come back at once, each for 100 missed events, while publishing goes on',
  plan,
}

function plan(scale: Scale): Plan {
  const { clients, watchers, rounds } = SIZES[scale]
  const plainName = 'plain Socket.IO, a log in memory'
  return {
    settings: { clients, missed: MISSED, watchers, 'events a second': RATE },
    rounds,
    warmUp: true,
    hubs: { hub: open('hub') },
    peers: { plain: open('logged') },
    findings: [
      {
        what: 'caught up, 95th percentile of the clients',
        unit: 'ms',
        better: 'less',
        subject: { of: 'hub.p95', name: 'hub, SDK with its own acknowledgements' },
        beside: [{ of: 'plain.p95', name: plainName, target: { of: 'ratio', most: 0.6 } }],
      },
      {
        what: 'meanwhile a live event to those who were there, 99th percentile',
        unit: 'ms',
        better: 'less',
        subject: { of: 'hub.live', name: 'hub' },
        beside: [{ of: 'plain.live', name: plainName }],
        most: MOST_LIVE_MS,
      },
      {
        what: "the server's processor time",
        unit: 'ms for a client that comes back',
        better: 'less',
        subject: { of: 'hub.cost', name: 'hub' },
        beside: [{ of: 'plain.cost', name: plainName }],
      },
      {
        what: 'the processor time of the process that has all clients',
        unit: 'ms for a client that comes back',
        better: 'less',
        subject: { of: 'hub.clientCost', name: 'SDK' },
        beside: [{ of: 'plain.clientCost', name: 'socket.io-client' }],
      },
    ],
    notes: () => [
      'from the call that brings all back, in one turn of one process, until a client has handled the last event that it had missed; clients, watchers and publisher are processes of their own',
      'every event of every client is checked: once, in order',
      "the peer's clients tell it the last offset that they have, and it sends the rest of an array in one packet; it keeps no cursors and nothing on disk",
    ],
  }

  function open(to: 'hub' | 'logged'): Opening {
    return async (processes) => {
      const { server, pace, herds, reached } = await openHerds(processes, to, [clients, watchers])
      const [herd, others] = herds
      if (herd === undefined || others === undefined) throw new Error('there are no clients')
      return {
        measure: async () => {
          await herd.ask('cut')
          const missed = await pace.ask('publish', { count: MISSED })
          await others.ask('reached', { offset: missed })
          await others.ask('ways')
          const run = async () => {
            await pace.ask('begin', { everyMs: 1_000 / RATE })
            const took = await herd.ask('comeBack', { offset: missed })
            const last = await pace.ask('end')
            await reached(last)
            return took
          }
          const { answer: clientSide, us } = await withCost([server], () => withCost([herd], run))
          // Checks the events of those who came back.
          await herd.ask('ways')
          return {
            p95: clientSide.answer.p95,
            live: (await others.ask('ways')).p99,
            cost: us / 1_000 / clients,
            clientCost: clientSide.us / 1_000 / clients,
          }
        },
      }
    }
  }
}
