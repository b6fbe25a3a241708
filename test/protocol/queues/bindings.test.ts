/** Queues that are bound to topics: every event of the topic is a job of the queue, once. No SDK. */

import { describe, expect, it } from 'vitest'
import { joinQueues, settlement } from '../../support/clients/jobs.ts'
import { join } from '../../support/clients/wire.ts'
import { startHub } from '../../support/hub/hub.ts'
import { until } from '../../support/until.ts'

describe('a bound queue', () => {
  it('gets every event once, in order, with its key and without its id', async () => {
    const { url, hub } = await startHub({ queues: { work: { from: ['orders'] } } })
    const worker = await joinQueues(url)
    await worker.consume('work', { credit: 1_000 })
    await until(async () => (await bindingsOf(url, 'work')).length === 1, { what: 'the binding' })
    const watcher = await join(url, 'orders')
    await hub.topic('orders').publish({ n: 0 }, { id: 'own', key: 'k', headers: { h: '1' } })
    await hub.topic('orders').publishAll(Array.from({ length: 500 }, (_, i) => ({ data: { n: i + 1 } })))
    const jobs = await worker.jobsSeen(501)
    expect(jobs.map(({ data }) => (data as { n: number }).n)).toEqual(Array.from({ length: 501 }, (_, n) => n))
    expect(jobs[0]).toMatchObject({ key: 'k', headers: { h: '1' }, attempts: 0 })
    expect(jobs[0]?.id).not.toBe('own')
    expect((await watcher.eventsSeen(501)).length).toBe(501)
    for (let i = 0; i < jobs.length; i += 250) {
      await worker.settle('work', ...jobs.slice(i, i + 250).map((job) => settlement(job)))
    }
    await until(async () => (await bindingsOf(url, 'work'))[0]?.position.offset === 501, { what: 'the position' })
  })

  it('of several gets its own copy, and begins where it is said', async () => {
    const { url, hub } = await startHub()
    await hub.topic('t').publishAll([{ data: 1 }, { data: 2 }])
    const put = (queue: string, from: unknown) =>
      fetch(`${url}/v1/queues/${queue}`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ from }),
      })
    expect((await put('late', ['t'])).status).toBe(200)
    expect((await put('early', [{ topic: 't', from: 'start' }])).status).toBe(200)
    await until(async () => (await bindingsOf(url, 'late')).length === 1, { what: 'the binding of late' })
    await hub.topic('t').publish(3)
    const [late, early] = [await joinQueues(url), await joinQueues(url)]
    await late.consume('late', { credit: 10 })
    await early.consume('early', { credit: 10 })
    expect((await early.jobsSeen(3)).map(({ data }) => data)).toEqual([1, 2, 3])
    expect((await late.jobsSeen(1)).map(({ data }) => data)).toEqual([3])
    // Ended: what comes then is not copied.
    expect((await put('late', [])).status).toBe(200)
    await until(async () => (await bindingsOf(url, 'late')).length === 0, { what: 'the end of the binding' })
    await hub.topic('t').publish(4)
    await early.jobsSeen(4)
    expect(late.jobs()).toHaveLength(1)
  })

  it('that is full holds the topic, and takes the rest when it has room', async () => {
    const { url, hub } = await startHub({
      topics: { t: { retain: { events: 5 } } },
      queues: { full: { from: ['t'], maxJobs: 10 } },
    })
    await until(async () => (await bindingsOf(url, 'full')).length === 1, { what: 'the binding' })
    for (let i = 0; i < 50; i++) await hub.topic('t').publish(i)
    const worker = await joinQueues(url)
    await worker.consume('full', { credit: 10 })
    for (let seen = 0; seen < 50; ) {
      const jobs = await worker.jobsSeen(seen + 1)
      await worker.settle('full', ...jobs.slice(seen).map((job) => settlement(job)))
      seen = jobs.length
    }
    expect(worker.jobs().map(({ data }) => data)).toEqual(Array.from({ length: 50 }, (_, i) => i))
  })

  it('that is behind beyond the cap has what it missed among its dead letters', async () => {
    const { url, hub } = await startHub({
      topics: { t: { retain: { events: 5 } } },
      queues: { small: { from: ['t'], maxJobs: 1, maxHoldBytes: 1 } },
    })
    await until(async () => (await bindingsOf(url, 'small')).length === 1, { what: 'the binding' })
    for (let i = 0; i < 25; i++) await hub.topic('t').publish(i)
    const worker = await joinQueues(url)
    await worker.consume('small', { credit: 1 })
    const undertaker = await joinQueues(url)
    await undertaker.consume('small/dead', { credit: 10 })
    let settled = 0
    const isOver = () => worker.jobs().some(({ data }) => data === 24)
    while (!isOver()) {
      const jobs = await worker.jobsSeen(settled + 1)
      await worker.settle('small', ...jobs.slice(settled).map((job) => settlement(job)))
      settled = jobs.length
    }
    const gaps = undertaker.jobs().map(({ data }) => data as { topic: string; from: number; to: number; count: number })
    expect(gaps.length).toBeGreaterThan(0)
    const copied = worker.jobs().map(({ data }) => (data as number) + 1)
    const missed = gaps.flatMap(({ from, count }) => Array.from({ length: count }, (_, i) => from + i))
    expect([...copied, ...missed].sort((a, b) => a - b)).toEqual(Array.from({ length: 25 }, (_, i) => i + 1))
  })
})

async function bindingsOf(url: string, queue: string) {
  const response = await fetch(`${url}/v1/queues/${queue}`)
  if (!response.ok) return []
  return ((await response.json()) as { bindings: { topic: string; position: { offset: number } }[] }).bindings
}
