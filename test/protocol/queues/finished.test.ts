import { describe, expect, it } from 'vitest'
import { connect } from '../../../client/index.ts'
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
