import { describe, expect, it } from 'vitest'
import { type Page, type Problem, queueCalls } from '../support/clients/queueCalls.ts'
import { startHub } from '../support/hub/hub.ts'
import { until } from '../support/until.ts'

const hub = await startHub({ queues: { 'short*': { maxAttempts: 1 }, 'slow*': { backoffMs: '1h' } } })
const { ask, send, claim, settle, bury, look, explain, jobs } = queueCalls(hub.url)

const ids = ({ jobs }: Page) => jobs.map(({ id }) => id)

describe('a job', () => {
  it('is explained: why it does not move, and what happened to it', async () => {
    await send('slow.why', { data: 1, id: 'first', key: 'k' }, { data: 2, id: 'second', key: 'k' })
    await send('slow.why', { data: 3, id: 'later', delayMs: 60_000 })
    const reasons = async (id: string) => (await explain('slow.why', id)).why.map(({ reason }) => reason)
    expect(await explain('slow.why', 'first')).toMatchObject({
      queue: 'slow.why',
      state: 'ready',
      data: 1,
      key: 'k',
      why: [{ reason: 'no_consumer', text: 'nobody consumes slow.why' }],
      history: [],
    })
    expect((await explain('slow.why', 'second')).why).toContainEqual(
      expect.objectContaining({ reason: 'behind', job: 'first' }),
    )
    expect(await reasons('later')).toContain('delayed')
    await ask('POST', '/v1/queues/slow.why/pause')
    expect(await reasons('second')).toEqual(['behind', 'paused', 'no_consumer'])
    await ask('POST', '/v1/queues/slow.why/resume')
    const [job] = await claim('slow.why', { client: 'curl' })
    const held = await explain('slow.why', 'first')
    expect(held).toMatchObject({
      state: 'held',
      holder: { subject: 'anonymous', client: expect.stringMatching(/^curl#/) },
    })
    expect(held.why).toMatchObject([{ reason: 'held', text: expect.stringContaining('curl#'), until: job?.expiresAt }])
    await settle('slow.why', { id: job?.id, lease: job?.lease, as: 'retry', error: 'SMTP 451' })
    expect(await explain('slow.why', 'first')).toMatchObject({
      state: 'delayed',
      attempts: 1,
      why: [{ reason: 'delayed', text: 'attempt 1 failed, it waits for the next' }, { reason: 'no_consumer' }],
      history: [{ what: 'retry', why: 'SMTP 451', holder: { client: expect.stringMatching(/^curl#/) } }],
    })
  })

  it('that nobody names gets no name from the caller', async () => {
    await send('nameless', { data: 1, id: 'a' })
    await claim('nameless')
    expect(await explain('nameless', 'a')).toMatchObject({
      holder: { client: expect.stringMatching(/^#[A-Za-z0-9]+$/) },
    })
  })

  it('is removed while it waits', async () => {
    const id = 'with / and ?'
    await send('removing', { data: 1, id })
    const path = `/v1/queues/removing/jobs/${encodeURIComponent(id)}`
    await claim('removing')
    expect(await ask<Problem>('DELETE', path)).toMatchObject({
      status: 409,
      body: { code: 'conflict', detail: `the job ${id} is held; only what waits is removed` },
    })
    await send('removing', { data: 2, id: 'b' })
    expect(await ask('DELETE', '/v1/queues/removing/jobs/b')).toMatchObject({ status: 204, body: '' })
    expect((await ask('DELETE', '/v1/queues/removing/jobs/b')).status).toBe(404)
    expect((await look('removing')).counts).toMatchObject({ sent: 2, held: 1, removed: 1 })
  })

  it('is run now while it is delayed, and says what still keeps it', async () => {
    const run = (id: string, queue = 'slow.run') => ask('POST', `/v1/queues/${queue}/jobs/${id}/run`)
    const why = (...found: object[]) => ({ status: 200, body: { why: found } })
    await send('slow.run', { data: 1, id: 'first', key: 'k' }, { data: 2, id: 'second', key: 'k', delayMs: 60_000 })
    await send('slow.run', { data: 3, id: 'third', delayMs: 60_000 })
    expect(await run('third')).toMatchObject({ status: 200, body: { queue: 'slow.run', id: 'third', changed: true } })
    expect(await run('third')).toMatchObject({ ...why({ reason: 'no_consumer' }), body: { changed: false } })
    expect(await run('second')).toMatchObject(why({ reason: 'behind', job: 'first' }, { reason: 'no_consumer' }))
    expect(await explain('slow.run', 'second')).toMatchObject({ state: 'ready', history: [{ what: 'run' }] })
    const [first] = await claim('slow.run', { client: 'curl' })
    expect(await run('first')).toMatchObject({
      status: 409,
      body: { detail: expect.stringMatching(/^the job first is held: curl#\w+ works on it$/) },
    })
    await settle('slow.run', { id: 'first', lease: first?.lease, as: 'retry' })
    expect(await run('first')).toMatchObject({ body: { changed: true } })
    expect((await claim('slow.run', { max: 9 })).map(({ id }) => id)).toEqual(['first', 'third'])
    await bury('slow.ran', { data: 1, id: 'a' })
    expect(await run('a', 'slow.ran')).toMatchObject({
      status: 409,
      body: { detail: 'the job a is dead-lettered; a redrive brings it back to slow.ran' },
    })
    await send('slow.run', { data: 4, id: 'parent', children: [{ data: 5 }] })
    expect(await run('parent')).toMatchObject({
      status: 409,
      body: { code: 'conflict', detail: expect.stringContaining('its children') },
    })
    expect(await run('nothing')).toMatchObject({ status: 404, body: { code: 'not_found' } })
  })

  it('is listed with the others in its state, page by page', async () => {
    const all = await send('pages', ...Array.from({ length: 7 }, (_, data) => ({ data })))
    const seen: string[] = []
    let query = '?limit=3'
    for (let pages = 0; pages < 3; pages++) {
      const page = await jobs('pages', query)
      seen.push(...ids(page))
      query = `?limit=3&after=${page.next}`
    }
    expect(seen).toEqual(all)
    await send('pages', { data: 'later', id: 'later', delayMs: 60_000 })
    await claim('pages', { max: 2 })
    expect(ids(await jobs('pages', '?state=delayed'))).toEqual(['later'])
    expect(ids(await jobs('pages', '?state=held'))).toEqual(all.slice(0, 2))
    expect(ids(await jobs('pages', '?state=ready'))).toEqual(all.slice(2))
    const gone = await ask<Problem>('GET', '/v1/queues/pages/jobs?after=unknown')
    expect([gone.status, gone.body.detail]).toEqual([404, expect.stringContaining('list from the beginning')])
  })

  it('that is run now is no place in the list of the delayed ones any more', async () => {
    const delayed = ['a', 'b', 'c', 'd'].map((id, i) => ({ data: i, id, delayMs: 60_000 + i }))
    await send('places', ...delayed)
    const { next } = await jobs('places', '?state=delayed&limit=2')
    await ask('POST', `/v1/queues/places/jobs/${next}/run`)
    const gone = await ask<Problem>('GET', `/v1/queues/places/jobs?state=delayed&after=${next}`)
    expect([gone.status, gone.body.detail]).toEqual([404, expect.stringContaining('list from the beginning')])
    expect(ids(await jobs('places', '?state=delayed'))).toEqual(['a', 'c', 'd'])
    expect(ids(await jobs('places', `?state=ready&after=${next}`))).toEqual([])
  })

  it('is found by its key in every state, without the others being looked through where it has a place', async () => {
    const others = Array.from({ length: 1_000 }, (_, n) => ({ data: n, key: `${n}` }))
    await send('keys', ...['h', 'r1', 'r2'].map((id) => ({ data: 1, id, key: 'k' })))
    await send('keys', ...others)
    await send('keys', { data: 1, id: 'r3', key: 'k' })
    await send('keys', ...others.map((draft) => ({ ...draft, delayMs: 600_000 })))
    await send('keys', { data: 1, id: 'd', key: 'k', delayMs: 600_000 }, { data: 1, id: 'e', delayMs: 600_000 })
    await claim('keys')
    expect(ids(await jobs('keys', '?key=k&state=held'))).toEqual(['h'])
    expect([ids(await jobs('keys', '?id=d')), ids(await jobs('keys', '?id=k'))]).toEqual([['d'], []])
    expect((await ask('GET', '/v1/queues/keys/jobs?id=d&state=held')).status).toBe(400)
    expect(ids(await jobs('keys', '?key=999&state=held'))).toEqual([])
    const page = await jobs('keys', '?key=k&limit=2')
    expect([ids(page), page.next]).toEqual([['r1', 'r2'], 'r2'])
    expect(await jobs('keys', '?key=k&limit=2&after=r2')).toEqual({ jobs: [expect.objectContaining({ id: 'r3' })] })
    const searched = await jobs('keys', '?key=k&state=delayed')
    expect([searched.jobs, searched.next]).toEqual([[], expect.any(String)])
    const rest = await jobs('keys', `?key=k&state=delayed&after=${searched.next}`)
    expect([ids(rest), rest.next]).toEqual([['d'], undefined])
  })

  it('that is large ends a page early', async () => {
    const data = 'x'.repeat(200_000)
    await send('large', ...Array.from({ length: 5 }, () => ({ data })))
    await send('large', ...Array.from({ length: 5 }, () => ({ data })))
    const page = await jobs('large')
    expect(page.jobs).toHaveLength(6)
    expect((await jobs('large', `?after=${page.next}`)).jobs).toHaveLength(4)
  })
})

describe('dead letters', () => {
  it('are looked at, explained and worked on under both forms of their name', async () => {
    await bury('graves', { data: 'luck', id: 'a' }, { data: 'hope', id: 'b' })
    for (const path of ['graves%2Fdead', 'graves/dead']) {
      expect((await look(path)).counts).toMatchObject({ ready: 2 })
      expect(ids(await jobs(path))).toEqual(['a', 'b'])
      expect(await explain(path, 'a')).toMatchObject({ queue: 'graves/dead', state: 'dead', data: 'luck' })
    }
    expect(ids(await jobs('graves', '?state=dead'))).toEqual(['a', 'b'])
    const explained = await explain('graves', 'a')
    expect(explained).toMatchObject({
      queue: 'graves/dead',
      state: 'dead',
      dead: { reason: 'rejected', error: 'no luck', at: expect.any(Number) },
      history: [{ what: 'dead', why: expect.stringContaining('no luck') }],
    })
    expect(explained.why[0]).toMatchObject({ reason: 'dead', text: expect.stringContaining('(rejected): no luck') })
    expect(await ask<Problem>('DELETE', '/v1/queues/graves/jobs/a')).toMatchObject({
      status: 409,
      body: { detail: 'the job a is dead-lettered; it is removed from graves/dead' },
    })
    expect((await ask('DELETE', '/v1/queues/graves/dead/jobs/a')).status).toBe(204)
    const [job] = await claim('graves/dead')
    expect(job).toMatchObject({ queue: 'graves/dead', id: 'b', data: 'hope' })
    expect(await settle('graves/dead', { id: 'b', lease: job?.lease, as: 'done' })).toEqual(['ok'])
    expect((await look('graves')).counts).toMatchObject({ sent: 2, done: 1, removed: 1, dead: 0 })
  })

  it('are found by key, reason and error', async () => {
    await bury('found', ...['a', 'b', 'c'].map((id) => ({ data: id === 'c' ? 'mail' : 'ink', id, key: id })))
    expect(ids(await jobs('found', '?state=dead&error=ink'))).toEqual(['a', 'b'])
    expect(ids(await jobs('found/dead', '?reason=rejected&error=ink&key=b'))).toEqual(['b'])
    expect(ids(await jobs('found', '?state=dead&reason=expired'))).toEqual([])
    const { status, body } = await ask<Problem>('GET', '/v1/queues/found/jobs?error=ink')
    expect([status, body.detail]).toEqual([400, expect.stringContaining('ask with state=dead')])
  })

  it('come back by a filter, after a dry run, part by part', async () => {
    await bury('back', ...['a', 'b', 'c', 'd'].map((id) => ({ data: id === 'd' ? 'mail' : 'ink', id, key: id })))
    const redrive = async (body?: object, path = 'back') => (await ask('POST', `/v1/queues/${path}/redrive`, body)).body
    expect(await redrive({ dryRun: true })).toEqual({ matched: 4, moved: 0, more: false, asOf: expect.any(Number) })
    expect(await redrive({ dryRun: true, filter: { reason: 'expired' } })).toMatchObject({ matched: 0, moved: 0 })
    expect(await redrive({ filter: { key: 'b' } })).toMatchObject({ matched: 1, moved: 1, more: false })
    expect(await redrive({ filter: { error: 'mail', reason: 'rejected' } })).toMatchObject({
      matched: 1,
      moved: 1,
      more: false,
    })
    expect(await redrive({ limit: 1, filter: { key: 'c' } })).toMatchObject({
      matched: 0,
      moved: 0,
      more: true,
      next: 'a',
    })
    expect(await redrive({ limit: 1, after: 'a', filter: { key: 'c' } })).toMatchObject({
      matched: 1,
      moved: 1,
      more: true,
    })
    expect(await redrive(undefined, 'back/dead')).toMatchObject({ matched: 1, moved: 1, more: false })
    expect((await look('back')).counts).toMatchObject({ sent: 4, ready: 4, dead: 0 })
    expect((await claim('back', { max: 9 })).map(({ id }) => id)).toEqual(['b', 'd', 'c', 'a'])
  })

  it('come back from the beginning where the place to go on from is gone', async () => {
    await bury('gone-on', { data: 1, id: 'a' }, { data: 2, id: 'b' })
    expect((await ask('DELETE', '/v1/queues/gone-on/dead/jobs/a')).status).toBe(204)
    const { body } = await ask('POST', '/v1/queues/gone-on/redrive', { after: 'a' })
    expect(body).toMatchObject({ matched: 1, moved: 1, more: false })
  })

  it('that a shorter time would end are counted by a dry run of settings, and what else they would do', async () => {
    const dryRun = async (body: object, queue = 'slow.dry') =>
      (await ask<{ settings: object; would: object }>('PUT', `/v1/queues/${queue}?dryRun=true`, body)).body
    const nothing = { drops: 0, deadLetters: 0, more: false, refuses: false, binds: [], unbinds: [] }
    expect(await dryRun({ maxJobs: 5 })).toMatchObject({ settings: { maxJobs: 5 }, would: nothing })
    await send('slow.dry', ...['a', 'b'].map((id) => ({ data: id, id })))
    for (const { id, lease } of await claim('slow.dry', { max: 2 })) {
      await settle('slow.dry', { id, lease, as: 'retry' })
    }
    await bury('slow.dry', { data: 1, id: 'c' })
    expect(await dryRun({ maxAttempts: 1, maxJobs: 2 })).toMatchObject({
      would: { ...nothing, deadLetters: 2, refuses: true },
    })
    expect((await dryRun({ maxAttempts: 2, from: ['orders'] })).would).toEqual({ ...nothing, binds: ['orders'] })
    await until(async () => JSON.stringify((await dryRun({ deadMs: 1 })).would).includes('"drops":1'), {
      what: 'drops',
    })
    expect((await dryRun({ deadMs: 600_000 })).would).toEqual(nothing)
    expect(await dryRun({ maxJobs: 1 }, 'slow.*')).toEqual({ queue: 'slow.*', settings: { maxJobs: 1 } })
    expect((await ask('GET', '/v1/queues/slow.dry/settings')).body).toMatchObject({ stored: {} })
    expect((await look('slow.dry')).counts).toMatchObject({ delayed: 2, dead: 1 })
  })

  it('that were tried too often say so', async () => {
    await send('short', { data: 1, id: 'a' })
    const [job] = await claim('short')
    await settle('short', { id: 'a', lease: job?.lease, as: 'retry', error: 'oh' })
    expect(await explain('short', 'a')).toMatchObject({ state: 'dead', dead: { reason: 'max_attempts', error: 'oh' } })
  })
})
