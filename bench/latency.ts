/** How long an event is on its way when there is little to do. */

import { EVENT_BYTES } from './load.ts'
import { type Answer, type Context, compare, type Question, Rounds } from './question.ts'
import type { PlainCalls } from './roles/plain.ts'
import type { RawCalls } from './roles/raw.ts'
import type { TrickleCalls } from './roles/trickle.ts'

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
  ask,
}

async function ask({ scale, processes, note }: Context): Promise<Answer> {
  const { sockets, rounds, seconds } = SIZES[scale]
  const [hub, hubSide, plain, plainSide, raw] = await Promise.all([
    processes.startHub(),
    processes.start<TrickleCalls>('trickle'),
    processes.start<PlainCalls>('plain'),
    processes.start<TrickleCalls>('trickle'),
    processes.start<RawCalls>('raw'),
  ])
  await hubSide.ask('open', { url: hub.url, to: 'hub', topic: TOPIC, count: sockets })
  const url = await plain.ask('start', { recovery: false })
  await plainSide.ask('open', { url, to: 'plain', topic: TOPIC, count: sockets })
  await raw.ask('open', { folder: await processes.dataFolder() })

  const events = RATE * seconds
  const figures = new Rounds()
  // The first round warms all of them up.
  for (let round = scale === 'smoke' ? 1 : 0; round <= rounds; round++) {
    const ours = await hubSide.ask('run', { events, everyMs: 1_000 / RATE })
    const theirs = await plainSide.ask('run', { events, everyMs: 1_000 / RATE })
    const put = await raw.ask('oneAtATime', { count: Math.min(100, events) })
    if (round === 0) continue
    figures.add('hub median', ours.median)
    figures.add('hub p99', ours.p99)
    figures.add('plain median', theirs.median)
    figures.add('plain p99', theirs.p99)
    figures.add('put', put)
    note(`round ${round} of ${rounds}`)
  }

  const median = { ...figures.series('hub median'), name: 'hub' }
  const p99 = { ...figures.series('hub p99'), name: 'hub' }
  return {
    settings: { sockets, 'events a second': RATE, 'seconds a round': seconds, 'event bytes': EVENT_BYTES, rounds },
    findings: [
      {
        what: 'median',
        unit: 'ms',
        subject: median,
        comparisons: [
          compare(
            median,
            { ...figures.series('plain median'), name: 'plain Socket.IO' },
            { of: 'difference', most: 1.5 },
          ),
          compare(median, { ...figures.series('put'), name: 'lmdb alone, one flushed put' }),
        ],
      },
      {
        what: '99th percentile',
        unit: 'ms',
        subject: p99,
        comparisons: [
          compare(p99, { ...figures.series('plain p99'), name: 'plain Socket.IO' }, { of: 'ratio', most: 3 }),
        ],
      },
    ],
    notes: [
      'publisher and subscribers share a process and its clock; the hub and the peer are processes of their own',
      'the times contain reading the event on all sockets one after the other in that process',
    ],
  }
}
