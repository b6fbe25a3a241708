/** What slows, stops or refuses work, over all hubs of a store together: rate, pause, purge, expiry, room. */

import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import type { Job } from '../../../shared/queues.ts'
import { joinQueues, settlement } from '../../support/clients/jobs.ts'
import { startHub } from '../../support/hub/hub.ts'
import { describeStores } from '../../support/hub/stores.ts'
import { until } from '../../support/until.ts'

const RATE = 20
const QUEUES = {
  rated: { rate: RATE },
  small: { maxJobs: 3 },
}

describeStores('work on $name', (store) => {
  const startHubs = async () => {
    const { location } = await store.place()
    const count = store.name === 'redis' ? 3 : 1
    const urls: string[] = []
    for (let i = 0; i < count; i++) urls.push((await startHub({ store: location, queues: QUEUES })).url)
    return (n: number): string => urls[n % urls.length] ?? ''
  }

  it('is handed out at the rate of its queue by all hubs together', { timeout: 30_000 }, async () => {
    const at = await startHubs()
    const sender = await joinQueues(at(0))
    const times: number[] = []
    for (let i = 0; i < 3; i++) {
      const worker = await joinQueues(at(i))
      worker.socket.on('jobs', (queue: string, jobs: readonly Job[]) => {
        for (const _job of jobs) times.push(Date.now())
        void worker.settle(queue, ...jobs.map((job) => settlement(job))).catch(() => {})
      })
      await worker.consume('rated', { credit: 20 })
    }
    const began = Date.now()
    await sender.send('rated', ...Array.from({ length: 3 * RATE }, (_, i) => ({ data: i })))
    await until(() => times.length === 3 * RATE, { what: 'all jobs', deadlineMs: 15_000, seen: () => times.length })
    const tookMs = Date.now() - began
    // A tenth of a second's worth may go at once. One hub's share of three would take 9 s.
    expect(tookMs).toBeGreaterThan(2_700)
    expect(tookMs).toBeLessThan(8_500)
  })

  it('of a rated queue that is due now does not wait for what is due later', async () => {
    const at = await startHubs()
    const wire = await joinQueues(at(0))
    await wire.consume('rated', { credit: 5 })
    await wire.send('rated', { data: 'later', delayMs: 60_000 })
    await until(async () => (await countsOf(at(1), 'rated')).delayed === 1, { what: 'the delayed one' })
    for (let n = 1; n <= 3; n++) {
      await wire.send('rated', { data: n })
      await wire.jobsSeen(n)
    }
    expect(wire.jobs().map(({ data }) => data)).toEqual([1, 2, 3])
  })

  it('waits while its queue is paused on any hub, and moves when it is resumed on another', async () => {
    const at = await startHubs()
    const [sender, worker] = [await joinQueues(at(0)), await joinQueues(at(1))]
    await worker.consume('work', { credit: 5 })
    await sender.send('work', { data: 0 })
    await worker.jobsSeen(1)
    expect((await order(at(2), 'work', 'pause')).ok).toBe(true)
    await sender.send('work', { data: 1 }, { data: 2 })
    await sleep(300)
    expect(worker.jobs()).toHaveLength(1)
    expect(await countsOf(at(1), 'work')).toMatchObject({ sent: 3, ready: 2, held: 1 })
    expect((await order(at(0), 'work', 'resume')).ok).toBe(true)
    expect((await worker.jobsSeen(3)).map(({ data }) => data)).toEqual([0, 1, 2])
  })

  it('that is purged is gone where it waits, not where it is held', async () => {
    const at = await startHubs()
    const [sender, worker] = [await joinQueues(at(0)), await joinQueues(at(1))]
    await sender.send('work', { data: 0 }, { data: 1 }, { data: 2 }, { data: 3, delayMs: 60_000 })
    await worker.consume('work', { credit: 1 })
    const [job] = (await worker.jobsSeen(1)) as [Job]
    expect((await order(at(2), 'work', 'purge')).ok).toBe(true)
    expect(await countsOf(at(0), 'work')).toMatchObject({ sent: 4, ready: 0, delayed: 0, held: 1, removed: 3 })
    expect(await worker.settle('work', settlement(job))).toEqual(['ok'])
    expect(await countsOf(at(0), 'work')).toMatchObject({ sent: 4, held: 0, done: 1, removed: 3 })
    expect(worker.jobs()).toHaveLength(1)
  })

  it('that waited beyond its time is among the dead letters, and what is held is not', async () => {
    const at = await startHubs()
    const [sender, worker] = [await joinQueues(at(0)), await joinQueues(at(1))]
    await worker.consume('work', { credit: 1 })
    await sender.send('work', { data: 'held', ttlMs: 200 })
    const [held] = (await worker.jobsSeen(1)) as [Job]
    await sender.send('work', { data: 'waiting', ttlMs: 200 })
    await until(async () => (await countsOf(at(2), 'work')).dead === 1, { what: 'the expiry' })
    expect(await worker.settle('work', settlement(held))).toEqual(['ok'])
    const undertaker = await joinQueues(at(2))
    await undertaker.consume('work/dead', { credit: 1 })
    expect(await undertaker.jobsSeen(1)).toMatchObject([{ data: 'waiting' }])
    expect(worker.jobs()).toHaveLength(1)
  })

  it('beyond the room of its queue is refused whole, with a time to come back, on every hub', async () => {
    const at = await startHubs()
    const [sender, other] = [await joinQueues(at(0)), await joinQueues(at(1))]
    await sender.send('small', { data: 1 }, { data: 2 })
    const refused = await other.call('send', 'small', [{ data: 3 }, { data: 4 }])
    expect(refused).toMatchObject({
      ok: false,
      error: { code: 'too_many', retryable: true, retryAfterMs: expect.any(Number) },
    })
    expect(await countsOf(at(2), 'small')).toMatchObject({ sent: 2, ready: 2 })
    await other.consume('small', { credit: 1 })
    const [job] = (await other.jobsSeen(1)) as [Job]
    await other.value('cancel', 'small')
    await other.settle('small', settlement(job))
    expect((await other.send('small', { data: 3 }, { data: 4 })).ids).toHaveLength(2)
  })
})

function order(url: string, queue: string, what: 'pause' | 'resume' | 'purge'): Promise<Response> {
  return fetch(`${url}/v1/queues/${queue}/${what}`, { method: 'POST' })
}

async function countsOf(url: string, queue: string): Promise<Readonly<Record<string, number>>> {
  const response = await fetch(`${url}/v1/queues/${queue}`)
  return ((await response.json()) as { counts: Record<string, number> }).counts
}
