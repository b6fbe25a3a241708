/** Jobs that wait for others, as those see them who send, work and look. */

import { expect, test } from 'vitest'
import { connect, type JobChild } from '../../../client/index.ts'
import { atEnd } from '../../support/ending.ts'
import { startHub } from '../../support/hub/hub.ts'
import { until } from '../../support/until.ts'

async function started(options: Parameters<typeof startHub>[0] = {}) {
  const { url } = await startHub({ limits: { payload: 20_000, batch: 12 }, ...options })
  const hub = connect(url)
  atEnd(() => hub.close())
  const ask = async (method: string, path: string, body?: unknown) => {
    const init = { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) ?? null }
    const answer = await fetch(`${url}/v1/queues/${path}`, init)
    const told = (await answer.json()) as Record<string, unknown>
    return Object.assign(told, { status: answer.status })
  }
  return { hub, ask, queue: hub.queue('pages') }
}

test('a parent gets what its children answered, binary in place, and is told to be waiting before', async () => {
  const { ask, queue } = await started()
  const bytes = new Uint8Array([1, 2, 3])
  const { id } = await queue.send('report', {
    children: [{ data: 'a', children: [{ data: 'c' }] }, { data: { b: bytes } }, { data: 'fails', attempts: 1 }],
    onDeadChild: 'skip',
  })
  expect(await queue.counts()).toMatchObject({ sent: 5, ready: 3, waiting: 2 })
  expect(await queue.job(id)).toMatchObject({ state: 'waiting', children: { count: 3, open: 3 } })
  expect((await queue.jobs({ state: 'waiting' })).jobs.map(({ data }) => data)).toEqual(['report', 'a'])
  expect(await ask('GET', `pages/jobs/${id}`)).toMatchObject({
    state: 'waiting',
    children: { count: 3, open: 3 },
    why: [{ reason: 'children', text: '3 of its 3 children have not ended' }],
  })
  const worked: (readonly [unknown, readonly JobChild[] | undefined])[] = []
  const worker = queue.consume(
    ({ data, children }) => {
      worked.push([data, children])
      if (data === 'fails') throw new Error('no page')
      return data === 'a' ? { text: 'A', raw: bytes } : data
    },
    { concurrency: 1 },
  )
  worker.onError(() => {})
  const last = async () => (await queue.waitFor(id)).state
  expect(await last()).toBe('done')
  const family = worked.filter(([, children]) => children !== undefined)
  expect(family.map(([data]) => data)).toEqual(['a', 'report'])
  expect(family[0]?.[1]).toEqual([{ queue: 'pages', id: expect.any(String), state: 'done', result: 'c' }])
  expect(family[1]?.[1]).toEqual([
    { queue: 'pages', id: expect.any(String), state: 'done', result: { text: 'A', raw: expect.any(Uint8Array) } },
    { queue: 'pages', id: expect.any(String), state: 'done', result: { b: expect.any(Uint8Array) } },
    { queue: 'pages', id: expect.any(String), state: 'dead', error: 'Error: no page' },
  ])
  expect(Array.from((family[1]?.[1]?.[0]?.result as { raw?: Uint8Array } | undefined)?.raw ?? [])).toEqual([1, 2, 3])
  await worker.close()
})

test('over HTTP the same is sent, claimed and explained, and a dead child takes its parent along', async () => {
  const { ask } = await started()
  const claim = async () =>
    ((await ask('POST', 'pages/claims', { waitMs: 5_000 })).jobs as Record<string, unknown>[])[0]
  const settle = async ({ id, lease }: Record<string, unknown> = {}, ending: object) =>
    expect(await await ask('POST', 'pages/settlements', [{ id, lease, ...ending }])).toMatchObject({ status: 200 })
  await ask('POST', 'pages/jobs', { data: 'p', id: 'p', children: [{ data: 1 }, { data: 2, queue: 'pages' }] })
  const child = await claim()
  expect(await ask('GET', `pages/jobs/${child?.id}`)).toMatchObject({ parent: 'p' })
  await settle(child, { as: 'done', reply: { base64: 'AAEC' } })
  await settle(await claim(), { as: 'done' })
  expect(await claim()).toMatchObject({
    id: 'p',
    children: [
      { queue: 'pages', id: child?.id, state: 'done', result: { base64: 'AAEC' } },
      { queue: 'pages', state: 'done' },
    ],
  })
  await ask('POST', 'pages/jobs', { data: 'q', id: 'q', children: [{ data: 3 }] })
  const dies = await claim()
  await settle(dies, { as: 'dead', reason: 'gone' })
  expect(await ask('GET', 'pages/jobs/q')).toMatchObject({
    state: 'dead',
    dead: { reason: 'child', error: `its child ${dies?.id} is dead` },
  })
  const redriven = await ask('POST', 'pages/redrive', { filter: { reason: 'child' } })
  expect(redriven).toMatchObject({ moved: 1 })
  expect((await claim())?.children).toEqual([{ queue: 'pages', id: dies?.id, state: 'dead', error: 'gone' }])
  // An empty reason is none.
  await ask('POST', 'pages/jobs', { data: 'r', id: 'r', children: [{ data: 4 }], onDeadChild: 'skip' })
  const silent = await claim()
  await settle(silent, { as: 'dead', reason: '' })
  expect((await claim())?.children).toEqual([{ queue: 'pages', id: silent?.id, state: 'dead', error: 'rejected' }])
})

