/** Jobs that come back, over the wire: released, tried again, extended as far as it goes, settled by somebody else. */

import { beforeAll, describe, expect, it } from 'vitest'
import type { Job } from '../../../shared/queues.ts'
import { joinQueues, settlement } from '../../support/clients/jobs.ts'
import { startHub } from '../../support/hub/hub.ts'
import { storeOfRun } from '../../support/hub/runStore.ts'
import { until } from '../../support/until.ts'

let url: string
/** Of another node where the store can have several, else of the same one. */
let elsewhere: string
let number = 0
const nextQueue = () => `returns-${++number}`
const data = (jobs: readonly Job[]) => jobs.map((job) => job.data)

beforeAll(async () => {
  const options = {
    ...storeOfRun(),
    queues: { '*': { backoffMs: 60_000, maxBackoffMs: 60_000 }, 'capped-*': { maxLeaseMs: 60_000 } },
  }
  url = (await startHub(options)).url
  elsewhere = options.store === undefined ? url : (await startHub(options)).url
})

const post = async (path: string, body: unknown) =>
  await (
    await fetch(`${elsewhere}/v1/queues/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  ).json()

describe('a job that is released', () => {
  it('waits its turn, and comes later each time that the same consumer releases it', async () => {
    const queue = nextQueue()
    const wire = await joinQueues(url, { client: 'picky' })
    await wire.send(queue, ...['no', 2, 3].map((one) => ({ data: one })))
    await wire.consume(queue, { credit: 1 })
    for (let count = 1; count <= 5; count++) {
      const job = (await wire.jobsSeen(count)).at(-1) as Job
      await wire.settle(queue, settlement(job, job.data === 'no' ? 'release' : 'done'))
    }
    expect(data(wire.jobs()).slice(0, 4)).toEqual(['no', 2, 3, 'no'])
    // Without pauses it would come some hundred times.
    const began = Date.now()
    while (Date.now() - began < 1_000) {
      const seen = wire.jobs().length
      await until(() => wire.jobs().length > seen || Date.now() - began >= 1_000, { what: 'the job or the end' })
      if (wire.jobs().length > seen) await wire.settle(queue, settlement(wire.jobs().at(-1) as Job, 'release'))
    }
    expect(wire.jobs().length).toBeLessThan(12)
  })

  it('by a consumer that has cancelled goes back to its place, and does not come again', async () => {
    const queue = nextQueue()
    const wire = await joinQueues(url)
    await wire.send(queue, ...[1, 2, 3, 4].map((one) => ({ data: one })))
    await wire.consume(queue, { credit: 3 })
    const jobs = await wire.jobsSeen(3)
    // In one turn, as a worker that is closed says it.
    await Promise.all([
      wire.value('cancel', queue),
      wire.settle(queue, ...jobs.map((job) => settlement(job, 'release'))),
    ])
    const next = await joinQueues(url)
    await next.consume(queue, { credit: 4 })
    expect(data(await next.jobsSeen(4))).toEqual([1, 2, 3, 4])
    expect(next.jobs().map(({ deliveries }) => deliveries)).toEqual([2, 2, 2, 1])
    expect(wire.jobs()).toHaveLength(3)
  })
})

describe('a job that is tried again', () => {
  it('may wait as long as a new one, however long the first try took', async () => {
    const queue = nextQueue()
    const wire = await joinQueues(url)
    await wire.send(queue, { data: 1, ttlMs: 400 })
    await wire.consume(queue, { credit: 1 })
    const [job] = (await wire.jobsSeen(1)) as [Job]
    await new Promise((resolve) => setTimeout(resolve, 600))
    await wire.settle(queue, { id: job.id, lease: job.lease, as: 'retry', delayMs: 10 })
    expect((await wire.jobsSeen(2))[1]).toMatchObject({ attempts: 1, data: 1 })
  })
})

describe('an extension', () => {
  it('that the cap cuts answers when the lease ends, over the wire and over HTTP', async () => {
    const queue = `capped-${nextQueue()}`
    const wire = await joinQueues(url)
    await wire.send(queue, { data: 1 }, { data: 2 })
    await wire.consume(queue, { credit: 1, leaseMs: 1_000 })
    const [{ id, lease, expiresAt }] = (await wire.jobsSeen(1)) as [Job]
    const extend = { id, lease, as: 'extend' } as const
    const cut = { expiresAt: expiresAt - 1_000 + 60_000 }
    expect(await wire.settle(queue, { ...extend, leaseMs: 30_000 })).toEqual(['ok'])
    expect(await wire.settle(queue, { ...extend, leaseMs: 90_000 })).toEqual([cut])
    expect(await post(`${queue}/settlements`, [{ ...extend, leaseMs: 90_000 }])).toEqual([cut])
    expect(await post(`${queue}/settlements`, [{ ...extend, leaseMs: 1_000 }])).toEqual(['ok'])
  })
})

describe('a dead letter', () => {
  it('that its consumer answers dead waits for the backoff', async () => {
    const queue = nextQueue()
    const wire = await joinQueues(url)
    await wire.send(queue, { data: 1, id: 'a' })
    await wire.consume(queue, { credit: 1 })
    await wire.settle(queue, settlement((await wire.jobsSeen(1))[0] as Job, 'dead'))
    await wire.consume(`${queue}/dead`, { credit: 1 })
    const letter = (await wire.jobsSeen(2))[1] as Job
    expect(await wire.settle(`${queue}/dead`, settlement(letter, 'dead'))).toEqual(['ok'])
    const path = `${url}/v1/queues/${encodeURIComponent(`${queue}/dead`)}/jobs/a`
    expect(await (await fetch(path)).json()).toMatchObject({ state: 'delayed', attempts: 1 })
    // The consumers of the queue and of its dead letters are two, also those of one connection.
    await wire.consume(`${queue}/dead`, { credit: 1, holding: [] })
    await wire.send(queue, { data: 2 })
    expect(data(await wire.jobsSeen(3))).toEqual([1, 1, 2])
    expect(wire.packets.filter(({ name }) => name === 'error')).toEqual([])
  })
})

describe('a job that somebody else settles', () => {
  it('frees its holder for the next one at once', async () => {
    const queue = nextQueue()
    const [holder, other] = [await joinQueues(url), await joinQueues(elsewhere)]
    await holder.consume(queue, { credit: 1 })
    await holder.send(queue, { data: 1 }, { data: 2 }, { data: 3 })
    const [first] = (await holder.jobsSeen(1)) as [Job]
    expect(await post(`${queue}/settlements`, [settlement(first)])).toEqual(['ok'])
    const second = (await holder.jobsSeen(2))[1] as Job
    expect(await other.settle(queue, settlement(second))).toEqual(['ok'])
    expect(data(await holder.jobsSeen(3))).toEqual([1, 2, 3])
  })
})
