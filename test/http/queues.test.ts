import { describe, expect, it } from 'vitest'
import type { Job, Sent } from '../../shared/queues.ts'
import { joinQueues, settlement } from '../support/clients/jobs.ts'
import { type Looked, type Problem, queueCalls } from '../support/clients/queueCalls.ts'
import { startHub } from '../support/hub/hub.ts'
import { until } from '../support/until.ts'

const hub = await startHub({ queues: { 'slow*': { backoffMs: '1h' } } })
const { ask, send, claim, settle, look, explain } = queueCalls(hub.url)

describe('jobs', () => {
  it('are sent alone or together, and their ids are answered', async () => {
    const one = await ask<Sent>('POST', '/v1/queues/sent/jobs', { data: { n: 1 }, id: 'a', key: 'k', priority: 9 })
    expect(one).toMatchObject({ status: 201, body: { ids: ['a'], duplicates: 0, durability: expect.any(String) } })
    expect(await send('sent', { data: 2, headers: { h: 'x' } }, { data: null })).toHaveLength(2)
    expect((await claim('sent', { max: 10 })).map(({ id: _id, lease: _lease, ...rest }) => rest)).toMatchObject([
      { queue: 'sent', data: { n: 1 }, key: 'k', attempts: 0, deliveries: 1 },
      { data: 2, headers: { h: 'x' } },
      { data: null },
    ])
  })

  it('with an Idempotency-Key are stored once', async () => {
    const again = () => ask<Sent>('POST', '/v1/queues/once/jobs', { data: 1 }, { 'idempotency-key': 'order-7' })
    expect((await again()).body).toMatchObject({ ids: ['order-7'], duplicates: 0 })
    expect(await again()).toMatchObject({ status: 201, body: { ids: ['order-7'], duplicates: 1 } })
    expect((await look('once')).counts).toMatchObject({ sent: 1, ready: 1 })
  })

  it('hold bytes as base64, both ways', async () => {
    await send('bytes', { base64: 'AAEC', id: 'b' })
    expect((await explain('bytes', 'b')) satisfies object).toMatchObject({ base64: 'AAEC' })
    const [job] = await claim('bytes')
    expect(job).toMatchObject({ id: 'b', base64: 'AAEC' })
    expect(job).not.toHaveProperty('data')
    const wire = await joinQueues(hub.url)
    await wire.send('bytes', { data: { image: Buffer.from([0, 1]), name: 'x' } })
    expect(await claim('bytes')).toMatchObject([{ data: { image: 'AAE=', name: 'x' }, binary: [['image']] }])
  })

  it.each<[string, unknown, number, string]>([
    ['jobs', [], 400, 'drafts: at least one draft'],
    ['jobs', {}, 400, 'draft: data: data is missing; null is a value, nothing is not'],
    ['jobs', { data: 1, base64: '' }, 400, 'draft has data and base64; it takes one of them'],
    ['jobs', { base64: '%' }, 400, 'draft: base64: is not base64 (A-Z a-z 0-9 + / with = at the end)'],
    ['jobs', [{ data: 1 }, { data: 1, priority: 10 }], 400, 'drafts[1]: priority: '],
    ['jobs', { data: 1, delayMs: 5, at: 5 }, 400, 'draft 0 has delayMs and at; it takes one of them'],
    ['jobs', { data: 1, delayMs: 400 * 86_400_000 }, 400, 'draft 0 falls due in more than a year'],
    ['jobs', { data: 1, ttlMs: 0 }, 400, 'draft: ttlMs: '],
    ['jobs', { data: 1, delay: 5 }, 426, 'draft: this hub does not know "delay"'],
    ['jobs', { data: 'x'.repeat(300_000) }, 413, 'draft 0 has 300'],
    ['claims', { max: 0 }, 400, 'claim: max: '],
    ['claims', { max: 1_001 }, 400, 'claim: max: '],
    ['claims', { leaseMs: 1 }, 400, 'claim: leaseMs: '],
    ['claims', { waitMs: -1 }, 400, 'claim: waitMs: '],
    ['claims', { client: '.x' }, 400, 'claim: client: the name ".x" is not a name'],
    ['claims', { credit: 5 }, 426, 'claim: this hub does not know "credit"'],
    ['claims', [], 400, 'claim: '],
    ['settlements', [], 400, 'settlements: at least one settlement'],
    ['settlements', {}, 400, 'settlements: '],
    [
      'settlements',
      [{ id: 'a', lease: 'b', as: 'over' }],
      400,
      'settlements: [0].as: a settlement is { id, lease, as }',
    ],
    ['settlements', [{ id: 'a', lease: 'b', as: 'extend' }], 400, 'settlements: [0].leaseMs: '],
    ['redrive', { filter: { why: 'x' } }, 426, 'redrive: filter: this hub does not know "why"'],
    ['redrive', { filter: { reason: 'bored' } }, 400, 'redrive: filter.reason: '],
    [
      'redrive',
      { filter: { reason: 'gap' } },
      400,
      'reason is max_attempts, rejected, expired or child: a gap stands for events',
    ],
    ['redrive', { rate: 0 }, 400, 'redrive: rate: '],
  ])('POST %s %j is refused: %i', async (route, body, status, sentence) => {
    const { body: problem, ...answer } = await ask<Problem>('POST', `/v1/queues/untouched/${route}`, body)
    expect([answer.status, problem.detail]).toEqual([status, expect.stringContaining(sentence)])
    expect((await ask('GET', '/v1/queues/untouched')).status).toBe(404)
  })

  it.each<[string, string, string, number, string]>([
    ['POST', '/.q/jobs', '{"data":1}', 400, 'the queue ".q" is not a name'],
    [
      'POST',
      '/q%2Fdead/jobs',
      '{"data":1}',
      400,
      'q/dead holds dead letters: it is consumed and redriven, not sent to',
    ],
    ['POST', '/q/dead/jobs', '{"data":1}', 400, 'q/dead holds dead letters'],
    ['POST', '/q/jobs', 'nonsense', 400, 'the body is not JSON'],
    [
      'GET',
      '/q/jobs?state=lost',
      '',
      400,
      'query: state is one of ready, delayed, held, waiting, dead, done, removed; not "lost"',
    ],
    ['GET', '/q/jobs?limit=0', '', 400, 'query: limit is a whole number of 1 or more'],
    ['GET', '/nothing', '', 404, 'there is no queue nothing: nothing was sent to it'],
    ['GET', '/nothing/jobs/a', '', 404, 'there is no job a in nothing: it never was, or is not kept any more'],
    ['DELETE', '/nothing/jobs/a', '', 404, 'there is no job a in nothing'],
    ['DELETE', '/q/jobs', '', 405, 'DELETE does not go with /queues/:queue/jobs'],
    ['PUT', '/q/dead', '{}', 400, 'q/dead has the settings of q: put them there'],
    ['PUT', '/q.*', '{"from":["orders"]}', 400, 'settings: from: topics are bound to one queue by its name'],
    ['PUT', '/q', '{"lease":5}', 400, 'settings: unknown option lease; did you mean leaseMs?'],
  ])('%s %s %s is refused: %i', async (method, path, body, status, sentence) => {
    const answer = await ask<Problem>(method, `/v1/queues${path}`, body === '' ? undefined : body)
    expect([answer.status, answer.body.detail]).toEqual([status, expect.stringContaining(sentence)])
  })

  it('are refused when the queue is full, with when to come back', async () => {
    await ask('PUT', '/v1/queues/full', { maxJobs: 2 })
    await send('full', { data: 1 }, { data: 2 })
    const refused = await ask('POST', '/v1/queues/full/jobs', { data: 3 })
    expect(refused).toMatchObject({ status: 429, body: { code: 'too_many', retryable: true, retryAfterMs: 1_000 } })
    expect(refused.headers.get('retry-after')).toBe('1')
    await ask('PUT', '/v1/queues/full', { maxJobs: 'unlimited', maxBytes: 50 })
    const { body } = await ask<Problem>('POST', '/v1/queues/full/jobs', { data: 'x'.repeat(50) })
    expect(body.detail).toMatch(/^the queue is full/)
    expect(body.detail).not.toContain('Infinity')
  })
})

