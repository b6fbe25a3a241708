/** Whether what is already there makes the hub slower: topics, stored events, waiting jobs. */

import type { Opening, Plan, Question, Scale } from '../question.ts'
import type { JobsCalls } from '../roles/jobs.ts'
import type { PublisherCalls } from '../roles/publisher.ts'
import { EVENT_BYTES } from '../scenes/load.ts'

const SIZES = {
  full: { rounds: 7, topics: 10_000, stored: 1_000_000, waiting: 200_000, single: 300, events: 40_000, jobs: 10_000 },
  quick: { rounds: 5, topics: 10_000, stored: 200_000, waiting: 50_000, single: 200, events: 20_000, jobs: 5_000 },
  smoke: { rounds: 1, topics: 20, stored: 500, waiting: 100, single: 5, events: 200, jobs: 100 },
}
const OUTSTANDING = 1_000
const JOBS_OUTSTANDING = 200
const CONCURRENCY = 100
const TOPIC = 'bench'
const QUEUE = 'bench'
const MB = 1e6
const TOPICS_A_CLIENT = 2_500
/** A single publish with many topics. */
const MOST = 1.15

export const growth: Question = {
  name: 'growth',
  about: 'a new hub beside one with many topics, one with many stored events, and one with many waiting jobs',
  plan,
}

interface Holding {
  readonly topics?: number
  readonly stored?: number
  readonly waiting?: number
}

function plan(scale: Scale): Plan {
  const { rounds, topics, stored, waiting, single, events, jobs } = SIZES[scale]
  const few = 'new hub'
  const names = {
    topics: `${topics} topics more`,
    stored: `${stored} events in the topic`,
    waiting: `${waiting} waiting jobs`,
  }
  const besideNew =
    (what: string, unit: string, better: 'more' | 'less', figure: string) => (side: keyof typeof names) => ({
      what: `${what}: ${names[side]}`,
      unit,
      better,
      subject: { of: `${side}.${figure}`, name: names[side] },
      beside: [{ of: `few.${figure}`, name: few, ...bar(side, figure) }],
    })
  return {
    settings: {
      'event bytes': EVENT_BYTES,
      'single events a round': single,
      'events a round': events,
      outstanding: OUTSTANDING,
      'jobs a round': jobs,
      'jobs outstanding': JOBS_OUTSTANDING,
      concurrency: CONCURRENCY,
    },
    rounds,
    warmUp: true,
    hubs: {
      few: open({}),
      topics: open({ topics }),
      stored: open({ stored }),
      waiting: open({ waiting }),
    },
    peers: {},
    findings: [
      ...(['topics', 'stored'] as const).map(besideNew('a single publish', 'ms', 'less', 'single')),
      ...(['topics', 'stored'] as const).map(besideNew('publish', 'events/s', 'more', 'rate')),
      ...(['waiting'] as const).map(besideNew('add jobs', 'jobs/s', 'more', 'add')),
      ...(['waiting'] as const).map(besideNew('process jobs', 'jobs/s', 'more', 'process')),
      ...(['topics', 'stored', 'waiting'] as const).map(besideNew('memory', 'MB of heap and buffers', 'less', 'heap')),
    ],
    notes: () => [
      'all on LMDB; the further topics have one event each',
      'half of the waiting jobs are in the queue that is measured, with a later due time, half are ready in another one',
    ],
  }

  function bar(side: string, figure: string) {
    return side === 'topics' && figure === 'single' ? { target: { of: 'ratio', most: MOST } as const } : {}
  }

  function open({ topics = 0, stored = 0, waiting = 0 }: Holding): Opening {
    return async (processes) => {
      const hub = await processes.startHub()
      const [publisher, worker] = await Promise.all([
        processes.start<PublisherCalls>('publisher'),
        processes.start<JobsCalls>('jobs'),
      ])
      await publisher.ask('open', { url: hub.url, to: 'hub' })
      await worker.ask('open', { url: hub.url })
      const others = Array.from({ length: topics }, (_, i) => `other-${i}`)
      for (let from = 0; from < topics; from += TOPICS_A_CLIENT) {
        // A client may be in 10,000 topics at a time, and the fewer there are the faster it gets in.
        const other = await processes.start<PublisherCalls>('publisher')
        await other.ask('open', { url: hub.url, to: 'hub' })
        await other.ask('spread', { topics: others.slice(from, from + TOPICS_A_CLIENT), each: 1 })
        await other.stop()
      }
      if (stored > 0) await publisher.ask('spread', { topics: [TOPIC], each: stored })
      if (waiting > 0) {
        await worker.ask('fill', { queue: QUEUE, count: waiting / 2, delayMs: 3_600_000 })
        await worker.ask('fill', { queue: 'other', count: waiting / 2, delayMs: 0 })
      }
      return {
        measure: async () => {
          const one = await publisher.ask('oneAtATime', { to: 'hub', topic: TOPIC, count: single })
          const { ms } = await publisher.ask('toHub', { topic: TOPIC, count: events, outstanding: OUTSTANDING })
          const addMs = await worker.ask('add', { queue: QUEUE, count: jobs, outstanding: JOBS_OUTSTANDING })
          const processMs = await worker.ask('process', { queue: QUEUE, count: jobs, concurrency: CONCURRENCY })
          const { heapUsed, external } = await hub.ask('memory')
          return {
            single: one,
            rate: (events * 1_000) / ms,
            add: (jobs * 1_000) / addMs,
            process: (jobs * 1_000) / processMs,
            heap: (heapUsed + external) / MB,
          }
        },
      }
    }
  }
}
