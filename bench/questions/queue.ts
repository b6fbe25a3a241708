/** Work shared through a hub, on both stores, beside BullMQ at its best. */

import type { HubRole, Processes } from '../processes.ts'
import type { Asked, Opening, Plan, Question, Scale, Side } from '../question.ts'
import type { BullCalls } from '../roles/bull.ts'
import type { JobsCalls } from '../roles/jobs.ts'
import { withCost } from '../scenes/costs.ts'
import { EVENT_BYTES } from '../scenes/load.ts'

const SIZES = {
  full: { rounds: 5, jobs: 40_000, swept: 8_000, single: 300 },
  quick: { rounds: 3, jobs: 20_000, swept: 2_000, single: 100 },
  smoke: { rounds: 1, jobs: 300, swept: 0, single: 10 },
}
const OUTSTANDING = 200
const CONCURRENCY = 100
const RATE = 100
const APPENDFSYNC = 'everysec'
/** A queue of which nothing is kept, as BullMQ's; the other one keeps the last thousand that are done, by default. */
const FORGETFUL = 'forgetful'
const OPTIONS = { queues: { [FORGETFUL]: { keepDone: false } } }
/** What keeping may leave of the speed. */
const LEAST_KEPT = 0.85

export const queue: Question = {
  name: 'queue',
  about: 'jobs a second through a queue, added and worked off, and how long one is on its way',
  needs: ['redis-server'],
  plan,
}

