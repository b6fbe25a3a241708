/** Requests and their replies over the wire. No SDK. */

import { beforeAll, describe, expect, it } from 'vitest'
import type { Job } from '../../../shared/queues.ts'
import { type JobWire, joinQueues, settlement } from '../../support/clients/jobs.ts'
import { startHub } from '../../support/hub/hub.ts'

let url: string
let number = 0
const nextQueue = () => `requests-${++number}`

beforeAll(async () => {
  ;({ url } = await startHub())
})

/** Answers every job with what `reply` makes of its data. */
async function answering(queue: string, reply: (data: number) => unknown): Promise<JobWire> {
  const wire = await joinQueues(url)
  wire.socket.on('jobs', (_queue: string, jobs: readonly Job<number>[]) => {
    const done = jobs.map(({ id, lease, data }) => ({ id, lease, as: 'done', reply: reply(data) }))
    wire.socket.emit('settle', queue, done, () => {})
  })
  await wire.consume(queue, { credit: 100 })
  return wire
}

describe('a request', () => {
  it('is answered with what the consumer settled it with', async () => {
    const queue = nextQueue()
    await answering(queue, (data) => ({ double: data * 2 }))
    const wire = await joinQueues(url)
    expect(await wire.value('request', queue, { data: 4 })).toEqual({ double: 8 })
    expect(await wire.value('request', queue, { data: 5 }, { timeoutMs: 5_000 })).toEqual({ double: 10 })
  })

  it('may be answered with binary data, and with nothing', async () => {
    const queue = nextQueue()
    await answering(queue, (data) => (data === 1 ? { bytes: Buffer.from([1, 2]) } : undefined))
    const wire = await joinQueues(url)
    const { bytes } = await wire.value<{ bytes: Buffer }>('request', queue, { data: 1 })
    expect(Buffer.from(bytes)).toEqual(Buffer.from([1, 2]))
    expect(await wire.value('request', queue, { data: 2 })).toBeNull()
  })

  it('is one of a thousand at once, and each has its own answer', async () => {
    const queue = nextQueue()
    const warnings: Error[] = []
    const heard = (warning: Error) => {
      if (warning.message.includes('AbortSignal')) warnings.push(warning)
    }
    process.on('warning', heard)
    for (let i = 0; i < 3; i++) await answering(queue, (data) => data + 1)
    const wire = await joinQueues(url, {}, { deadlineMs: 20_000 })
    const answers = await Promise.all(
      Array.from({ length: 1_000 }, (_, data) => wire.value<number>('request', queue, { data })),
    )
    process.off('warning', heard)
    expect(answers).toEqual(Array.from({ length: 1_000 }, (_, data) => data + 1))
    // As for too many listeners, which Node writes into the hub's log.
    expect(warnings).toEqual([])
  })

  it('that nobody answers ends with timeout, and is handed out no more', async () => {
    const queue = nextQueue()
    const wire = await joinQueues(url)
    expect(await wire.call('request', queue, { data: 1 }, { timeoutMs: 200 })).toMatchObject({
      error: { code: 'timeout', retryable: true },
    })
    await wire.consume(queue, { credit: 2 })
    await wire.send(queue, { data: 2 })
    expect(await wire.jobsSeen(1)).toMatchObject([{ data: 2 }])
  })

  it('whose job dies answers failed at once', async () => {
    const queue = nextQueue()
    const [asking, working] = [await joinQueues(url), await joinQueues(url)]
    const answer = asking.call('request', queue, { data: 1 }, { timeoutMs: 30_000 })
    await working.consume(queue, { credit: 1 })
    const [job] = (await working.jobsSeen(1)) as [Job]
    expect(job.replyBy).toBeGreaterThan(job.sentAt)
    await working.settle(queue, { id: job.id, lease: job.lease, as: 'dead', reason: 'cannot' })
    expect(await answer).toMatchObject({ error: { code: 'failed', retryable: false } })
    expect(JSON.stringify(await answer)).toContain('cannot')
  })

  it('with the same id attaches to the same one, from another connection too', async () => {
    const queue = nextQueue()
    const [first, again, working] = [await joinQueues(url), await joinQueues(url), await joinQueues(url)]
    const lost = first.call('request', queue, { data: 1, id: 'r-1' }).catch(() => undefined)
    await working.consume(queue, { credit: 5 })
    const [job] = (await working.jobsSeen(1)) as [Job]
    first.cut()
    const answer = again.value('request', queue, { data: 1, id: 'r-1' })
    await working.settle(queue, { id: job.id, lease: job.lease, as: 'done', reply: 'once' })
    expect(await answer).toBe('once')
    // The answer is kept until the deadline, the job is not done again.
    expect(await again.value('request', queue, { data: 1, id: 'r-1' })).toBe('once')
    expect(working.jobs()).toHaveLength(1)
    void lost
  })

  it('with the id of a job that was merely sent is refused, as nobody would answer it', async () => {
    const queue = nextQueue()
    const wire = await joinQueues(url)
    await wire.send(queue, { data: 1, id: 'taken' })
    const ask = (id: string) => wire.call('request', queue, { data: 1, id }, { timeoutMs: 5_000 })
    const conflict = { error: { code: 'conflict', retryable: false } }
    expect(await ask('taken')).toMatchObject(conflict)
    // Wherever the job is.
    await wire.send(queue, { data: 1, id: 'done' }, { data: 1, id: 'dead' })
    await wire.consume(queue, { credit: 3 })
    const jobs = (await wire.jobsSeen(3)) as Job[]
    for (const { id, lease } of jobs.slice(1)) await wire.settle(queue, { id, lease, as: id as 'done' | 'dead' })
    expect(await ask('done')).toMatchObject(conflict)
    expect(await ask('dead')).toMatchObject(conflict)
  })

  it('whose time is over is not asked again under its id', async () => {
    const queue = nextQueue()
    const [wire, working] = [await joinQueues(url), await joinQueues(url)]
    const late = { error: { code: 'timeout' } }
    expect(await wire.call('request', queue, { data: 1, id: 'late' }, { timeoutMs: 1 })).toMatchObject(late)
    expect(await wire.call('request', queue, { data: 1, id: 'late' }, { timeoutMs: 5_000 })).toMatchObject(late)
    await working.consume(queue, { credit: 1 })
    expect(await wire.call('request', queue, { data: 1, id: 'late' }, { timeoutMs: 5_000 })).toMatchObject(late)
  })

  it('is retried as any job, and answered in the end', async () => {
    const queue = nextQueue()
    const [asking, working] = [await joinQueues(url), await joinQueues(url)]
    await working.consume(queue, { credit: 1 })
    const answer = asking.value('request', queue, { data: 1 })
    const [first] = (await working.jobsSeen(1)) as [Job]
    await working.settle(queue, { id: first.id, lease: first.lease, as: 'retry', delayMs: 1 })
    const second = (await working.jobsSeen(2))[1] as Job
    await working.settle(queue, settlement(second))
    expect(await answer).toBeNull()
  })
})