describe('leases', () => {
  it('are settled in every way, each by itself', async () => {
    await send('slow.settled', ...['done', 'retry', 'release', 'dead', 'extend'].map((id) => ({ data: id, id })))
    const leases = await claim('slow.settled', { max: 5, client: 'curl' })
    const as = leases.map(({ id, lease }) => ({
      ...{ id, lease, as: id },
      ...(id === 'retry' && { error: 'no answer', delayMs: 60_000 }),
      ...(id === 'dead' && { reason: 'no such address' }),
      ...(id === 'extend' && { leaseMs: 60_000 }),
    }))
    expect(await settle('slow.settled', ...as, { id: 'done', lease: 'forged', as: 'done' })).toEqual([
      ...['ok', 'ok', 'ok', 'ok', 'ok'],
      'lost',
    ])
    expect((await look('slow.settled')).counts).toEqual({
      ...{ sent: 5, ready: 1, delayed: 1, held: 1, waiting: 0, done: 1, dead: 1, removed: 0 },
    })
    expect(await settle('slow.settled', ...as.slice(0, 1))).toEqual(['ok'])
  })

  it('of a request carry the reply to whoever asked', async () => {
    const wire = await joinQueues(hub.url)
    const answer = wire.value('request', 'asked', { data: 20 }, { timeoutMs: 10_000 })
    const [job] = await claim('asked', { waitMs: 5_000 })
    expect(job?.replyBy).toBeGreaterThan(Date.now())
    await settle('asked', { id: job?.id, lease: job?.lease, as: 'done', reply: { sum: 40 } })
    expect(await answer).toEqual({ sum: 40 })
  })
})

