import { describe, expect, it } from 'vitest'
import { connect } from '../../../client/index.ts'
import { asking } from '../../support/clients/ask.ts'
import { startHub } from '../../support/hub/hub.ts'
import { startRedis } from '../../support/redis/redis.ts'
import { until } from '../../support/until.ts'

const redis = await startRedis()
const places = {
  'a hub by itself': [await startHub()],
  'nodes on Redis': await Promise.all([1, 2, 3].map(() => startHub({ store: redis.url }))),
}

describe.each(Object.entries(places))('the end of a job, at %s', (_, hubs) => {
  const [here, there = here, third = here] = hubs
  if (here === undefined || there === undefined || third === undefined) throw new Error('no hub')

  it('is waited for anywhere, whether it comes or has come, whatever the queue keeps', async () => {
    const [sender, worker, waiter] = [connect(here.url), connect(there.url), connect(third.url)]
    for (const name of ['waits', 'off.waits']) {
      const settings = { maxAttempts: 1, ...(name === 'off.waits' && { keepDone: false }) }
      await asking(here.url)('PUT', `/v1/queues/${name}`, settings)
      const sent = await sender
        .queue(name)
        .sendAll(['sum', 'fail', 'gone', 'bytes'].map((data) => ({ data, id: data })))
      expect(sent.map(({ id }) => id)).toEqual(['sum', 'fail', 'gone', 'bytes'])
      const queue = waiter.queue(name)
      const ends = Promise.all(['sum', 'fail', 'gone', 'bytes'].map((id) => queue.waitFor(id, { timeoutMs: 60_000 })))
      const isAwaited = async () => (await queue.counts()).ready === 4
      await until(isAwaited, { what: 'all to be there' })
      expect(await queue.remove('gone')).toBe(true)
      const taking = worker.queue<string>(name).consume(({ data }) => {
        if (data === 'fail') throw new Error('no luck')
        return data === 'bytes' ? new Uint8Array([1, 2]) : { sum: 6 }
      })
      taking.onError(() => {})
      const [sum, fail, gone, bytes] = await ends
      expect([sum, gone]).toEqual([{ state: 'done', result: { sum: 6 } }, { state: 'removed' }])
      expect(fail).toEqual({ state: 'dead', error: 'Error: no luck' })
      expect([bytes?.state, Buffer.from((bytes?.result ?? []) as Uint8Array)]).toEqual(['done', Buffer.of(1, 2)])
      if (name === 'waits') expect(await queue.waitFor('sum')).toEqual(sum)
      expect(await queue.waitFor('fail')).toEqual(fail)
      await taking.close()
    }
    await Promise.all([sender.close(), worker.close(), waiter.close()])
  })

  it('of all jobs of a queue is waited for with drain, on any node, with what comes meanwhile', async () => {
    const [sender, worker, waiter] = [connect(here.url), connect(there.url), connect(third.url)]
    const queue = sender.queue<string>('drained')
    await asking(here.url)('PUT', '/v1/queues/drained', { maxAttempts: 1 })
    // Nothing was sent yet: it is empty.
    await waiter.queue('drained').drain()
    const begun: unknown[] = []
    const held: (() => void)[] = []
    await queue.sendAll(['a', 'b', 'c'].map((data) => ({ data, id: data, ...(data === 'c' && { delayMs: 100 }) })))
    const drained = [queue, waiter.queue('drained')].map(async (one) => {
      await one.drain()
      return begun.length
    })
    await expect(waiter.queue('drained').drain({ timeoutMs: 120 })).rejects.toMatchObject({ code: 'timeout' })
    await expect(queue.drain({ timeoutMs: -1 })).rejects.toMatchObject({ code: 'bad_request' })
    await expect(queue.drain({ timeout: 5 } as object)).rejects.toMatchObject({ code: 'bad_request' })
    const closed = expect(worker.queue('drained').drain()).rejects.toMatchObject({ code: 'unavailable' })
    await worker.queue('drained').close()
    await closed
    const taking = worker.queue<string>('drained').consume(
      async ({ data }) => {
        begun.push(data)
        // Before it has ended itself: the queue is not empty in between.
        if (data === 'a') await queue.send('late')
        if (data === 'b') throw new Error('a dead letter is no job of the queue')
        if (data === 'late') await new Promise<void>((resolve) => held.push(resolve))
      },
      { concurrency: 4 },
    )
    taking.onError(() => {})
    await until(() => begun.length === 4 && held.length === 1, { what: 'all to be begun' })
    await expect(queue.drain({ timeoutMs: 100 })).rejects.toMatchObject({ code: 'timeout' })
    held[0]?.()
    expect(await Promise.all(drained)).toEqual([4, 4])
    expect(await queue.counts()).toMatchObject({ sent: 4, done: 3, dead: 1 })
    // What is not sent yet counts, too.
    void queue.send('last')
    await queue.drain()
    expect(begun.at(-1)).toBe('last')
    await Promise.all([sender.close(), worker.close(), waiter.close()])
  })

  it('that does not come is a timeout; of a job that never was there is none', async () => {
    const hub = connect(here.url)
    const queue = hub.queue('never')
    await queue.send(1, { id: 'a' })
    await expect(queue.waitFor('a', { timeoutMs: 20 })).rejects.toMatchObject({ code: 'timeout' })
    await expect(queue.waitFor('b')).rejects.toMatchObject({ code: 'not_found' })
    await expect(queue.waitFor('a', { timeoutMs: 0 })).rejects.toMatchObject({ code: 'bad_request' })
    await expect(hub.queue('never').waitFor('')).rejects.toMatchObject({ code: 'bad_request' })
    const ask = asking(here.url)
    const waiting = async (id: string, ms: number) =>
      (await ask<{ state?: string; code?: string }>('GET', `/v1/queues/never/jobs/${id}?waitMs=${ms}`)).body
    expect(await waiting('a', 20)).toMatchObject({ state: 'ready' })
    expect(await waiting('b', 20_000)).toMatchObject({ code: 'not_found' })
    const ended = waiting('a', 20_000)
    queue.consume(() => 'yes')
    expect(await ended).toMatchObject({ state: 'done', result: 'yes' })
    await asking(here.url)('PUT', '/v1/queues/never', { keepDone: false })
    /** Told to who waited; where the job ended before the wait had begun, of another one. */
    const endOf = async (data: unknown, end: (id: string) => Promise<unknown>) => {
      for (let tries = 1; ; tries++) {
        const id = `${tries} ${typeof data}`
        await queue.pause()
        await queue.send(data, { id })
        const ended = waiting(id, 20_000)
        await waiting(id, 1)
        await end(id)
        const told = await ended
        if (told.code !== 'not_found' || tries === 20) return { ...told, id: id === (told as { id?: string }).id }
      }
    }
    const done = await endOf({ x: 1 }, () => queue.resume())
    expect(done).toEqual({ queue: 'never', id: true, state: 'done', result: 'yes' })
    expect(await endOf(1, (id) => queue.remove(id))).toEqual({ queue: 'never', id: true, state: 'removed' })
    await hub.close()
  })

  it('and jobs before it are looked at by the SDK, many are sent at once, and the queue is paused', async () => {
    const hub = connect(here.url)
    const queue = hub.queue('looks')
    await queue.pause()
    const drafts = Array.from({ length: 30 }, (_, i) => ({ data: { i, big: 'x'.repeat(30_000) }, key: 'k' }))
    const receipts = await queue.sendAll(drafts)
    expect(new Set(receipts.map(({ id }) => id)).size).toBe(30)
    await expect(
      queue.sendAll([
        { data: 1, id: 'x' },
        { data: 2, priority: 11 },
      ]),
    ).rejects.toMatchObject({ code: 'bad_request' })
    await expect(queue.sendAll([{ nothing: 1 } as never])).rejects.toMatchObject({ code: 'bad_request' })
    await expect(queue.sendAll([{ data: 1, delay: 5 } as never])).rejects.toThrow('delayMs')
    expect(await queue.sendAll([])).toEqual([])
    const [again] = await queue.sendAll([{ data: 1, id: receipts[0]?.id ?? '' }])
    expect(again).toMatchObject({ id: receipts[0]?.id, duplicate: true })
    const found: number[] = []
    for (let after: string | undefined; ; ) {
      const { jobs, next } = await queue.jobs(after === undefined ? {} : { after })
      found.push(...jobs.map(({ data }) => (data as { i: number }).i))
      if (next === undefined) break
      after = next
    }
    expect(found).toEqual(drafts.map(({ data }) => data.i))
    expect((await queue.jobs({ limit: 2, state: 'ready' })).jobs.map(({ key }) => key)).toEqual(['k', 'k'])
    await expect(queue.jobs({ state: 'over' as never })).rejects.toMatchObject({ code: 'bad_request' })
    expect(await queue.job(receipts[1]?.id ?? '')).toMatchObject({ state: 'ready', behind: receipts[0]?.id })
    expect(await queue.job('never')).toBeUndefined()
    for (const state of ['ready', 'done'] as const) {
      await expect(queue.jobs({ state, after: 'never' })).rejects.toMatchObject({ code: 'not_found' })
    }
    const done = Promise.all(receipts.map(({ id }) => queue.waitFor(id, { timeoutMs: 60_000 })))
    queue.consume(({ data }) => (data as { i: number }).i)
    expect((await queue.counts()).ready).toBe(30)
    await queue.resume()
    expect((await done).map(({ result }) => result)).toEqual(drafts.map(({ data }) => data.i))
    expect((await queue.jobs({ state: 'done' })).jobs).toHaveLength(30)
    expect(await queue.counts()).toMatchObject({ sent: 30, ready: 0, done: 30 })
    await hub.close()
  })
})