test('over HTTP children have bytes as base64, at each depth and wherever they go', async () => {
  const { ask, queue } = await started()
  const there = { base64: 'AAEC', queue: 'other', key: 'k' }
  const children = [{ base64: '/w==', children: [there, { data: 1 }] }, { data: { base64: 'x' } }]
  expect(await ask('POST', 'pages/jobs', { base64: 'AQ==', children })).toMatchObject({ status: 201 })
  expect(await ask('POST', 'pages/jobs', [{ data: 0, children: [{ base64: '' }] }])).toMatchObject({ status: 201 })
  const { jobs } = await queue.jobs({ state: 'waiting' })
  expect(jobs.map(({ data }) => data)).toEqual([Buffer.from([1]), Buffer.from([255]), 0])
  const ready = async (name: string) => (await ask('GET', `${name}/jobs?state=ready`)).jobs
  expect(await ready('pages')).toMatchObject([{ data: 1 }, { data: { base64: 'x' } }, { base64: '' }])
  await until(async () => ((await ready('other')) as object[]).length === 1, { what: 'the child elsewhere' })
  expect(await ready('other')).toMatchObject([{ base64: 'AAEC', key: 'k' }])
  const wrong = (children: unknown) => ask('POST', 'pages/jobs', { data: 0, children })
  for (const [draft, detail] of [
    [[{ data: 1 }, { base64: '%' }], 'draft: children[1].base64: is not base64'],
    [[{ data: 1, children: [{ base64: 5 }] }], 'draft: children[0].children[0].base64: '],
    [[{ data: 1, base64: '' }], 'draft: children[0] has data and base64; it takes one of them'],
    [[{ base64: '', id: 'c' }], 'a child takes no id'],
  ] as const) {
    expect(await wrong(draft)).toMatchObject({ status: 400, detail: expect.stringContaining(detail) })
  }
})

