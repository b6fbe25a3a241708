/** What is told of jobs: how far they are while they are worked on, and what is kept when they have ended. */

import { describe, expect, it } from 'vitest'
import { connect } from '../../../client/index.ts'
import { joinQueues } from '../../support/clients/jobs.ts'
import { type Page, type Problem, queueCalls } from '../../support/clients/queueCalls.ts'
import { startHub } from '../../support/hub/hub.ts'
import { until } from '../../support/until.ts'

const hub = await startHub({ queues: { 'off*': { keepDone: false }, 'few*': { keepDone: { count: 3 } } } })
const { ask, send, claim, settle, bury, explain, jobs, look } = queueCalls(hub.url)

const ids = ({ jobs }: Page) => jobs.map(({ id }) => id)
/** Works on all that is there. */
const finish = async (queue: string, more: object = {}) => {
  const taken = await claim(queue, { max: 100 })
  await settle(queue, ...taken.map(({ id, lease }) => ({ id, lease, as: 'done', ...more })))
}

describe('a finished job', () => {
  it('is told with its result, its times and what happened to it', async () => {
    const before = Date.now()
    await send('told', { data: 1, id: 'a', key: 'k', priority: 7 })
    const [first] = await claim('told')
    await settle('told', { id: 'a', lease: first?.lease, as: 'retry', error: 'not yet', delayMs: 0 })
    const [again] = await claim('told', { waitMs: 5_000 })
    await settle('told', { id: 'a', lease: again?.lease, as: 'done', reply: { sum: 6 } })
    const job = (await explain('told', 'a')) as unknown as Record<string, number>
    expect(job).toMatchObject({
      ...{ queue: 'told', id: 'a', state: 'done', subject: 'anonymous', key: 'k', priority: 7 },
      ...{ attempts: 1, deliveries: 2, result: { sum: 6 }, history: [{ what: 'retry', why: 'not yet' }] },
    })
    for (const name of ['data', 'why', 'error']) expect(job).not.toHaveProperty(name)
    const { sentAt = 0, startedAt = 0, endedAt = 0 } = job
    expect(before <= sentAt && sentAt <= startedAt && startedAt <= endedAt).toBe(true)
    expect(await jobs('told', '?id=a')).toEqual({ jobs: [job] })
    expect((await look('told')).counts).toMatchObject({ sent: 1, done: 1 })
  })

  it('is listed by how it ended, the last one first, page by page and by key', async () => {
    for (const id of ['a', 'b', 'c', 'd']) {
      await send('listed', { data: 1, id, ...(id < 'c' && { key: 'k' }) })
      await finish('listed')
    }
    await send('listed', { data: 1, id: 'gone' })
    await ask('DELETE', '/v1/queues/listed/jobs/gone')
    expect(ids(await jobs('listed', '?state=done'))).toEqual(['d', 'c', 'b', 'a'])
    const page = await jobs('listed', '?state=done&limit=2')
    expect([ids(page), page.next]).toEqual([['d', 'c'], 'c'])
    expect(ids(await jobs('listed', '?state=done&limit=2&after=c'))).toEqual(['b', 'a'])
    expect(ids(await jobs('listed', '?state=done&key=k'))).toEqual(['b', 'a'])
    expect(ids(await jobs('listed', '?state=removed'))).toEqual(['gone'])
    expect(await explain('listed', 'gone')).toMatchObject({ state: 'removed', deliveries: 0 })
    const wrong = async (query: string) => (await ask<Problem>('GET', `/v1/queues/listed/jobs?${query}`)).body.code
    expect(await wrong('state=done&after=gone-too')).toBe('not_found')
    expect(await wrong('state=done&reason=rejected')).toBe('bad_request')
    expect(await wrong('state=finished')).toBe('bad_request')
  })

  it('that is not kept is not told from one that never was', async () => {
    await send('off', { data: 1, id: 'a' })
    await finish('off')
    const problem = async (queue: string, id: string) =>
      (await ask<Problem>('GET', `/v1/queues/${queue}/jobs/${id}`)).body
    expect(await problem('off', 'a')).toMatchObject({ code: 'not_found' })
    expect((await problem('off', 'a')).detail).toContain('never was, or is not kept any more')
    for (const id of ['a', 'b', 'c', 'd']) {
      await send('few', { data: 1, id })
      await finish('few')
    }
    expect(ids(await jobs('few', '?state=done'))).toEqual(['d', 'c', 'b'])
    expect((await problem('few', 'a')).detail.replace('few', 'off')).toBe((await problem('off', 'a')).detail)
    expect((await ask('GET', '/v1/queues/off')).body).toMatchObject({ settings: { keepDone: false } })
    expect((await ask('GET', '/v1/queues/few')).body).toMatchObject({ settings: { keepDone: { count: 3 } } })
  })

  it('that is a dead letter says when it began, when it ended and why; dropped, it is a removed one', async () => {
    await bury('dead', { data: 1, id: 'a' })
    const job = (await explain('dead', 'a')) as unknown as Record<string, number>
    expect(job).toMatchObject({ state: 'dead', error: 'no 1', dead: { reason: 'rejected' } })
    const { sentAt = 0, startedAt = 0, endedAt = 0 } = job
    expect(sentAt <= startedAt && startedAt <= endedAt).toBe(true)
    await ask('POST', '/v1/queues/dead/dead/purge')
    expect(await explain('dead', 'a')).toMatchObject({ state: 'removed', error: 'no 1' })
  })

  it('has what the handler of a worker of the SDK returned, as far as it can travel', async () => {
    const sdk = connect(hub.url)
    const returned: Record<string, unknown> = { plain: { a: 1 }, nothing: undefined, bytes: new Uint8Array([1, 2]) }
    const loop: Record<string, unknown> = {}
    loop.loop = loop
    const large = 'x'.repeat(2_000_000)
    sdk.queue('sdk').consume(({ id }) => ({ ...returned, loop, large, endless: Number.NaN })[id])
    for (const id of ['plain', 'nothing', 'bytes', 'loop', 'large', 'endless']) await send('sdk', { data: 1, id })
    const found = async (id: string) => (await explain('sdk', id)) as unknown as { state: string; result?: unknown }
    const settled = async () => (await look('sdk')).counts.done === 6
    await until(settled, { what: 'all of them to be done' })
    expect((await found('plain')).result).toEqual({ a: 1 })
    expect(await found('bytes')).toMatchObject({ result: 'AQI=', binary: [[]] })
    for (const id of ['nothing', 'loop', 'large', 'endless']) expect(await found(id)).not.toHaveProperty('result')
    await sdk.close()
  })
})