function plan(scale: Scale): Plan {
  const { rounds, jobs, swept, single } = SIZES[scale]
  const perSecond = (ms: number) => (jobs * 1_000) / ms
  const way = { queue: 'trickle', count: single, everyMs: 1_000 / RATE }
  let best = ''
  const redis = 'SDK and hub on Redis'
  const lmdb = 'SDK and hub on LMDB'
  const hubOn =
    (start: (processes: Processes) => Promise<HubRole>): Opening =>
    async (processes) => {
      const [hub, client] = await Promise.all([start(processes), processes.start<JobsCalls>('jobs')])
      await client.ask('open', { url: hub.url })
      let turn = 0
      return {
        measure: async () => {
          const all = async (queue: string) => {
            const add = await withCost([hub], () => client.ask('add', { queue, count: jobs, outstanding: OUTSTANDING }))
            const process = await withCost([hub], () =>
              client.ask('process', { queue, count: jobs, concurrency: CONCURRENCY }),
            )
            return { add, process }
          }
          // In turn, as whatever comes second finds a fuller hub.
          const first = turn++ % 2 === 0 ? await all(FORGETFUL) : undefined
          const kept = await all('keeping')
          const { add, process } = first ?? (await all(FORGETFUL))
          return {
            add: perSecond(add.answer),
            addCost: add.us / jobs,
            process: perSecond(process.answer),
            processCost: process.us / jobs,
            kept: perSecond(kept.process.answer),
            keptCost: kept.process.us / jobs,
            way: await client.ask('trickle', way),
          }
        },
      }
    }
  return {
    settings: {
      'job bytes': EVENT_BYTES,
      'jobs a round': jobs,
      outstanding: OUTSTANDING,
      concurrency: CONCURRENCY,
      'jobs a second on the way': RATE,
      appendfsync: APPENDFSYNC,
    },
    rounds,
    warmUp: true,
    hubs: {
      redis: hubOn(async (processes) =>
        processes.startHub('hub-redis', (await processes.startRedis(APPENDFSYNC)).url, OPTIONS),
      ),
      lmdb: hubOn((processes) => processes.startHub('hub-lmdb', undefined, OPTIONS)),
    },
    peers: { bull: openBull },
    findings: [
      {
        what: 'add on Redis',
        unit: 'jobs/s',
        better: 'more',
        subject: { of: 'redis.add', name: redis },
        beside: [
          { of: 'bull.add', name: 'BullMQ, add', target: { of: 'ratio', least: 2 } },
          { of: 'bull.addBulk', name: 'BullMQ, addBulk', target: { of: 'ratio', least: 1.5 } },
        ],
      },
      {
        what: 'add on LMDB',
        unit: 'jobs/s',
        better: 'more',
        subject: { of: 'lmdb.add', name: lmdb },
        beside: [
          { of: 'redis.add', name: redis, target: { of: 'ratio', least: 1 } },
          { of: 'bull.add', name: 'BullMQ, add' },
          { of: 'bull.addBulk', name: 'BullMQ, addBulk' },
        ],
      },
      {
        what: 'process on Redis',
        unit: 'jobs/s',
        better: 'more',
        subject: { of: 'redis.process', name: redis },
        beside: [{ of: 'bull.process', name: 'BullMQ', target: { of: 'ratio', least: 3 } }],
      },
      {
        what: 'process on LMDB',
        unit: 'jobs/s',
        better: 'more',
        subject: { of: 'lmdb.process', name: lmdb },
        beside: [
          { of: 'redis.process', name: redis, target: { of: 'ratio', least: 1 } },
          { of: 'bull.process', name: 'BullMQ' },
        ],
      },
      keptOn('Redis', 'redis'),
      keptOn('LMDB', 'lmdb'),
      wayOn('LMDB', 'lmdb', 3),
      wayOn('Redis', 'redis', 4),
      costOf('adding', 'addCost'),
      costOf('processing', 'processCost'),
      costOf('processing, finished jobs kept', 'keptCost'),
    ],
    notes: () => [
      'a Redis for the hub and one for BullMQ, with the same settings; jobs are no-ops and gone when they are done',
      'distinct jobs are counted, and for both the time ends when the worker has closed, which is when the last job is done at the server; then its queue has to be empty',
      'LMDB syncs before every answer, Redis every second',
      'the hub is a process of its own beside the worker; BullMQ has none',
      ...(best === '' ? [] : [`BullMQ's settings, the best of those that were tried first: ${best}`]),
    ],
  }

  async function openBull(processes: Processes): Promise<Side> {
    const redis = await processes.startRedis(APPENDFSYNC)
    const bull = await processes.start<BullCalls>('bull')
    await bull.ask('open', { url: redis.url })
    return {
      measure: async () => {
        if (swept > 0 && best === '') best = await bull.ask('sweep', { count: swept, outstanding: OUTSTANDING })
        const add = perSecond(await bull.ask('add', { queue: 'bench', count: jobs, outstanding: OUTSTANDING }))
        const process = perSecond(await bull.ask('process', { queue: 'bench', count: jobs }))
        const addBulk = perSecond(await bull.ask('addBulk', { queue: 'bulk', count: jobs, outstanding: OUTSTANDING }))
        await bull.ask('empty', { queue: 'bulk' })
        return { add, addBulk, process, way: await bull.ask('trickle', way) }
      },
    }
  }

  function costOf(what: string, figure: string): Asked {
    return {
      what: `the hub's processor time for ${what}`,
      unit: 'µs a job',
      better: 'less',
      subject: { of: `redis.${figure}`, name: redis },
      beside: [{ of: `lmdb.${figure}`, name: lmdb }],
    }
  }

  function keptOn(store: string, side: string): Asked {
    return {
      what: `process on ${store}, finished jobs kept`,
      unit: 'jobs/s',
      better: 'more',
      subject: { of: `${side}.kept`, name: 'the last 1,000' },
      beside: [{ of: `${side}.process`, name: 'none', target: { of: 'ratio', least: LEAST_KEPT } }],
    }
  }

  function wayOn(store: string, side: string, most: number): Asked {
    return {
      what: `send to handler on ${store}`,
      unit: 'ms',
      better: 'less',
      subject: { of: `${side}.way`, name: `SDK and hub on ${store}` },
      beside: [{ of: 'bull.way', name: 'BullMQ' }],
      most,
    }
  }
}