describe('queues', () => {
  it('are listed by name, page by page', async () => {
    for (const name of ['list.b', 'list.a', 'list.c']) await send(name, { data: 1 })
    const names: string[] = []
    let after: string | undefined = 'list'
    do {
      const page: { queues: { queue: string }[]; next?: string } = (
        await ask<{ queues: { queue: string }[]; next?: string }>('GET', `/v1/queues?limit=2&after=${after}`)
      ).body
      names.push(...page.queues.map(({ queue }) => queue))
      after = page.next
    } while (after !== undefined)
    expect(names.slice(0, 3)).toEqual(['list.a', 'list.b', 'list.c'])
    expect(new Set(names).size).toBe(names.length)
  })

  it('show counts, age, consumers, whether they are paused, and the settings in force', async () => {
    await send('shown', { data: 1 }, { data: 2, delayMs: 60_000 })
    const wire = await joinQueues(hub.url)
    await ask('POST', '/v1/queues/shown/pause')
    await wire.consume('shown', { credit: 1 })
    const { body } = await ask<Looked>('GET', '/v1/queues/shown')
    expect(body).toMatchObject({
      queue: 'shown',
      counts: { sent: 2, ready: 1, delayed: 1, held: 0, waiting: 0, done: 0, dead: 0, removed: 0 },
      bytes: expect.any(Number),
      oldestReadyMs: expect.any(Number),
      consumers: 1,
      paused: true,
      bindings: [],
      settings: { leaseMs: 30_000, maxAttempts: 10, rate: 'unlimited', maxJobs: 1_000_000, from: [] },
    })
    expect((await look('shown%2Fdead')).counts).toMatchObject({ sent: 0 })
    await ask('POST', '/v1/queues/shown/resume')
    const [job] = await wire.jobsSeen(1)
    await wire.settle('shown', ...(job === undefined ? [] : [settlement(job)]))
    expect(await look('shown')).toMatchObject({ oldestReadyMs: null, paused: false })
  })

  it('take settings of names and patterns, which are what a GET shows and can be put back', async () => {
    const put = await ask('PUT', '/v1/queues/set.*', { leaseMs: '1m', rate: 5, maxJobs: 'unlimited' })
    expect(put).toMatchObject({
      status: 200,
      body: { queue: 'set.*', settings: { leaseMs: 60_000, rate: 5, maxJobs: 'unlimited' } },
    })
    await ask('PUT', '/v1/queues/set.a', { rate: 'unlimited' })
    await send('set.a', { data: 1 })
    const { settings } = await look('set.a')
    expect(settings).toMatchObject({ leaseMs: 60_000, rate: 'unlimited', maxJobs: 'unlimited', maxAttempts: 10 })
    expect(await ask('PUT', '/v1/queues/set.a', settings)).toMatchObject({ status: 200, body: { settings } })
    await ask('PUT', '/v1/queues/set.a', {})
    expect(await look('set.a')).toMatchObject({ settings: { rate: 5 } })
    const [job] = await claim('set.a')
    expect((job?.expiresAt ?? 0) - Date.now()).toBeGreaterThan(50_000)
  })

  it('are bound to topics, and show where the bindings stand', async () => {
    await hub.hub.topic('born').publish('before')
    await ask('PUT', '/v1/queues/bound', { from: [{ topic: 'born', from: 'start' }, 'unborn'] })
    const [first] = await claim('bound', { waitMs: 10_000 })
    expect(first?.data).toBe('before')
    await until(async () => (await look('bound')).bindings.length === 2, { what: 'both bindings' })
    expect((await look('bound')).bindings).toMatchObject([
      { topic: 'born', position: { offset: 1 }, behind: 0 },
      { topic: 'unborn' },
    ])
    await ask('PUT', '/v1/queues/bound', {})
    await until(async () => (await look('bound')).bindings.length === 0, { what: 'the end of the bindings' })
  })

  it('hand nothing out while they are paused, and lose what waits when they are purged', async () => {
    expect((await ask('POST', '/v1/queues/stopped/pause')).body).toEqual({ queue: 'stopped', paused: true })
    expect(await look('stopped')).toMatchObject({ paused: true, counts: { sent: 0 } })
    await send('stopped', { data: 1 }, { data: 2 }, { data: 3, delayMs: 60_000 })
    expect(await claim('stopped')).toEqual([])
    expect((await ask('POST', '/v1/queues/stopped/resume')).body).toEqual({ queue: 'stopped', paused: false })
    expect(await claim('stopped')).toHaveLength(1)
    expect((await ask('POST', '/v1/queues/stopped/purge')).body).toEqual({ queue: 'stopped', removed: 2 })
    expect((await look('stopped')).counts).toMatchObject({ sent: 3, held: 1, removed: 2, ready: 0, delayed: 0 })
  })

  it('are dropped with what they remember when nobody uses them, and say who does', async () => {
    const drop = async (queue: string) => {
      const { status, body } = await ask<Problem | undefined>('DELETE', `/v1/queues/${encodeURIComponent(queue)}`)
      return [status, body?.detail ?? ''] as const
    }
    await ask('PUT', '/v1/queues/unused', { events: true, from: ['some'] })
    await send('unused', { data: 1, id: 'x' }, { data: 2 }, { data: 3, delayMs: 60_000 })
    await ask('PUT', '/v1/queues/unused/schedules/daily', { cron: '0 9 * * *', draft: { data: 1 } })
    const [first, second] = await claim('unused', { max: 2 })
    await settle('unused', settlement(first as Job, 'dead'))
    const [status, message] = await drop('unused')
    expect(status).toBe(409)
    for (const word of ['2 jobs', '1 dead letter (', '1 binding (', '1 schedule (']) expect(message).toContain(word)
    await settle('unused', settlement(second as Job))
    await ask('POST', '/v1/queues/unused/purge')
    await ask('POST', '/v1/queues/unused%2Fdead/purge')
    await ask('DELETE', '/v1/queues/unused/schedules/daily')
    await ask('PUT', '/v1/queues/unused', { events: true, from: [] })
    await until(async () => (await drop('unused'))[0] === 204, { what: 'the drop', seen: () => drop('unused') })
    expect(await drop('unused')).toEqual([404, 'there is no queue unused: nothing was sent to it'])
    expect((await drop('unused/dead'))[0]).toBe(400)
    expect((await ask('GET', '/v1/queues/unused/settings')).body).toMatchObject({ stored: { events: true } })
    expect((await ask('GET', '/v1/topics/%24queue.unused')).status).toBe(200)
    expect(await send('unused', { data: 4, id: 'x' })).toEqual(['x'])
    expect((await look('unused')).counts).toMatchObject({ sent: 1, ready: 1 })
  })

  it('are dropped as soon as what happened to their last jobs is in the topic of their life', async () => {
    await ask('PUT', '/v1/queues/told', { events: true })
    for (let round = 1; round <= 20; round++) {
      await send('told', { data: round }, { data: round })
      await ask('POST', '/v1/queues/told/purge')
      expect((await ask('DELETE', '/v1/queues/told')).status).toBe(204)
    }
    const { body } = await ask<{ events: readonly object[] }>('GET', '/v1/topics/%24queue.told/events?limit=200')
    expect(body.events).toHaveLength(20 * 4)
  })
})
