/** Sending and settling over the wire. No SDK. What consumers meet is in consumers.test.ts. */

import { beforeAll, describe, expect, it } from 'vitest'
import type { Job } from '../../../shared/queues.ts'
import { joinQueues, settlement } from '../../support/clients/jobs.ts'
import { startHub } from '../../support/hub/hub.ts'
import { until } from '../../support/until.ts'

let url: string
let number = 0
const nextQueue = () => `queue-${++number}`
const data = (jobs: readonly Job[]) => jobs.map((job) => job.data)

beforeAll(async () => {
  ;({ url } = await startHub({
    queues: { '*': { backoffMs: 1, maxBackoffMs: 1, maxAttempts: 3 } },
  }))
})

async function countsOf(queue: string): Promise<Record<string, number>> {
  const response = await fetch(`${url}/v1/queues/${encodeURIComponent(queue)}`)
  return ((await response.json()) as { counts: Record<string, number> }).counts
}

describe('a job', () => {
  it('is sent, handed to one consumer, settled and gone', async () => {
    const queue = nextQueue()
    const [sender, one, two] = [await joinQueues(url), await joinQueues(url), await joinQueues(url)]
    await one.consume(queue, { credit: 5 })
    await two.consume(queue, { credit: 5 })
    const before = Date.now()
    const { ids, duplicates, durability } = await sender.send(queue, {
      data: { to: 'ann' },
      key: 'k',
      headers: { a: 'b' },
    })
    expect(duplicates).toBe(0)
    expect(typeof durability).toBe('string')
    await until(() => one.jobs().length + two.jobs().length > 0, { what: 'the job' })
    const holder = one.jobs().length > 0 ? one : two
    const [job] = holder.jobs()
    expect(job).toMatchObject({
      queue,
      id: ids[0],
      attempts: 0,
      deliveries: 1,
      data: { to: 'ann' },
      key: 'k',
      headers: { a: 'b' },
    })
    expect(job?.sentAt).toBeGreaterThan(before - 5_000)
    expect(job?.expiresAt).toBeGreaterThan(job?.sentAt ?? 0)
    expect(job).not.toHaveProperty('replyBy')
    expect(await holder.settle(queue, settlement(job as Job))).toEqual(['ok'])
    // The same again within five minutes answers the same.
    expect(await holder.settle(queue, settlement(job as Job))).toEqual(['ok'])
    expect(await countsOf(queue)).toEqual({
      sent: 1,
      ready: 0,
      delayed: 0,
      held: 0,
      waiting: 0,
      done: 1,
      dead: 0,
      removed: 0,
    })
    expect(one.jobs().length + two.jobs().length).toBe(1)
  })

  it('may hold binary data wherever JSON may stand, there and back', async () => {
    const queue = nextQueue()
    const wire = await joinQueues(url)
    await wire.consume(queue, { credit: 2 })
    await wire.send(queue, { data: { file: Buffer.from([1, 2, 255]) } }, { data: Buffer.from('x') })
    const [first, second] = (await wire.jobsSeen(2)) as [Job<{ file: Buffer }>, Job<Buffer>]
    expect(Buffer.from(first.data.file)).toEqual(Buffer.from([1, 2, 255]))
    expect(Buffer.from(second.data).toString()).toBe('x')
  })

  it('that was removed or purged is forgotten: the same id is stored anew, and its request asked anew', async () => {
    const queue = nextQueue()
    const wire = await joinQueues(url)
    const fresh = { ids: ['a'], duplicates: 0 }
    const send = () => wire.send(queue, { data: 1, id: 'a' })
    await send()
    expect(await wire.value('remove', queue, 'a')).toBe(true)
    expect(await send()).toMatchObject(fresh)
    await fetch(`${url}/v1/queues/${queue}/purge`, { method: 'POST' })
    expect(await send()).toMatchObject(fresh)
    await fetch(`${url}/v1/queues/${queue}/jobs/a`, { method: 'DELETE' })
    expect(await send()).toMatchObject(fresh)
    const asked = wire.call('request', queue, { data: 2, id: 'r' }, {})
    await until(async () => (await countsOf(queue)).ready === 2, { what: 'the request' })
    await wire.value('remove', queue, 'r')
    expect(await asked).toMatchObject({ ok: false, error: { code: 'failed' } })
    const askedAgain = wire.value('request', queue, { data: 3, id: 'r' }, {})
    await wire.consume(queue, { credit: 2 })
    const [, again] = (await wire.jobsSeen(2)) as [Job, Job]
    await wire.settle(queue, { ...settlement(again), as: 'done', reply: 'yes' })
    expect(await askedAgain).toBe('yes')
  })

  it('with an id that was sent already is not stored again', async () => {
    const queue = nextQueue()
    const wire = await joinQueues(url)
    const first = await wire.send(queue, { data: 1, id: 'mail-7' })
    expect(first).toMatchObject({ ids: ['mail-7'], duplicates: 0 })
    expect(first).not.toHaveProperty('duplicatesAt')
    expect(await wire.send(queue, { data: 3 }, { data: 2, id: 'mail-7' })).toMatchObject({
      duplicates: 1,
      duplicatesAt: [1],
    })
    await wire.consume(queue, { credit: 10 })
    expect(data(await wire.jobsSeen(2))).toEqual([1, 3])
  })

  it('that is numbered by its sender is stored once, however often it is sent', async () => {
    const queue = nextQueue()
    const wire = await joinQueues(url)
    const send = (seq: number, ...values: number[]) =>
      wire.value<{ ids: string[]; duplicates: number }>(
        'send',
        queue,
        values.map((value) => ({ data: value })),
        {
          producer: 'p',
          seq,
        },
      )
    const first = await send(1, 1, 2)
    expect(await send(1, 1, 2)).toMatchObject({ ids: first.ids, duplicates: 2 })
    await send(3, 3)
    expect(await wire.call('send', queue, [{ data: 9 }], { producer: 'p', seq: 9 })).toMatchObject({
      error: { code: 'conflict' },
    })
    await wire.consume(queue, { credit: 10 })
    expect(data(await wire.jobsSeen(3))).toEqual([1, 2, 3])
  })

  it('may wait for ever, and its times are whole milliseconds that are never early', async () => {
    const queue = nextQueue()
    const wire = await joinQueues(url)
    const at = Date.now() + 60_000.25
    const { ids } = await wire.send(
      queue,
      { data: 1, at, ttlMs: 1e15 },
      { data: 2, delayMs: 60_000.5, ttlMs: Number.MAX_VALUE },
    )
    for (const id of ids) {
      const job = (await (await fetch(`${url}/v1/queues/${queue}/jobs/${id}`)).json()) as Record<string, number>
      expect([job.dueAt, job.ttlAt].every(Number.isSafeInteger), JSON.stringify(job)).toBe(true)
      expect(job.dueAt).toBeGreaterThanOrEqual(id === ids[0] ? at : (job.sentAt ?? 0) + 60_000.5)
    }
    await wire.send(queue, { data: 3 })
    expect((await wire.consume(queue, { credit: 1, leaseMs: 1_000.5 })).leaseMs).toBe(1_001)
    const [job] = (await wire.jobsSeen(1)) as [Job]
    expect(Number.isSafeInteger(job.expiresAt)).toBe(true)
  })

  it('is taken back while it waits, and not while it is held', async () => {
    const queue = nextQueue()
    const wire = await joinQueues(url)
    const { ids } = await wire.send(queue, { data: 1 }, { data: 2, delayMs: 60_000 })
    expect(await wire.value('remove', queue, ids[1])).toBe(true)
    expect(await wire.value('remove', queue, ids[1])).toBe(false)
    await wire.consume(queue, { credit: 1 })
    await wire.jobsSeen(1)
    expect(await wire.value('remove', queue, ids[0])).toBe(false)
    expect(await countsOf(queue)).toMatchObject({ sent: 2, held: 1, delayed: 0, removed: 1 })
  })
})

