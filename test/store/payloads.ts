/** Payloads in all their places, each with a mark in it: an event, jobs, schedules, a dead letter, a history, a life, answers. */

import { expect } from 'vitest'
import type {
  HeldJob,
  QueuePolicy,
  Settlement,
  Store,
  StoredChildren,
  Told,
} from '../../server/store/contract/store.ts'
import { KEEP, text } from './conformance/fixture.ts'

const LIMIT = { jobs: 1e6, bytes: 1e9 }
const POLICY: QueuePolicy = {
  maxAttempts: 1,
  backoffMs: [0],
  deadMs: 86_400_000,
  keep: { count: 10, ageMs: 86_400_000, bytes: 1e9 },
}
export const MARK = 'M4rk-of-a-payload'

/** Each claims what is there and ends it so. */
async function end(
  store: Store,
  queue: string,
  ending: (id: string, lease: string) => Settlement,
  policy = POLICY,
): Promise<void> {
  const consumer = { subject: 'ann', client: 'worker' }
  const { session } = await store.queues.attach(queue, consumer, { leaseMs: 30_000, policy })
  const claim = { consumer, session, max: 10, bytes: 1e9, leaseMs: 30_000, capMs: 60_000, policy }
  const { jobs } = await store.queues.claim(queue, claim)
  for (const { body } of jobs) expect(body?.json).toContain(MARK)
  await report(store, queue, jobs, policy)
  await store.queues.settle(
    queue,
    jobs.map(({ id, lease }) => ending(id, lease)),
    policy,
  )
}

async function report(store: Store, queue: string, jobs: readonly HeldJob[], policy = POLICY): Promise<void> {
  const reports = jobs.map(({ id, lease }) => ({ id, lease, value: text(MARK), log: [MARK, `${MARK}2`] }))
  expect(await store.queues.progress(queue, reports, policy)).toEqual(jobs.map(() => 'ok'))
}

/** An event, a job that waits, schedules, a dead letter with its error, a reply, and a failed request. */
export async function fill(store: Store): Promise<void> {
  const binaries = [{ path: ['b'], bytes: Buffer.from(MARK) }]
  await store.topics.append('t', {
    subject: 'ann',
    drafts: [{ body: { json: JSON.stringify({ data: { a: MARK, b: null }, headers: { h: MARK } }), binaries } }],
    retain: KEEP,
  })
  const draft = { body: text(MARK.repeat(40)), priority: 4, ttlMs: 3_600_000 }
  const send = (queue: string, more: object) =>
    store.queues.enqueue(queue, { subject: 'ann', drafts: [{ ...draft, ...more }], limit: LIMIT })
  await send('waiting', { body: text(MARK) })
  const nextAt = (await store.ready()) + 3_600_000
  for (const name of ['a', 'b']) {
    await store.queues.putSchedule('planned', name, { spec: name, body: text(MARK + name), nextAt, most: 9 })
  }
  await send('bound', { dead: { reason: 'gap', error: MARK } })
  await send('failed', {})
  await end(store, 'failed', (id, lease) => ({ id, lease, as: 'retry', error: MARK }))
  await send('ended', {})
  await end(store, 'ended', (id, lease) => ({ id, lease, as: 'retry', error: MARK }))
  await store.queues.redrive(
    'ended',
    [(await store.queues.jobs('ended/dead', { state: 'ready', limit: 1 }))[0]?.id ?? ''],
    {
      ttlMs: 60_000,
    },
  )
  await end(store, 'ended', (id, lease) => ({ id, lease, as: 'done', reply: text(MARK) }))
  await send('worked', {})
  const consumer = { subject: 'ann', client: 'worker' }
  const { session } = await store.queues.attach('worked', consumer, { leaseMs: 60_000, policy: POLICY })
  const claim = { consumer, session, max: 1, bytes: 1e9, leaseMs: 60_000, capMs: 60_000, policy: POLICY }
  await report(store, 'worked', (await store.queues.claim('worked', claim)).jobs)
  await live(store, 'told')
  await send('asked', { id: 'r1', replyMs: 60_000 })
  await end(store, 'asked', (id, lease) => ({ id, lease, as: 'done', reply: text(MARK) }))
  await send('asked', { id: 'r2', replyMs: 60_000 })
  await end(store, 'asked', (id, lease) => ({ id, lease, as: 'dead', error: MARK }))
}

/** A queue whose life waits to be moved. */
export async function live(store: Store, queue: string): Promise<void> {
  const told = { ...POLICY, events: true }
  const drafts = [{ body: text(MARK), priority: 4, ttlMs: 3_600_000 }]
  const send = () => store.queues.enqueue(queue, { subject: 'ann', drafts, limit: LIMIT, events: true })
  await send()
  await end(store, queue, (id, lease) => ({ id, lease, as: 'retry', error: MARK }), told)
  await send()
  await end(store, queue, (id, lease) => ({ id, lease, as: 'done', reply: text(MARK) }), told)
}

