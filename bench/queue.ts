/** Work shared through a hub, on both stores, beside BullMQ on the same Redis. */

import { EVENT_BYTES } from './load.ts'
import { type Answer, type Context, compare, type Finding, type Question, Rounds } from './question.ts'
import type { BullCalls } from './roles/bull.ts'
import type { JobsCalls } from './roles/jobs.ts'

const SIZES = {
  full: { rounds: 5, jobs: 40_000, single: 300 },
  quick: { rounds: 3, jobs: 20_000, single: 100 },
  smoke: { rounds: 1, jobs: 300, single: 10 },
}
const OUTSTANDING = 200
const CONCURRENCY = 100
const RATE = 100
const APPENDFSYNC = 'everysec'

export const queue: Question = {
  name: 'queue',
  about: 'jobs a second through a queue, added and worked off, and how long one is on its way',
  ask,
}

async function ask({ scale, processes, note }: Context): Promise<Answer> {
  const { rounds, jobs, single } = SIZES[scale]
  const redis = await processes.startRedis(APPENDFSYNC)
  const [onRedis, onLmdb] = await Promise.all([processes.startHub('hub', redis.url), processes.startHub('hub-lmdb')])
  const [ours, embedded, bull] = await Promise.all([
    processes.start<JobsCalls>('jobs'),
    processes.start<JobsCalls>('jobs'),
    processes.start<BullCalls>('bull'),
  ])
  await ours.ask('open', { url: onRedis.url })
  await embedded.ask('open', { url: onLmdb.url })
  await bull.ask('open', { url: redis.url })
  const sides = { Redis: ours, LMDB: embedded, BullMQ: bull } as const

  const figures = new Rounds()
  // The first round warms all of them up.
  for (let round = scale === 'smoke' ? 1 : 0; round <= rounds; round++) {
    for (const [name, side] of Object.entries(sides)) {
      const addMs = await side.ask('add', { queue: 'bench', count: jobs, outstanding: OUTSTANDING })
      const processMs = await side.ask('process', { queue: 'bench', count: jobs, concurrency: CONCURRENCY })
      const median = await side.ask('trickle', { queue: 'trickle', count: single, everyMs: 1_000 / RATE })
      if (round === 0) continue
      figures.add(`add ${name}`, (jobs * 1_000) / addMs)
      figures.add(`process ${name}`, (jobs * 1_000) / processMs)
      figures.add(`way ${name}`, median)
    }
    note(`round ${round} of ${rounds}`)
  }

  const series = (figure: string, name: keyof typeof sides) => ({
    ...figures.series(`${figure} ${name}`),
    name: name === 'BullMQ' ? 'BullMQ' : `SDK and hub on ${name}`,
  })
  const rate = (what: string, figure: string, least: number): Finding[] => {
    const [redis, lmdb, peer] = [series(figure, 'Redis'), series(figure, 'LMDB'), series(figure, 'BullMQ')]
    return [
      {
        what: `${what} on Redis`,
        unit: 'jobs/s',
        subject: redis,
        comparisons: [compare(redis, peer, { of: 'ratio', least })],
      },
      {
        what: `${what} on LMDB`,
        unit: 'jobs/s',
        subject: lmdb,
        comparisons: [compare(lmdb, redis, { of: 'ratio', least: 1 }), compare(lmdb, peer)],
      },
    ]
  }
  const way = (store: 'Redis' | 'LMDB', most: number): Finding => {
    const subject = series('way', store)
    return {
      what: `send to handler on ${store}`,
      unit: 'ms',
      subject,
      comparisons: [compare(subject, series('way', 'BullMQ'))],
      most,
      met: subject.median <= most,
    }
  }
  return {
    settings: {
      'job bytes': EVENT_BYTES,
      'jobs a round': jobs,
      outstanding: OUTSTANDING,
      concurrency: CONCURRENCY,
      'jobs a second on the way': RATE,
      rounds,
      appendfsync: APPENDFSYNC,
    },
    findings: [...rate('add', 'add', 2), ...rate('process', 'process', 3), way('LMDB', 3), way('Redis', 4)],
    notes: [
      'one Redis for the hub and for BullMQ; jobs are no-ops and gone when they are done',
      'LMDB syncs before every answer, Redis every second',
      'the hub is a process of its own beside the worker; BullMQ has none',
    ],
  }
}