describe('a settlement', () => {
  it('as retry comes again with an attempt more, and at the limit among the dead letters', async () => {
    const queue = nextQueue()
    const wire = await joinQueues(url)
    await wire.consume(queue, { credit: 1 })
    await wire.send(queue, { data: 'bad' })
    for (let attempt = 0; attempt < 3; attempt++) {
      const job = (await wire.jobsSeen(attempt + 1))[attempt] as Job
      expect(job).toMatchObject({ attempts: attempt, deliveries: attempt + 1 })
      expect(
        await wire.settle(queue, { id: job.id, lease: job.lease, as: 'retry', delayMs: 1, error: `no ${attempt}` }),
      ).toEqual(['ok'])
    }
    expect(await countsOf(queue)).toMatchObject({ sent: 1, ready: 0, held: 0, dead: 1 })
    const undertaker = await joinQueues(url)
    await undertaker.consume(`${queue}/dead`, { credit: 1 })
    const [dead] = await undertaker.jobsSeen(1)
    expect(dead).toMatchObject({ queue: `${queue}/dead`, data: 'bad', attempts: 3 })
    expect(await undertaker.settle(`${queue}/dead`, settlement(dead as Job))).toEqual(['ok'])
    expect(await countsOf(queue)).toMatchObject({ sent: 1, dead: 0, done: 1 })
  })

  it('as release costs no attempt, as dead ends it at once', async () => {
    const queue = nextQueue()
    const wire = await joinQueues(url)
    await wire.consume(queue, { credit: 1 })
    await wire.send(queue, { data: 1 })
    const [first] = await wire.jobsSeen(1)
    await wire.settle(queue, settlement(first as Job, 'release'))
    const second = (await wire.jobsSeen(2))[1] as Job
    expect(second).toMatchObject({ attempts: 0, deliveries: 2 })
    expect(await wire.settle(queue, { id: second.id, lease: second.lease, as: 'dead', reason: 'never' })).toEqual([
      'ok',
    ])
    expect(await countsOf(queue)).toMatchObject({ dead: 1, ready: 0, held: 0 })
  })

  it('of a lapsed lease is ok while nobody else holds the job, else lost; each for itself in one call', async () => {
    const queue = nextQueue()
    const wire = await joinQueues(url)
    await wire.send(queue, { data: 1 })
    await wire.consume(queue, { credit: 1, leaseMs: 150 })
    const [first] = (await wire.jobsSeen(1)) as [Job]
    const second = (await wire.jobsSeen(2))[1] as Job
    expect(second).toMatchObject({ id: first.id, attempts: 1 })
    await until(() => wire.lost().includes(first.id), { what: 'the word that the lease is lost' })
    expect(await wire.settle(queue, settlement(first), settlement(second))).toEqual(['lost', 'ok'])
    expect(await countsOf(queue)).toMatchObject({ done: 1, held: 0, ready: 0 })
  })

  it('as extend keeps the job beyond its lease', async () => {
    const queue = nextQueue()
    const wire = await joinQueues(url)
    await wire.send(queue, { data: 1 })
    await wire.consume(queue, { credit: 1, leaseMs: 300 })
    const [job] = (await wire.jobsSeen(1)) as [Job]
    const { id, lease } = job
    expect(await wire.settle(queue, { id, lease, as: 'extend', leaseMs: 30_000 })).toEqual(['ok'])
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(wire.jobs()).toHaveLength(1)
    expect(await wire.settle(queue, settlement(job))).toEqual(['ok'])
    expect(await countsOf(queue)).toMatchObject({ done: 1 })
  })
})

