/** Settings that change while jobs and events are there: each takes effect, on the node that changes it and on the others. */

import { beforeAll, describe, expect, it } from 'vitest'
import type { Job } from '../../shared/queues.ts'
import { type JobWire, joinQueues, settlement } from '../support/clients/jobs.ts'
import { join } from '../support/clients/wire.ts'
import { startHub } from '../support/hub/hub.ts'
import { storeOfRun } from '../support/hub/runStore.ts'
import { until } from '../support/until.ts'

let changing: string
let working: string

beforeAll(async () => {
  const options = {
    ...storeOfRun(),
    queues: {
      '*': {
        rate: 0.05,
        maxAttempts: 9,
        backoffMs: 60_000,
        maxBackoffMs: 60_000,
        reconnectGraceMs: 60_000,
        ttlMs: 60_000,
      },
      'free-*': { rate: 1_000_000 },
    },
  }
  changing = (await startHub(options)).url
  working = options.store === undefined ? changing : (await startHub(options)).url
})

const ask = async (path: string, method = 'GET', body?: unknown) => {
  const headers = { 'content-type': 'application/json' }
  const init = body === undefined ? { method } : { method, headers, body: JSON.stringify(body) }
  return (await (await fetch(`${changing}/v1/${path}`, init)).json()) as Record<string, never> & {
    counts: Record<string, number>
  }
}
const put = (queue: string, settings: object) => ask(`queues/${queue}`, 'PUT', settings)
const countsOf = async (queue: string) => (await ask(`queues/${queue}`)).counts
const comes = (wire: JobWire, count: number) => wire.jobsSeen(count, 4_000)
const fail = async (wire: JobWire, queue: string, count = 1) => {
  const job = (await comes(wire, count)).at(-1) as Job
  await wire.settle(queue, settlement(job, 'retry'))
  return job
}

interface Effect {
  readonly setting: string
  readonly to: object
  /** What is there when it changes; the result is what has to come of it. */
  prepare(queue: string, wire: JobWire): Promise<() => Promise<unknown>>
}

