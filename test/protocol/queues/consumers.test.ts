/** Consuming over the wire: credit, leases, coming and going. No SDK. */

import { beforeAll, describe, expect, it } from 'vitest'
import type { Job } from '../../../shared/queues.ts'
import { joinQueues, settlement } from '../../support/clients/jobs.ts'
import { startHub } from '../../support/hub/hub.ts'
import { nodesOfRun } from '../../support/hub/runStore.ts'
import { until } from '../../support/until.ts'

let url: string
let number = 0
const nextQueue = () => `consumed-${++number}`
const data = (jobs: readonly Job[]) => jobs.map((job) => job.data)

beforeAll(async () => {
  ;({ url } = await startHub({
    queues: {
      '*': { backoffMs: 1, maxBackoffMs: 1, maxAttempts: 3 },
      'capped-*': { maxLeaseMs: 300 },
      'brief-*': { reconnectGraceMs: 500 },
    },
  }))
})

async function countsOf(queue: string): Promise<Record<string, number>> {
  const response = await fetch(`${url}/v1/queues/${encodeURIComponent(queue)}`)
  return ((await response.json()) as { counts: Record<string, number> }).counts
}

describe('a consumer', () => {
  it('is listed at its queue, with what it may take and what it holds', async ({ skip }) => {
    skip(nodesOfRun() > 1, 'a node lists its own')
    const queue = nextQueue()
    const [busy, idle] = [await joinQueues(url, { client: 'busy' }), await joinQueues(url, { client: 'idle' })]
    const before = Date.now()
    await busy.consume(queue, { credit: 3, leaseMs: 60_000 })
    await busy.send(queue, { data: 1 }, { data: 2 })
    await busy.jobsSeen(2)
    await idle.consume(queue, { credit: 1 })
    const list = async (query = '') => {
      const response = await fetch(`${url}/v1/queues/${queue}/consumers${query}`)
      return (await response.json()) as { total: number; consumers: { since: number }[] }
    }
    const { total, consumers } = await list()
    expect([total, consumers]).toMatchObject([
      2,
      [
        { client: 'busy', subject: 'anonymous', credit: 3, held: 2, leaseMs: 60_000, silent: false },
        { client: 'idle', credit: 1, held: 0 },
      ],
    ])
    expect(consumers[0]).toHaveProperty('longestMs')
    expect(consumers[1]).not.toHaveProperty('longestMs')
    expect(consumers[0]?.since).toBeGreaterThanOrEqual(before)
    expect(await list('?offset=1&limit=1')).toMatchObject({ total: 2, consumers: [{ client: 'idle' }] })
  })

  it('hears at the cap of a lease that it is lost, however far it was extended', async () => {
    const queue = `capped-${nextQueue()}`
    const wire = await joinQueues(url)
    await wire.consume(queue, { credit: 1, leaseMs: 200 })
    await wire.send(queue, { data: 1, id: 'a' })
    const [{ id, lease }] = (await wire.jobsSeen(1)) as [Job]
    expect(await wire.settle(queue, { id, lease, as: 'extend', leaseMs: 60_000 })).toEqual([
      { expiresAt: expect.any(Number) },
    ])
    await until(() => wire.lost().includes('a'), { what: 'the word that it is lost', deadlineMs: 1_500 })
    expect((await wire.jobsSeen(2))[1]).toMatchObject({ id: 'a', attempts: 1 })
  })

  it('never has more unsettled jobs than its credit, and can change it', async () => {
    const queue = nextQueue()
    const wire = await joinQueues(url)
    expect(await wire.consume(queue, { credit: 2 })).toMatchObject({ queue, credit: 2, held: [] })
    await wire.send(queue, ...Array.from({ length: 6 }, (_, i) => ({ data: i })))
    const two = await wire.jobsSeen(2)
    await wire.settle(queue, settlement(two[0] as Job))
    await wire.jobsSeen(3)
    expect(await wire.consume(queue, { credit: 4 })).toMatchObject({ credit: 4 })
    await wire.jobsSeen(5)
    expect((await countsOf(queue)).held).toBe(4)
    expect(data(wire.jobs())).toEqual([0, 1, 2, 3, 4])
  })

  it('whose jobs are settled while it comes back has its credit free', async () => {
    for (let round = 0; round < 12; round++) {
      const queue = nextQueue()
      const first = await joinQueues(url, { client: queue })
      await first.consume(queue, { credit: 5 })
      await first.send(queue, ...Array.from({ length: 5 }, (_, i) => ({ data: i })))
      const jobs = await first.jobsSeen(5)
      first.socket.io.engine?.close()
      first.socket.close()
      const again = await joinQueues(url, { client: queue })
      const coming = again.consume(queue, { credit: 5, holding: jobs.map(({ lease }) => lease) })
      for (let turn = 0; turn < round; turn++) await new Promise((resolve) => setImmediate(resolve))
      await Promise.all([coming, again.settle(queue, ...jobs.map((job) => settlement(job)))])
      await again.send(queue, ...Array.from({ length: 5 }, () => ({ data: 'next' })))
      expect(data(await again.jobsSeen(5))).toEqual(Array(5).fill('next'))
      again.socket.close()
    }
  })

  it('that cancels gets no more; what it holds stays its own until it leaves', async () => {
    const queue = nextQueue()
    const wire = await joinQueues(url)
    await wire.consume(queue, { credit: 2 })
    await wire.send(queue, { data: 1 }, { data: 2 }, { data: 3 })
    const [job] = (await wire.jobsSeen(2)) as [Job]
    expect(await wire.value('cancel', queue)).toBeNull()
    expect(await wire.settle(queue, settlement(job))).toEqual(['ok'])
    expect(await countsOf(queue)).toMatchObject({ ready: 1, held: 1, done: 1 })
    expect(wire.jobs()).toHaveLength(2)
    // It gives that back when it leaves.
    wire.socket.disconnect()
    await until(async () => (await countsOf(queue)).held === 0, { what: 'the job to be back' })
    expect(await countsOf(queue)).toMatchObject({ ready: 2, done: 1 })
  })

  it('that cancelled and consumes again is the same one, with what it holds counted against its credit', async () => {
    const queue = nextQueue()
    const wire = await joinQueues(url, { client: 'again' })
    await wire.consume(queue, { credit: 2 })
    await wire.send(queue, { data: 1 }, { data: 2 }, { data: 3 })
    const held = await wire.jobsSeen(2)
    await wire.value('cancel', queue)
    expect((await wire.consume(queue, { credit: 2 })).held).toHaveLength(2)
    // Word of its own new session has come by the time that this is answered.
    expect((await wire.consume(queue, { credit: 2, holding: held.map(({ lease }) => lease) })).held).toHaveLength(2)
    expect(wire.jobs()).toHaveLength(2)
    await wire.settle(queue, ...held.map((job) => settlement(job)))
    expect(data(await wire.jobsSeen(3))).toEqual([1, 2, 3])
    expect(wire.packets.filter(({ name }) => name === 'error')).toEqual([])
  })

  it('that is gone again before its consume was answered leaves no job with its lease renewed', async () => {
    const queue = `brief-${nextQueue()}`
    const first = await joinQueues(url, { client: 'hurried' })
    await first.consume(queue, { credit: 1 })
    await first.send(queue, { data: 1 })
    await first.jobsSeen(1)
    first.cut()
    const second = await joinQueues(url, { client: 'hurried' })
    void second.call('consume', queue, { credit: 1 }).catch(() => {})
    second.close()
    const other = await joinQueues(url)
    await other.consume(queue, { credit: 1 })
    expect(data(await other.jobsSeen(1, 3_000))).toEqual([1])
  })

  it('that stops leaves leases that all lapse at once, however many, and one after it works off all without a pause', async () => {
    const [many, few] = [nextQueue(), nextQueue()]
    const [wire, other] = [await joinQueues(url), await joinQueues(url)]
    const drafts = (count: number) => Array.from({ length: count }, (_, i) => ({ data: i }))
    await wire.send(many, ...drafts(420))
    await wire.send(few, ...drafts(60))
    for (const [queue, credit] of [
      [many, 420],
      [few, 20],
    ] as const) {
      await wire.consume(queue, { credit, leaseMs: 200 })
      await until(async () => (await countsOf(queue)).held === credit, { what: 'the hand-out' })
      await wire.value('cancel', queue)
    }
    // The hub looks every second, and at one look there is more to do than fits into one step.
    await until(async () => (await countsOf(many)).held === 0 && (await countsOf(few)).held === 0, {
      what: 'all lapses',
      deadlineMs: 3_900,
    })
    const settled: Promise<unknown>[] = []
    const came: number[] = [performance.now()]
    const settle = (queue: string, jobs: Job[]) => {
      came.push(performance.now())
      settled.push(other.settle(queue, ...jobs.map((job) => settlement(job))))
    }
    other.socket.on('jobs', settle)
    await other.consume(few, { credit: 20 })
    await until(async () => (await countsOf(few)).done === 60, { what: 'all to be done', deadlineMs: 30_000 })
    await Promise.all(settled)
    // The hub looks again every two seconds, for what it was not told of.
    expect(Math.max(...came.slice(1).map((at, i) => at - (came[i] ?? at)))).toBeLessThan(1_800)
  })

  it('that disconnects on purpose gives its jobs back at once, without an attempt', async () => {
    const queue = nextQueue()
    const [one, two] = [await joinQueues(url, { client: 'one' }), await joinQueues(url)]
    await one.consume(queue, { credit: 2 })
    await one.send(queue, { data: 1 }, { data: 2 })
    await one.jobsSeen(2)
    await two.consume(queue, { credit: 2 })
    one.close()
    expect(await two.jobsSeen(2, 3_000)).toMatchObject([
      { data: 1, attempts: 0, deliveries: 2 },
      { data: 2, attempts: 0, deliveries: 2 },
    ])
  })

  it.each(['blinks', 'is-away'])('that %s keeps its jobs, counted against its credit', async (client) => {
    const queue = nextQueue()
    const other = await joinQueues(url)
    const before = await joinQueues(url, { client })
    await before.consume(queue, { credit: 2 })
    await before.send(queue, { data: 1 }, { data: 2 }, { data: 3 })
    const held = await before.jobsSeen(2)
    if (client === 'blinks') before.cut()
    else {
      await before.value('away')
      expect(await before.disconnected).toBe('io server disconnect')
    }
    const after = await joinQueues(url, { client })
    const consuming = await after.consume(queue, { credit: 2 })
    expect(consuming.held.map(({ lease }) => lease).sort()).toEqual(held.map(({ lease }) => lease).sort())
    await other.consume(queue, { credit: 5 })
    expect(data(await other.jobsSeen(1))).toEqual([3])
    expect(await after.settle(queue, ...held.map((job) => settlement(job)))).toEqual(['ok', 'ok'])
    expect(await countsOf(queue)).toMatchObject({ done: 2, held: 1 })
    expect(other.jobs()).toHaveLength(1)
    expect(after.jobs()).toHaveLength(0)
  })

  it('that comes back without some of its jobs says so, and others get them', async () => {
    const queue = nextQueue()
    const before = await joinQueues(url, { client: 'restarted' })
    await before.consume(queue, { credit: 2 })
    await before.send(queue, { data: 1 }, { data: 2 })
    const [, second] = (await before.jobsSeen(2)) as [Job, Job]
    before.cut()
    const after = await joinQueues(url, { client: 'restarted' })
    const { held } = await after.consume(queue, { credit: 2, holding: [second.lease] })
    expect(held.map(({ lease }) => lease)).toEqual([second.lease])
    // It was held beside another: nobody knows which was to blame, so it is handed out alone.
    await after.settle(queue, settlement(second))
    expect(await after.jobsSeen(1)).toMatchObject([{ data: 1, attempts: 0, deliveries: 2 }])
  })

  it('is taken over by a newer one of its client, for good', async () => {
    const queue = nextQueue()
    const old = await joinQueues(url, { client: 'twice' })
    await old.consume(queue, { credit: 1 })
    const young = await joinQueues(url, { client: 'twice' })
    await young.consume(queue, { credit: 1 })
    expect(await old.disconnected).toBe('io server disconnect')
    expect(old.packets.at(-1)).toMatchObject({ name: 'error', args: [{ code: 'taken_over' }] })
    await young.send(queue, { data: 1 })
    await young.jobsSeen(1)
  })

  it('hears that a lease is lost before it is handed the job again', async () => {
    const queue = nextQueue()
    const wire = await joinQueues(url)
    await wire.consume(queue, { credit: 5, leaseMs: 150 })
    await wire.send(queue, { data: 1, id: 'a' }, { data: 2, id: 'b' })
    await wire.jobsSeen(4)
    const held = new Set<string>()
    for (const { name, args } of wire.packets) {
      if (name === 'lost') for (const id of args[1] as string[]) expect(held.delete(id)).toBe(true)
      if (name !== 'jobs') continue
      for (const { id } of args[1] as Job[]) {
        expect(held, 'a job that is held already').not.toContain(id)
        held.add(id)
      }
    }
  })

  it('with the most free credit on its node is served first', async ({ skip }) => {
    skip(nodesOfRun() > 1, 'nodes race, each for its own')
    const queue = nextQueue()
    const [small, large] = [await joinQueues(url), await joinQueues(url)]
    await small.consume(queue, { credit: 1 })
    await large.consume(queue, { credit: 10 })
    for (let i = 0; i < 3; i++) await small.send(queue, { data: i })
    await large.jobsSeen(3)
    expect(small.jobs()).toHaveLength(0)
  })
})