describe('what cannot be', () => {
  it('is refused with its reason and changes nothing', async () => {
    const queue = nextQueue()
    const wire = await joinQueues(url)
    const cases: readonly (readonly [string, readonly unknown[], string])[] = [
      ['send', [queue, []], 'bad_request'],
      ['send', [queue, [{}]], 'bad_request'],
      ['send', [queue, 'x'], 'bad_request'],
      ['send', ['no name', [{ data: 1 }]], 'bad_request'],
      ['send', [`${queue}/dead`, [{ data: 1 }]], 'bad_request'],
      ['send', [queue, [{ data: 1, priority: 10 }]], 'bad_request'],
      ['send', [queue, [{ data: 1, priority: 1.5 }]], 'bad_request'],
      ['send', [queue, [{ data: 1, delayMs: -1 }]], 'bad_request'],
      ['send', [queue, [{ data: 1, delayMs: 400 * 86_400_000 }]], 'bad_request'],
      ['send', [queue, [{ data: 1, delayMs: 1, at: 1 }]], 'bad_request'],
      ['send', [queue, [{ data: 1, ttlMs: 0 }]], 'bad_request'],
      ['send', [queue, [{ data: 1, id: 'half \ud83d' }]], 'bad_request'],
      ['send', [queue, [{ data: 1, key: '\udc4d half' }]], 'bad_request'],
      ['send', [queue, [{ data: 1, colour: 'red' }]], 'unsupported'],
      ['send', [queue, [{ data: 1 }, { data: 'x'.repeat(300_000) }]], 'too_large'],
      ['send', [queue, Array.from({ length: 1_001 }, () => ({ data: 1 }))], 'too_large'],
      ['consume', [queue], 'bad_request'],
      ['consume', [queue, { credit: 0 }], 'bad_request'],
      ['consume', [queue, { credit: 1e9 }], 'bad_request'],
      ['consume', [queue, { credit: 1, leaseMs: 0 }], 'bad_request'],
      ['consume', [7, { credit: 1 }], 'bad_request'],
      ['settle', [queue, []], 'bad_request'],
      ['settle', [queue, [{ id: 'a', lease: 'b', as: 'eaten' }]], 'bad_request'],
      ['settle', [queue, [{ id: 'a', as: 'done' }]], 'bad_request'],
      ['request', [`${queue}/dead`, { data: 1 }], 'bad_request'],
      ['request', [queue, { data: 1 }, { timeoutMs: 0 }], 'bad_request'],
      ['remove', [queue], 'bad_request'],
      // It would stand for the id \ufffd in the store.
      ['remove', [queue, '\ud800'], 'bad_request'],
      ['explode', [queue], 'bad_request'],
    ]
    for (const [name, args, code] of cases) {
      const reply = await wire.call(name, ...args)
      expect(reply, `${name} ${JSON.stringify(args).slice(0, 80)}`).toMatchObject({ ok: false, error: { code } })
    }
    expect(await wire.settle(queue, { id: 'a', lease: 'b', as: 'done' })).toEqual(['lost'])
    const done = { id: 'a', lease: 'b', as: 'done' }
    expect(await wire.call('settle', queue, [done, { ...done, reply: 'x'.repeat(300_000) }])).toMatchObject({
      error: { code: 'too_large', message: expect.stringMatching(/^the reply of settlement 1 has 300011 bytes/) },
    })
    expect((await fetch(`${url}/v1/queues/${queue}`)).status).toBe(404)
    await wire.send(queue, { data: 1 })
    expect(await countsOf(queue)).toMatchObject({ sent: 1, ready: 1 })
  })

  it('is a lease that somebody else made up', async () => {
    const queue = nextQueue()
    const [holder, thief] = [await joinQueues(url), await joinQueues(url)]
    await holder.consume(queue, { credit: 1 })
    await holder.send(queue, { data: 1 })
    const [job] = (await holder.jobsSeen(1)) as [Job]
    const forged = `${job.lease.slice(0, -1)}${job.lease.endsWith('A') ? 'B' : 'A'}`
    expect(await thief.settle(queue, { id: job.id, lease: forged, as: 'done' })).toEqual(['lost'])
    expect(await holder.settle(queue, settlement(job))).toEqual(['ok'])
  })

  it("is a lease with another job's id: lost, and it frees no credit", async () => {
    const queue = nextQueue()
    const [wire, other] = [await joinQueues(url), await joinQueues(url)]
    await wire.consume(queue, { credit: 2 })
    await wire.send(queue, { data: 1 }, { data: 2 }, { data: 3 })
    const [first, second] = (await wire.jobsSeen(2)) as [Job, Job]
    expect(await wire.settle(queue, { id: first.id, lease: second.lease, as: 'done' })).toEqual(['lost'])
    expect(await other.settle(queue, { id: first.id, lease: second.lease, as: 'done' })).toEqual(['lost'])
    expect(await countsOf(queue)).toMatchObject({ held: 2, ready: 1 })
    expect(await wire.settle(queue, settlement(first), settlement(second))).toEqual(['ok', 'ok'])
    await wire.jobsSeen(3)
  })
})