it('whoever holds a job tells how far it is and what it does, which is shown with the job; bad reports are refused', async () => {
  const wire = await joinQueues(hub.url, { client: 'w' })
  const told = async (...reports: readonly object[]) => {
    const { status, body } = await ask<unknown>('POST', '/v1/queues/films/progress', reports)
    return status === 200 ? body : [status, (body as { detail: string }).detail]
  }
  const { ids } = await wire.send('films', { data: 1 }, { data: 2 })
  await wire.consume('films', { credit: 1 })
  const [job] = await wire.jobsSeen(1)
  const { id = '', lease = '' } = job ?? {}
  const mine = { id, lease }
  const bytes = Buffer.from([1, 2, 3])
  expect(
    await wire.value('progress', 'films', [
      { ...mine, value: { done: 10, of: 40 }, log: 'began' },
      { ...mine, lease: `${lease}x`, value: 99 },
      { id: ids[1], lease, log: 'not mine' },
      { ...mine, log: 'x'.repeat(3_000) },
      { ...mine, value: { part: bytes } },
    ]),
  ).toEqual(['ok', 'lost', 'lost', 'ok', 'ok'])
  const look = (await wire.value('job', 'films', id)) as { progress: unknown; log: { at: number; text: string }[] }
  expect(look.progress).toEqual({ part: bytes })
  expect(look.log.map(({ text }) => text)).toEqual(['began', `${'x'.repeat(1_999)}…`])
  expect(look.log[0]?.at).toBeGreaterThan(1e12)
  expect(await explain('films', id)).toMatchObject({
    progress: { part: 'AQID' },
    progressBinary: [['part']],
    log: look.log,
  })
  expect(await told({ ...mine, value: 50, log: 'half' })).toEqual(['ok'])
  expect((await jobs('films', '?state=held')).jobs).toMatchObject([{ id, progress: 50 }])

  // Thousands of a job in a call are one.
  const many = Array.from({ length: 1_000 }, (_, i) => ({ ...mine, value: i, log: `line ${i}` }))
  expect(await wire.value('progress', 'films', many)).toEqual(many.map(() => 'ok'))
  const full = await explain('films', id)
  expect(full).toMatchObject({ progress: 999 })
  expect((full as unknown as typeof look).log.map(({ text }) => text)).toEqual(many.slice(-100).map(({ log }) => log))

  for (const [reports, text] of [
    [[{ ...mine }], /a report has value, log or both/],
    [[{ ...mine, log: 7 }], /progress: \[0\]\.log/],
    [[{ id, value: 1 }], /progress: \[0\]\.lease/],
    [[], /at least one report/],
    [Array.from({ length: 10_001 }, () => mine), /10001 reports in one call; at most 10000/],
    [
      [
        { ...mine, log: 'kept?' },
        { ...mine, value: 'x'.repeat(70_000) },
      ],
      /the value of report 1 has 70011 bytes; at most 65536/,
    ],
  ] as const) {
    expect(await told(...reports)).toEqual([expect.any(Number), expect.stringMatching(text)])
  }
  await expect(wire.value('progress', 'films', { ...mine, value: 1 })).rejects.toThrow('reports come as a list')
  expect(await explain('films', id)).toEqual(full)

  await wire.settle('films', { ...mine, as: 'done', reply: 'ok' })
  expect(await told({ ...mine, value: 100 })).toEqual(['lost'])
  const log = (full as unknown as typeof look).log
  expect(await wire.value('job', 'films', id)).toMatchObject({ state: 'done', result: 'ok', progress: 999, log })
  expect(await explain('films', id)).toMatchObject({ state: 'done', progress: 999, log })
})