test('children of other queues are carried there once, and their parent gets what became of them', async () => {
  const settings = {
    other: { schema: { type: 'object', required: ['n'] }, maxJobs: 3, maxBytes: 500, events: true },
    pages: { maxJobs: 4 },
  }
  const rules = [
    { actions: ['send', 'consume', 'read'], names: ['pages', 'other'] },
    { actions: ['send'], names: ['results'] },
  ] as const
  const { hub, ask } = await started({ queues: settings, auth: { anonymous: rules } })
  const [queue, other] = [hub.queue('pages'), hub.queue('other')]
  const there = (n: number, more: object = {}) => ({ data: { n }, queue: 'other', ...more })
  const { id } = await queue.send('report', {
    children: [there(1, { priority: 8 }), { data: 'here' }, there(2, { children: [{ data: 'back', queue: 'pages' }] })],
  })
  await until(async () => (await other.counts()).waiting === 1)
  const [child] = (await other.jobs({ state: 'ready' })).jobs
  expect(child).toMatchObject({ data: { n: 1 }, priority: 8, parent: id, parentQueue: 'pages' })
  const seen: (readonly JobChild[])[] = []
  const work = (name: string) => (job: { data: unknown; children?: readonly JobChild[] | undefined }) => {
    if (job.children !== undefined) seen.push(job.children)
    return `${name} ${JSON.stringify(job.data)}`
  }
  const workers = [queue.consume(work('pages')), other.consume(work('other'))]
  expect(await queue.waitFor(id)).toMatchObject({ state: 'done' })
  expect(seen).toEqual([
    [{ queue: 'pages', id: expect.any(String), state: 'done', result: 'pages "back"' }],
    [
      { queue: 'other', id: child?.id, state: 'done', result: 'other {"n":1}' },
      { queue: 'pages', id: expect.any(String), state: 'done', result: 'pages "here"' },
      { queue: 'other', id: expect.any(String), state: 'done', result: 'other {"n":2}' },
    ],
  ])
  await Promise.all(workers.map((worker) => worker.close()))
  const before = [await queue.counts(), await other.counts()]
  expect(before).toMatchObject([
    { sent: 3, done: 3 },
    { sent: 2, done: 2 },
  ])
  // What that queue refuses is refused with the parent.
  const refused: [object[], number, RegExp][] = [
    [[{ data: 'no n', queue: 'other' }], 400, /children of draft 0: draft 0 does not fit the schema of queue other/],
    [[{ data: 1 }, { data: 2, queue: 'secret' }], 403, /may not send secret/],
    [[{ data: 1, children: [{ data: 2, queue: 'secret' }] }], 403, /may not send secret/],
    // Who may only send there is not told what becomes of it.
    [[{ data: 1, queue: 'results' }], 403, /may not request results/],
    [[1, 2, 3, 4].map((n) => there(n)), 429, /the queue other is full/],
    [
      [there(1), { data: 1, children: [there(2, { key: 'k'.repeat(200) }), there(3, { key: 'k'.repeat(256) })] }],
      429,
      /the queue other is full/,
    ],
    [[there(1), { data: 1 }, { data: 2 }, { data: 3 }, { data: 4 }], 429, /the queue is full/],
  ]
  for (const [children, status, detail] of refused) {
    const answer = await ask('POST', 'pages/jobs', { data: 0, children })
    expect(answer).toMatchObject({ status, detail: expect.stringMatching(detail) })
  }
  // Nor where it is the queue of the call that a grandchild comes back to.
  const back = { data: 0, children: [there(1, { children: [{ data: 2, queue: 'results' }] })] }
  const detail = expect.stringMatching(/may not request results/)
  expect(await ask('POST', 'results/jobs', back)).toMatchObject({ status: 403, detail })
  expect([await queue.counts(), await other.counts()]).toEqual(before)
  // One that is sent again is there already, also where its children fill that queue.
  const twice = { data: 0, id: 'twice', children: [there(1), there(2), there(3)] }
  expect(await ask('POST', 'pages/jobs', twice)).toMatchObject({ status: 201, duplicates: 0 })
  await until(async () => (await other.counts()).ready === 3)
  expect(await ask('POST', 'pages/jobs', twice)).toMatchObject({ status: 201, duplicates: 1 })
})

test('what is wrong with children is said, and nothing is stored', async () => {
  const { ask, queue, hub } = await started()
  const deep = (depth: number): object => (depth === 0 ? { data: 0 } : { data: depth, children: [deep(depth - 1)] })
  const wrong: [object, RegExp][] = [
    [{ data: 0, children: [] }, /children: is a list of at least one draft/],
    [{ data: 0, children: {} }, /children/],
    [{ data: 0, children: [{}] }, /data is missing/],
    [{ data: 0, children: [{ data: 1, id: 'c' }] }, /a child takes no id/],
    [{ data: 0, children: [{ data: 1, queue: 'no spaces' }] }, /queue/],
    [{ data: 0, children: [{ data: 1, queue: 'other/dead' }] }, /other\/dead holds dead letters/],
    [{ data: 0, children: [{ data: 1 }], onDeadChild: 'wait' }, /is 'fail' or 'skip'/],
    [{ data: 0, onDeadChild: 'skip' }, /draft 0 has onDeadChild, but no children/],
    [{ data: 0, children: [{ data: 1, delayMs: 1, at: 1 }] }, /children of draft 0: draft 0 has delayMs and at/],
    [{ data: 0, children: [{ data: 'x'.repeat(30_000) }] }, /children of draft 0: draft 0 has \d+ bytes/],
    [
      { data: 0, children: Array.from({ length: 12 }, () => ({ data: 1 })) },
      /more than 12 drafts in one call, with all children/,
    ],
    [deep(5), /4 generations deep at most/],
    [deep(1_500), /4 generations deep at most|drafts in one call/],
  ]
  for (const [draft, message] of wrong) {
    const answer = await ask('POST', 'pages/jobs', draft)
    expect([answer.status >= 400 && answer.status < 500, answer.detail ?? answer.message]).toEqual([
      true,
      expect.stringMatching(message),
    ])
  }
  await expect(queue.send(0, { children: [{ data: 1, id: 'x' } as never] })).rejects.toThrow(/a child takes no id/)
  await expect(queue.request(0, { children: [{ data: 1 }] } as never)).rejects.toThrow(/children/)
  const draft = { data: 0, children: [{ data: 1 }] }
  await expect(queue.schedule('s', { everyMs: 1_000, draft } as never)).rejects.toThrow(/children/)
  expect(await hub.queue('pages').counts()).toMatchObject({ sent: 0 })
  await queue.send(0, deep(4) as never)
  await until(async () => (await queue.counts()).waiting === 4)
})