const EFFECTS: readonly Effect[] = [
  {
    setting: 'rate',
    to: { rate: 1_000 },
    async prepare(queue, wire) {
      await wire.send(queue, ...[1, 2, 3].map((data) => ({ data })))
      await wire.consume(queue, { credit: 3 })
      await comes(wire, 1)
      return () => comes(wire, 3)
    },
  },
  {
    setting: 'maxAttempts',
    to: { rate: 1_000, maxAttempts: 1 },
    async prepare(queue, wire) {
      await wire.send(queue, { data: 1, id: 'a' })
      await wire.consume(queue, { credit: 1 })
      const [{ id, lease }] = (await comes(wire, 1)) as [Job]
      await wire.settle(queue, { id, lease, as: 'retry', delayMs: 300 })
      return () => until(async () => (await countsOf(queue)).dead === 1, { what: 'its end', deadlineMs: 4_000 })
    },
  },
  {
    setting: 'backoffMs and maxBackoffMs',
    to: { rate: 1_000, backoffMs: 1, maxBackoffMs: 1 },
    async prepare(queue, wire) {
      await wire.send(queue, { data: 1 })
      await wire.consume(queue, { credit: 1 })
      await comes(wire, 1)
      return async () => {
        await fail(wire, queue)
        await comes(wire, 2)
      }
    },
  },
  {
    setting: 'deadMs',
    to: { deadMs: 1 },
    async prepare(queue, wire) {
      await wire.send(queue, { data: 1 })
      await wire.consume(queue, { credit: 1 })
      await wire.settle(queue, settlement((await comes(wire, 1))[0] as Job, 'dead'))
      await wire.value('cancel', queue)
      return () => until(async () => (await countsOf(queue)).removed === 1, { what: 'its going', deadlineMs: 4_000 })
    },
  },
  {
    setting: 'reconnectGraceMs',
    to: { rate: 1_000, reconnectGraceMs: 100, backoffMs: 1, maxBackoffMs: 1 },
    async prepare(queue, wire) {
      const lost = await joinQueues(working)
      await lost.send(queue, { data: 1 })
      await lost.consume(queue, { credit: 1, leaseMs: 60_000 })
      await comes(lost, 1)
      return async () => {
        await wire.consume(queue, { credit: 1 })
        lost.cut()
        await comes(wire, 1)
      }
    },
  },
  {
    setting: 'leaseMs, of a consumer that names none, with its next consume',
    to: { leaseMs: 7_000 },
    async prepare(queue, wire) {
      await wire.consume(queue, { credit: 1 })
      return async () =>
        until(async () => (await wire.consume(queue, { credit: 1 })).leaseMs === 7_000, { what: 'the new lease' })
    },
  },
  {
    setting: 'maxLeaseMs, from the next hand-out on',
    to: { rate: 1_000, maxLeaseMs: 2_000, leaseMs: 1_000 },
    async prepare(queue, wire) {
      await wire.consume(queue, { credit: 2, leaseMs: 1_000 })
      return async () => {
        await wire.send(queue, { data: 1 })
        const [{ id, lease }] = (await comes(wire, 1)) as [Job]
        const [answer] = await wire.settle(queue, { id, lease, as: 'extend', leaseMs: 60_000 })
        expect(answer).toEqual({ expiresAt: expect.any(Number) })
      }
    },
  },
  {
    setting: 'maxJobs',
    to: { maxJobs: 1 },
    async prepare(queue, wire) {
      await wire.send(queue, { data: 1 })
      return () => until(async () => !(await wire.call<object>('send', queue, [{ data: 2 }])).ok, { what: 'a refusal' })
    },
  },
  {
    setting: 'priority and ttlMs, of drafts that name none',
    to: { priority: 9, ttlMs: 5_000 },
    async prepare(queue, wire) {
      return async () => {
        await until(
          async () => {
            const { ids } = await wire.send(queue, { data: 2 })
            const job = await ask(`queues/${queue}/jobs/${ids[0]}`)
            return Number(job.priority) === 9 && Number(job.ttlAt) - Number(job.sentAt) === 5_000
          },
          { what: 'a draft with both' },
        )
      }
    },
  },
  {
    setting: 'from',
    to: { rate: 1_000, from: [{ topic: 'settings-bound', from: 'start' }] },
    async prepare(queue, wire) {
      const topic = await join(working, 'settings-bound', { from: 'none' })
      await topic.value('publish', [{ data: 'event' }])
      await wire.consume(queue, { credit: 1 })
      return () => comes(wire, 1)
    },
  },
]

describe('a setting of a queue that changes', () => {
  it.each(EFFECTS.map((effect, i) => ({ ...effect, queue: `setting-${i}` })))('$setting', async (effect) => {
    const wire = await joinQueues(working)
    const happens = await effect.prepare(effect.queue, wire)
    await put(effect.queue, effect.to)
    await happens()
  })

  it('takes effect through a pattern, too, and when it is taken back', async () => {
    const wire = await joinQueues(working)
    const queue = 'free-1'
    await wire.consume(queue, { credit: 10 })
    await wire.send(queue, { data: 1 })
    await comes(wire, 1)
    await put('free-*', { rate: 0.05 })
    await wire.send(queue, ...[2, 3, 4, 5].map((data) => ({ data })))
    await ask('queues/free-*', 'PUT', {})
    await comes(wire, 5)
  })
})

describe('what a topic keeps', () => {
  it('is trimmed soon after its settings ask for less, with nothing published', async () => {
    const topic = await join(working, 'settings-kept', { from: 'none' })
    await topic.value(
      'publish',
      Array.from({ length: 10 }, (_, data) => ({ data })),
    )
    await ask('topics/settings-kept', 'PUT', { retain: { events: 2 } })
    await until(async () => (await topic.value<{ first: number }>('read', {})).first === 9, {
      what: 'the trim',
      deadlineMs: 4_000,
    })
  })
})
