import { describe, expect, it } from 'vitest'
import { dead, type HeldJob, retry } from '../../../client/index.ts'
import { startHub } from '../../support/hub/hub.ts'
import { errorOf, open } from '../../support/sdk/handles.ts'
import { until, within } from '../../support/until.ts'

describe('a worker at a hub', () => {
  it('gets what is sent, and what it returns answers a request', async () => {
    const { url } = await startHub()
    const hub = open(url)
    const queue = hub.queue('sums')
    const got: unknown[] = []
    const { id, durability } = await queue.send({ n: 1 }, { headers: { a: 'b' } })
    expect(durability).toEqual(expect.any(String))
    const worker = queue.consume(async (job: HeldJob) => {
      got.push([job.id, job.headers])
      return (job.data as { n: number }).n * 2
    })
    expect(await queue.request({ n: 21 })).toBe(42)
    expect(got[0]).toEqual([id, { a: 'b' }])
    await worker.close()
    expect(await worker.ended).toEqual({ code: 'closed' })
  })

  it('a job that throws comes again, and its attempts are counted', async () => {
    const { url } = await startHub()
    const queue = open(url).queue('flaky')
    const attempts: number[] = []
    queue.consume(({ attempts: before }) => {
      attempts.push(before)
      return before < 2 ? retry(10, 'not yet') : undefined
    })
    await queue.send(1)
    await until(() => attempts.length === 3)
    expect(attempts).toEqual([0, 1, 2])
  })

  it('what is dead ends among the dead letters, which can be consumed; its requester hears `failed`', async () => {
    const { url } = await startHub()
    const hub = open(url)
    const queue = hub.queue('bad')
    queue.consume(() => dead('no such order'))
    expect(await errorOf(queue.request('x', { timeoutMs: 5_000 }))).toMatchObject({
      code: 'failed',
      message: expect.stringContaining('no such order'),
    })
    const letter = await within(
      new Promise<HeldJob>((resolve) => void hub.queue('bad/dead').consume(resolve)),
      5_000,
      'the dead letter',
    )
    expect(letter.data).toBe('x')
    expect(await errorOf(hub.queue('bad/dead').send(1))).toMatchObject({ code: 'bad_request' })
  })

  it('a waiting job can be removed, once', async () => {
    const { url } = await startHub()
    const queue = open(url).queue('later')
    const { id } = await queue.send(1, { delayMs: 60_000 })
    expect(await queue.remove(id)).toBe(true)
    expect(await queue.remove(id)).toBe(false)
  })

  it('keeps its job through a blink: one run, no attempt spent', async () => {
    const { url } = await startHub()
    const hub = open(url)
    const queue = hub.queue('blinks')
    let runs = 0
    let finish: () => void = () => {}
    const worker = queue.consume(async ({ signal }) => {
      runs++
      await new Promise<void>((resolve) => {
        finish = resolve
      })
      return [signal.aborted, 'once']
    })
    const reply = queue.request('go')
    await until(() => runs === 1)
    for (let i = 0; i < 3; i++) {
      hub.suspend()
      await until(() => worker.status.state === 'offline')
      hub.resume()
      await until(() => worker.status.state === 'working')
    }
    finish()
    expect(await reply).toEqual([false, 'once'])
    expect(runs).toBe(1)
  })

  it('a settlement made while away is told after the return', async () => {
    const { url } = await startHub()
    const hub = open(url)
    const queue = hub.queue('away')
    let runs = 0
    let finish: () => void = () => {}
    const worker = queue.consume(async () => {
      runs++
      await new Promise<void>((resolve) => {
        finish = resolve
      })
      return 'done'
    })
    const reply = queue.request('go')
    await until(() => runs === 1)
    hub.suspend()
    finish()
    await until(() => worker.running === 0)
    hub.resume()
    expect(await reply).toBe('done')
    expect(runs).toBe(1)
  })

  it('two workers of one program share a queue', async () => {
    const { url } = await startHub()
    const queue = open(url).queue('shared')
    const busy: string[] = []
    const work = (name: string) => async () => {
      busy.push(name)
      await new Promise(() => {})
    }
    const workers = [queue.consume(work('a')), queue.consume(work('b'))]
    await until(() => workers.every(({ status }) => status.state === 'working'))
    await Promise.all([queue.send(1), queue.send(2)])
    await until(() => busy.length === 2)
    expect(busy.sort()).toEqual(['a', 'b'])
  })

  it('the newest consumer of a named client takes over, and the older one ends with that', async () => {
    const { url } = await startHub()
    const first = open(url, { client: 'printer' })
      .queue('pages')
      .consume(() => {})
    await until(() => first.status.state === 'working')
    const second = open(url, { client: 'printer' })
      .queue('pages')
      .consume(() => {})
    expect(await within(first.ended, 5_000, 'the end')).toMatchObject({ code: 'taken_over' })
    await until(() => second.status.state === 'working')
  })

  it('what a closed worker had not begun goes to another at once', async () => {
    const { url } = await startHub()
    const one = open(url)
    const queue = one.queue('handover')
    let begun = 0
    const slow = queue.consume(async () => {
      begun++
      await new Promise(() => {})
    })
    await until(() => slow.status.state === 'working')
    await Promise.all([queue.send(1), queue.send(2), queue.send(3)])
    await until(() => begun === 1)
    await slow.close()
    const got: unknown[] = []
    open(url)
      .queue('handover')
      .consume(({ data, attempts }) => void got.push([data, attempts]))
    await until(() => got.length === 3)
    expect(got.sort()).toEqual([
      [1, 0],
      [2, 0],
      [3, 0],
    ])
  })

  it('opened and closed while work comes, leaves no job to wait for its lease', async () => {
    const { url } = await startHub()
    const hub = open(url)
    // Another one keeps the connection, so that nothing comes back by its end.
    hub.queue('other').consume(() => {})
    const queue = hub.queue('changing')
    const done: unknown[] = []
    const sent: Promise<unknown>[] = []
    for (let i = 0; i < 10; i++) {
      const worker = queue.consume(({ data }) => void done.push(data), { concurrency: 20 })
      await until(() => worker.status.state === 'working')
      for (let n = 0; n < 20; n++) sent.push(queue.send(`${i}.${n}`))
      await sent.at(-20)
      await worker.close()
    }
    queue.consume(({ data }) => void done.push(data), { concurrency: 20 })
    await Promise.all(sent)
    await until(() => done.length >= 200, { seen: () => done.length, deadlineMs: 5_000 })
    expect(new Set(done).size).toBe(done.length)
  })

  it('works through blinks of its connection, each job once', async () => {
    const { url } = await startHub()
    const sender = open(url).queue('blinking')
    const hub = open(url)
    const runs = new Map<unknown, number>()
    const worker = hub.queue('blinking').consume(
      async ({ data }) => {
        runs.set(data, (runs.get(data) ?? 0) + 1)
        await new Promise((resolve) => setTimeout(resolve, 5))
      },
      { concurrency: 10 },
    )
    const sent = Promise.all(Array.from({ length: 300 }, (_, n) => sender.send(n)))
    for (let i = 1; i <= 5; i++) {
      await until(() => runs.size >= i * 40)
      hub.suspend()
      hub.resume()
    }
    await sent
    await until(() => runs.size === 300, { seen: () => [runs.size, worker.status] })
    await worker.close()
    expect([...runs].filter(([, times]) => times !== 1)).toEqual([])
  })

  it('works off thousands of jobs, each once', async () => {
    const { url } = await startHub()
    const queue = open(url, { maxOutbox: 5_000 }).queue('many')
    const count = 5_000
    const got = new Map<unknown, number>()
    const worker = queue.consume(async ({ data }) => void got.set(data, (got.get(data) ?? 0) + 1), { concurrency: 50 })
    await Promise.all(Array.from({ length: count }, (_, n) => queue.send(n)))
    await until(() => got.size === count, { seen: () => got.size })
    await worker.close()
    expect([...got.values()].every((runs) => runs === 1)).toBe(true)
  })
})