/** A queue that has something to be carried to others: a child with a child of its own, and how one has ended. */
export async function errands(store: Store, queue: string): Promise<void> {
  const draft = { body: text(MARK), priority: 4, ttlMs: 3_600_000 }
  const children = (drafts: readonly object[]) => ({ drafts, onDead: 'skip', bytes: 1e6 }) as StoredChildren
  const below = { ...draft, queue: 'elsewhere', children: children([draft]) }
  const common = { subject: 'ann', limit: LIMIT }
  await store.queues.enqueue(queue, { ...common, drafts: [{ ...draft, id: 'parent', children: children([below]) }] })
  const places = [1, 2].map((number) => ({ number, parent: { id: 'p', place: `1 ${number}` } }))
  await store.queues.enqueue(queue, {
    ...{ ...common, drafts: [draft, draft] },
    carried: { queue: 'elsewhere', row: 'r', children: places },
  })
  let ended = 0
  await end(store, queue, (id, lease) =>
    ended++ === 0 ? { id, lease, as: 'done', reply: text(MARK) } : { id, lease, as: 'dead', error: MARK },
  )
}

export async function errandsOf(store: Store, queue: string): Promise<unknown> {
  const list = (await store.queues.life(queue, { limit: 100 }))?.errands?.list ?? []
  return list.map((errand) => (errand.errand === 'child' ? errand.draft : { ...errand.child, id: '' }))
}

/** A job that waits for one of its children; of the others one has answered and one is dead. */
export async function family(store: Store, queue: string): Promise<void> {
  const draft = { body: text(MARK), priority: 4, ttlMs: 3_600_000 }
  const children = {
    drafts: [draft, draft, { ...draft, due: { delayMs: 3_600_000 } }],
    onDead: 'skip',
    bytes: 1e6,
  } as const
  await store.queues.enqueue(queue, { subject: 'ann', drafts: [{ ...draft, id: 'parent', children }], limit: LIMIT })
  let ended = 0
  await end(store, queue, (id, lease) =>
    ended++ === 0 ? { id, lease, as: 'done', reply: text(MARK) } : { id, lease, as: 'dead', error: MARK },
  )
}

/** What the job gets of its children, when the last one is gone. */
export async function childrenIn(store: Store, queue: string): Promise<unknown> {
  const rest = (await store.queues.jobs(queue, { state: 'delayed', limit: 9 })).map(({ id }) => id)
  await store.queues.purge(queue, { ids: rest })
  const consumer = { subject: 'ann', client: 'late' }
  const { session } = await store.queues.attach(queue, consumer, { leaseMs: 30_000, policy: POLICY })
  const claim = { consumer, session, max: 10, bytes: 1e9, leaseMs: 30_000, capMs: 60_000, policy: POLICY }
  const { jobs } = await store.queues.claim(queue, claim)
  return jobs.map(({ body, children }) => [body?.json, children?.map(({ id: _, ...told }) => told)])
}

export async function lifeOf(store: Store, queue: string): Promise<unknown> {
  return (await store.queues.life(queue, { limit: 100 }))?.records.map(({ id: _, ...record }) => record)
}

export async function readAgain(store: Store): Promise<unknown> {
  const { events } = await store.topics.read('t', 0, { events: 10, bytes: 1e6 })
  const jobs = (queue: string) => store.queues.jobs(queue, { state: 'ready', limit: 10 })
  const [letter] = await jobs('failed/dead')
  return {
    events: events.map((event) =>
      'body' in event ? [event.body.json, String(event.body.binaries?.[0]?.bytes)] : event,
    ),
    waiting: (await jobs('waiting')).map(({ body }) => body?.json),
    planned: (await store.queues.schedules('planned', { limit: 9 })).map(({ name, body }) => [name, body?.json]),
    bound: (await jobs('bound/dead')).map(({ dead }) => dead?.error),
    worked: (await store.queues.jobs('worked', { state: 'held', limit: 9 })).map(toldOf),
    letter: [letter && toldOf(letter), letter?.body?.json, letter?.dead?.error, letter?.history.map(({ why }) => why)],
    ended: (await store.queues.finished('ended', { state: 'done', limit: 1 })).map((job) => [
      ...[job.result?.json, job.history.map(({ why }) => why)],
      toldOf(job),
    ]),
    life: await lifeOf(store, 'told'),
    answers: [await store.queues.answer('asked', 'r1'), await store.queues.answer('asked', 'r2')],
  }
}

function toldOf({ progress, log }: Told): unknown {
  return [progress?.json, log?.map(({ text }) => text)]
}
