/** The peer that shares work through Redis: BullMQ, with the settings that turn out to be its best on this machine. */

import { type ConnectionOptions, Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { serveCalls } from '../role.ts'
import { keepOutstanding, loadOf } from '../scenes/load.ts'
import { measureTrickle } from '../scenes/trickling.ts'

interface Adding {
  readonly queue: string
  readonly count: number
  readonly outstanding: number
}

interface Setting {
  /** Whether ioredis gathers the commands of a turn. */
  readonly gather: boolean
  readonly workers: number
  /** Of each worker. */
  readonly concurrency: number
}

let url = ''
const connections = new Map<boolean, ConnectionOptions>()
const queues = new Map<string, Queue>()
// As ours does: what is done is gone.
const OPTIONS = { removeOnComplete: true, removeOnFail: true }

let adding = { gather: false }
let bulk = { gather: false, together: 100 }
let working: Setting = { gather: false, workers: 1, concurrency: 100 }

const calls = {
  open({ url: address }: { url: string }): void {
    url = address
  },

  /** Tries settings once, and keeps the best of each for all that follows. Answers them, for people. */
  async sweep({ count, outstanding }: { count: number; outstanding: number }): Promise<string> {
    const queue = 'sweep'
    adding = await best([{ gather: false }, { gather: true }], async (setting) => {
      adding = setting
      const ms = await calls.add({ queue, count, outstanding })
      await calls.empty({ queue })
      return ms
    })
    const bulks = [50, 100, 200].flatMap((together) => [false, true].map((gather) => ({ gather, together })))
    bulk = await best(bulks, async (setting) => {
      bulk = setting
      const ms = await calls.addBulk({ queue, count, outstanding })
      await calls.empty({ queue })
      return ms
    })
    const work = async (setting: Setting) => {
      await calls.addBulk({ queue, count, outstanding })
      working = setting
      return calls.process({ queue, count })
    }
    const workings = [50, 100, 200, 400].flatMap((concurrency) =>
      [1, 2].map((workers) => ({ gather: false, workers, concurrency })),
    )
    working = await best(workings, work)
    working = await best([working, { ...working, gather: true }], work)
    const gathered = ({ gather }: { gather: boolean }) => (gather ? 'pipelines of ioredis' : 'no pipelines of ioredis')
    return [
      `add with ${gathered(adding)}`,
      `addBulk of ${bulk.together} jobs with ${gathered(bulk)}`,
      `${working.workers} × concurrency ${working.concurrency} with ${gathered(working)}`,
    ].join('; ')
  },

  async add({ queue, count, outstanding }: Adding): Promise<number> {
    const handle = queueOf(queue, adding.gather)
    await handle.waitUntilReady()
    const started = performance.now()
    await keepOutstanding(count, outstanding, (n) => handle.add('job', loadOf(n), OPTIONS))
    return performance.now() - started
  },

  /** The same jobs in groups, with as many outstanding. */
  async addBulk({ queue, count, outstanding }: Adding): Promise<number> {
    const { gather, together } = bulk
    const handle = queueOf(queue, gather)
    await handle.waitUntilReady()
    const started = performance.now()
    await keepOutstanding(Math.ceil(count / together), Math.floor(outstanding / together), (group) => {
      const first = (group - 1) * together + 1
      const size = Math.min(together, count - first + 1)
      return handle.addBulk(
        Array.from({ length: size }, (_, i) => ({ name: 'job', data: loadOf(first + i), opts: OPTIONS })),
      )
    })
    return performance.now() - started
  },

  /** Works off the jobs 1 … `count`, which are there; until the workers have closed. Rejects when one is left. */
  async process({ queue, count }: { queue: string; count: number }): Promise<number> {
    const seen = new Set<number>()
    let allSeen: () => void = () => {}
    const all = new Promise<void>((resolve) => {
      allSeen = resolve
    })
    const handler = async ({ data }: { data: { n: number } }) => {
      seen.add(data.n)
      if (seen.size === count) allSeen()
    }
    const connection = connectionOf(working.gather)
    const started = performance.now()
    const workers = Array.from(
      { length: working.workers },
      () => new Worker(queue, handler, { connection, concurrency: working.concurrency }),
    )
    await all
    await Promise.all(workers.map((worker) => worker.close()))
    const ms = performance.now() - started
    const left = await queueOf(queue, false).getJobCounts()
    if (Object.values(left).some((jobs) => jobs > 0)) throw new Error(`jobs are left: ${JSON.stringify(left)}`)
    return ms
  },

  async empty({ queue }: { queue: string }): Promise<void> {
    await queueOf(queue, false).obliterate({ force: true })
  },

  async trickle({ queue, count, everyMs }: { queue: string; count: number; everyMs: number }): Promise<number> {
    let arrived: (n: number) => void = () => {}
    const connection = connectionOf(false)
    const worker = new Worker(queue, async ({ data }) => arrived(data.n), { connection, concurrency: 10 })
    await worker.waitUntilReady()
    const handle = queueOf(queue, false)
    const median = await measureTrickle(
      count,
      everyMs,
      (n) => handle.add('job', loadOf(n), OPTIONS),
      (listener) => {
        arrived = listener
      },
    )
    await worker.close()
    return median
  },
}

/** The setting with the shortest time. Two goes, the better of them counts: the first of all is a cold one. */
async function best<T>(settings: readonly T[], took: (setting: T) => Promise<number>): Promise<T> {
  const tried = settings.map((setting) => ({ setting, ms: Number.POSITIVE_INFINITY }))
  for (let go = 0; go < 2; go++) for (const one of tried) one.ms = Math.min(one.ms, await took(one.setting))
  const [first] = tried.sort((a, b) => a.ms - b.ms)
  if (first === undefined) throw new Error('there is no setting to try')
  return first.setting
}

function connectionOf(gather: boolean): ConnectionOptions {
  // A module that is no CommonJS has to hand the client in; its types are those of an older ioredis.
  const known =
    connections.get(gather) ??
    (new Redis(url, { maxRetriesPerRequest: null, enableAutoPipelining: gather }) as unknown as ConnectionOptions)
  connections.set(gather, known)
  return known
}

function queueOf(name: string, gather: boolean): Queue {
  const key = `${gather} ${name}`
  const known = queues.get(key) ?? new Queue(name, { connection: connectionOf(gather) })
  queues.set(key, known)
  return known
}

export type BullCalls = typeof calls

serveCalls(calls)