it('what is told of a job may hold half of a character, which is shown as one that is not known; a cut leaves none', async () => {
  await send('halves', { data: 1, id: 'a' })
  const [job] = await claim('halves')
  const mine = { id: 'a', lease: job?.lease }
  const logged = ['before', 'a\ud800b', `a${'😀'.repeat(1_500)}`].map((log) => ({ ...mine, log }))
  expect((await ask('POST', '/v1/queues/halves/progress', logged)).body).toEqual(['ok', 'ok', 'ok'])
  const log = ['before', 'a\ufffdb', `a${'😀'.repeat(999)}…`].map((text) => ({ at: expect.any(Number), text }))
  expect(await explain('halves', 'a')).toMatchObject({ log })
  await settle('halves', { ...mine, as: 'retry', delayMs: 0, error: `\udc00${'😀'.repeat(1_500)}` })
  const [again] = await claim('halves', { waitMs: 5_000 })
  const error = `\ufffd${'😀'.repeat(999)}…`
  expect(await explain('halves', 'a')).toMatchObject({ log, history: [{ what: 'retry', why: error }] })
  await settle('halves', { id: 'a', lease: again?.lease, as: 'dead', reason: 'a\ud800' })
  expect((await jobs('halves/dead', '?state=ready')).jobs).toMatchObject([{ log, error: 'a\ufffd' }])
})
