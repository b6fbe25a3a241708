/** How fast a client that missed much catches up, and that the hub's memory does not notice. */

import type { Plan, Question, Scale } from '../question.ts'
import type { PublisherCalls } from '../roles/publisher.ts'
import type { RawCalls } from '../roles/raw.ts'
import type { ReaderCalls } from '../roles/reader.ts'
import { withCost } from '../scenes/costs.ts'
import { EVENT_BYTES } from '../scenes/load.ts'

const SIZES = {
  full: { rounds: 5, events: 1_000_000 },
  quick: { rounds: 3, events: 100_000 },
  smoke: { rounds: 1, events: 1_000 },
}
const TOPIC = 'bench'
const MIB = 2 ** 20

export const replay: Question = {
  name: 'replay',
  about: 'events a second to one client that reads a topic from its start and acknowledges',
  plan,
}

function plan(scale: Scale): Plan {
  const { rounds, events } = SIZES[scale]
  return {
    settings: { events, 'event bytes': EVENT_BYTES },
    rounds,
    warmUp: false,
    hubs: {
      hub: async (processes) => {
        const [hub, publisher] = await Promise.all([processes.startHub(), processes.start<PublisherCalls>('publisher')])
        await publisher.ask('open', { url: hub.url, to: 'hub' })
        await publisher.ask('spread', { topics: [TOPIC], each: events })
        await publisher.stop()
        return {
          measure: async (round) => {
            // A program of its own each time, as a client that comes back is.
            const reader = await processes.start<ReaderCalls>('reader')
            const { rss: before } = await hub.ask('memory')
            await hub.ask('watch')
            const client = `round-${round}`
            const { answer: ms, us } = await withCost([hub], () =>
              reader.ask('replay', { url: hub.url, topic: TOPIC, client, count: events }),
            )
            const samples = await hub.ask('unwatch')
            await reader.stop()
            const growth = (Math.max(before, ...samples) - before) / MIB
            return { rate: (events * 1_000) / ms, cost: us / events, growth, end: (samples.at(-1) ?? before) / MIB }
          },
        }
      },
    },
    peers: {
      raw: async (processes) => {
        const raw = await processes.start<RawCalls>('raw')
        await raw.ask('open', { folder: await processes.dataFolder() })
        await raw.ask('fill', { count: events })
        return { measure: async () => ({ rate: (events * 1_000) / (await raw.ask('read', { count: events })) }) }
      },
    },
    findings: [
      {
        what: 'replay',
        unit: 'events/s',
        better: 'more',
        subject: { of: 'hub.rate', name: 'hub to SDK, acknowledging' },
        beside: [{ of: 'raw.rate', name: 'lmdb alone, read and parsed', target: { of: 'ratio', least: 0.5 } }],
      },
      {
        what: "the hub's memory",
        unit: 'MiB (RSS)',
        better: 'less',
        subject: { of: 'hub.end', name: 'at the end of each replay' },
        beside: [],
      },
      {
        what: "the hub's memory: growth",
        unit: 'MiB (RSS)',
        better: 'less',
        subject: { of: 'hub.growth', name: 'most above the start of a replay' },
        beside: [],
      },
      {
        what: "the hub's processor time",
        unit: 'µs for a replayed event',
        better: 'less',
        subject: { of: 'hub.cost', name: 'hub' },
        beside: [],
      },
    ],
    notes: () => [
      'every event is checked: the next offset',
      'time from connecting with the SDK to the handler call of the last event; raw: one process that only reads and parses',
      "RSS counts the store's pages in memory, which are the system's cache and are given back when it needs them",
    ],
  }
}
