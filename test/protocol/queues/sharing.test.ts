/** Whose turn it is to be given a job, over the wire: in turns, and not to who let a lease lapse before it is heard of. */

import { beforeAll, describe, expect, it } from 'vitest'
import type { Job } from '../../../shared/queues.ts'
import { type JobWire, joinQueues, settlement } from '../../support/clients/jobs.ts'
import { startHub } from '../../support/hub/hub.ts'
import { nodesOfRun } from '../../support/hub/runStore.ts'
import { until } from '../../support/until.ts'

let url: string
let number = 0
const nextQueue = () => `turns-${++number}`

beforeAll(async () => {
  ;({ url } = await startHub({ queues: { '*': { backoffMs: 1, maxBackoffMs: 1, maxAttempts: 100 } } }))
})

const post = async (path: string, body: unknown): Promise<unknown> => {
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  return await (await fetch(`${url}/v1/queues/${path}`, init)).json()
}
const explained = async (queue: string) =>
  (await (await fetch(`${url}/v1/queues/${queue}`)).json()) as { readonly consumers: number }

/** Sends one job after the other, each when the one before is done; gives how many each of these was handed. */
async function oneByOne(workers: readonly JobWire[], queues: readonly string[]): Promise<number[]> {
  const count = () => workers.reduce((sum, worker) => sum + worker.jobs().length, 0)
  const before = workers.map((worker) => worker.jobs().length)
  for (const queue of queues) {
    const seen = count()
    await workers[0]?.send(queue, { data: 1 })
    await until(() => count() > seen, { what: 'the job' })
    const worker = workers.find((one, i) => one.jobs().length > (before[i] ?? 0) && isNew(one))
    await worker?.settle(queue, settlement(worker.jobs().at(-1) as Job))
  }
  return workers.map((worker, i) => worker.jobs().length - (before[i] ?? 0))
}

const known = new WeakMap<JobWire, number>()
function isNew(worker: JobWire): boolean {
  const { length } = worker.jobs()
  if (length === (known.get(worker) ?? 0)) return false
  known.set(worker, length)
  return true
}

describe('idle workers', () => {
  it('share what comes one at a time, whatever their credit', async ({ skip }) => {
    skip(nodesOfRun() > 1, 'nodes race, each for its own')
    const queue = nextQueue()
    const workers = [await joinQueues(url), await joinQueues(url), await joinQueues(url)]
    for (const [i, worker] of workers.entries()) await worker.consume(queue, { credit: [10, 1, 3][i] ?? 1 })
    expect(await oneByOne(workers, Array(9).fill(queue))).toEqual([3, 3, 3])
  })

  it('share also what comes to several queues', async ({ skip }) => {
    skip(nodesOfRun() > 1, 'nodes race, each for its own')
    const [one, two] = [nextQueue(), nextQueue()]
    const workers = [await joinQueues(url), await joinQueues(url), await joinQueues(url)]
    for (const worker of workers) for (const queue of [one, two]) await worker.consume(queue, { credit: 2 })
    expect(await oneByOne(workers, [one, two, one, two, one, two])).toEqual([2, 2, 2])
  })

  it('share what comes at once, however much each of them could take', async ({ skip }) => {
    skip(nodesOfRun() > 1, 'nodes race, each for its own')
    const queue = nextQueue()
    const workers = [await joinQueues(url), await joinQueues(url), await joinQueues(url)]
    for (const worker of workers) await worker.consume(queue, { credit: 100 })
    await workers[0]?.send(queue, ...Array.from({ length: 30 }, (_, data) => ({ data })))
    await until(() => workers.reduce((sum, worker) => sum + worker.jobs().length, 0) === 30, { what: 'all jobs' })
    expect(workers.map((worker) => worker.jobs().length)).toEqual([10, 10, 10])
  })

  it('share with those that claim anew for each job', async ({ skip }) => {
    skip(nodesOfRun() > 1, 'nodes race, each for its own')
    const queue = nextQueue()
    const worker = await joinQueues(url)
    await worker.consume(queue, { credit: 10 })
    for (let round = 1; round <= 3; round++) {
      const claiming = post(`${queue}/claims`, { waitMs: 10_000 })
      await until(async () => (await explained(queue)).consumers === 2, { what: 'the claim' })
      await worker.send(queue, { data: 'for who waits longer' })
      await worker.settle(queue, settlement((await worker.jobsSeen(round)).at(-1) as Job))
      await worker.send(queue, { data: 'for the other one' })
      const [job] = ((await claiming) as { jobs: Job[] }).jobs
      expect(job).toMatchObject({ data: 'for the other one' })
      expect(await post(`${queue}/settlements`, [settlement(job as Job)])).toEqual(['ok'])
      await until(async () => (await explained(queue)).consumers === 1, { what: 'the end of the claim' })
    }
  })
})

describe('a consumer that let a lease lapse', () => {
  it('gets nothing more until it is heard of again, and then its turn', async () => {
    const queue = nextQueue()
    const [silent, idle] = [await joinQueues(url, { client: 'silent' }), await joinQueues(url, { client: 'idle' })]
    await silent.consume(queue, { credit: 10, leaseMs: 300 })
    await silent.send(queue, { data: 'first' })
    await silent.jobsSeen(1)
    await idle.consume(queue, { credit: 1 })
    const [again] = (await idle.jobsSeen(1)) as [Job]
    expect(again).toMatchObject({ data: 'first', deliveries: 2 })
    await idle.settle(queue, settlement(again))
    expect(silent.lost()).toHaveLength(1)
    expect(await oneByOne([idle], Array(4).fill(queue))).toEqual([4])
    expect(silent.jobs()).toHaveLength(1)
    await silent.consume(queue, { credit: 10 })
    // Nodes race, each for its own: alone, it gets it for sure.
    if (nodesOfRun() > 1) await idle.value('cancel', queue)
    await idle.send(queue, { data: 'last' })
    expect((await silent.jobsSeen(2))[1]).toMatchObject({ data: 'last' })
  })

  it('gets nothing of other queues either', async () => {
    const [one, two] = [nextQueue(), nextQueue()]
    const [silent, idle] = [await joinQueues(url), await joinQueues(url)]
    await silent.consume(one, { credit: 10, leaseMs: 300 })
    await silent.consume(two, { credit: 10 })
    await silent.send(one, { data: 'first' })
    await silent.jobsSeen(1)
    for (const queue of [one, two]) await idle.consume(queue, { credit: 10 })
    await idle.settle(one, settlement((await idle.jobsSeen(1))[0] as Job))
    expect(await oneByOne([idle], Array(3).fill(two))).toEqual([3])
    expect(silent.jobs()).toHaveLength(1)
  })

  it('is asked whether it is there once all others have left', async () => {
    const queue = nextQueue()
    const [silent, idle] = [await joinQueues(url), await joinQueues(url)]
    await silent.consume(queue, { credit: 10, leaseMs: 300 })
    await silent.send(queue, { data: 'first' })
    await silent.jobsSeen(1)
    await idle.consume(queue, { credit: 1 })
    await idle.settle(queue, settlement((await idle.jobsSeen(1))[0] as Job))
    await idle.send(queue, { data: 'second' }, { data: 'third' })
    await idle.jobsSeen(2)
    expect(silent.jobs()).toHaveLength(1)
    idle.close()
    await silent.jobsSeen(3)
  })
})
