/** How fast a client that missed much catches up, and that the hub's memory does not notice. */

import { EVENT_BYTES } from './load.ts'
import { type Answer, type Context, compare, type Question, Rounds } from './question.ts'
import type { PublisherCalls } from './roles/publisher.ts'
import type { RawCalls } from './roles/raw.ts'
import type { ReaderCalls } from './roles/reader.ts'
import { seriesOf } from './series.ts'

const SIZES = {
  full: { rounds: 4, events: 1_000_000 },
  quick: { rounds: 3, events: 100_000 },
  smoke: { rounds: 1, events: 1_000 },
}
const TOPIC = 'bench'
const MIB = 2 ** 20

export const replay: Question = {
  name: 'replay',
  about: 'events a second to one client that reads a topic from its start and acknowledges',
  ask,
}

async function ask({ scale, processes, note }: Context): Promise<Answer> {
  const { rounds, events } = SIZES[scale]
  const [hub, publisher, raw] = await Promise.all([
    processes.startHub(),
    processes.start<PublisherCalls>('publisher'),
    processes.start<RawCalls>('raw'),
  ])
  await publisher.ask('open', { url: hub.url, to: 'hub' })
  await raw.ask('open', { folder: await processes.dataFolder() })
  await publisher.ask('spread', { topics: [TOPIC], each: events })
  await raw.ask('fill', { count: events })
  await publisher.stop()
  note(`${events} events are stored`)

  const figures = new Rounds()
  for (let round = 1; round <= rounds; round++) {
    // A program of its own each time, as a client that comes back is.
    const reader = await processes.start<ReaderCalls>('reader')
    const { rss: before } = await hub.ask('memory')
    await hub.ask('watch')
    const ms = await reader.ask('replay', { url: hub.url, topic: TOPIC, client: `round-${round}`, count: events })
    const samples = await hub.ask('unwatch')
    await reader.stop()
    figures.add('hub', (events * 1_000) / ms)
    figures.add('growth', (Math.max(before, ...samples) - before) / MIB)
    figures.add('end', (samples.at(-1) ?? before) / MIB)
    figures.add('raw', (events * 1_000) / (await raw.ask('read', { count: events })))
    note(`round ${round} of ${rounds}`)
  }

  const subject = { ...figures.series('hub'), name: 'hub to SDK, acknowledging' }
  return {
    settings: { events, 'event bytes': EVENT_BYTES, rounds },
    findings: [
      {
        what: 'replay',
        unit: 'events/s',
        subject,
        comparisons: [
          compare(
            subject,
            { ...figures.series('raw'), name: 'lmdb alone, read and parsed' },
            { of: 'ratio', least: 0.35 },
          ),
        ],
      },
      {
        what: "the hub's memory",
        unit: 'MiB (RSS)',
        subject: { ...figures.series('growth'), name: 'most above the start of a replay' },
        comparisons: [],
      },
      {
        what: "the hub's memory",
        unit: 'MiB (RSS)',
        subject: { ...seriesOf('', figures.series('end').rounds), name: 'at the end of each replay' },
        comparisons: [],
      },
    ],
    notes: [
      'every event is checked: the next offset',
      'time from connecting with the SDK to the handler call of the last event; raw: one process that only reads and parses',
      "RSS counts the store's pages in memory, which are the system's cache and are given back when it needs them",
    ],
  }
}
