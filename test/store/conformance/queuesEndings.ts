/** The contract's queues: delays and expiry, dead letters and redrive, requests, removal, bindings and holds, watches. */

import { describe, expect, test } from 'vitest'
import type { QueueNotification } from '../../../server/store/contract/store.ts'
import { until } from '../../support/until.ts'
import { firedIn, infoOf, jobOf, remove, trim } from './calls.ts'
import type { Case } from './cursors.ts'
import { dataOf, KEEP, publish, text } from './fixture.ts'
import { deskOf, holder, LEASE, named, POLICY, ROOM } from './queueDesk.ts'

const MINUTE = 60_000

export function describeQueueEndings(given: () => Case): void {
  const desk = () => deskOf(given().store)
  const pass = (ms: number): void => {
    given().engine.clock.now += ms
  }

  describe('delays and expiry', () => {
    test('a delayed job is never early, and takes its place when it falls due, by time', async () => {
      const { engine } = given()
      const q = desk()
      const at = engine.clock.now + 1_000
      await q.send([
        named('third', { due: { at: at + 1 } }),
        named('first', { due: { at } }),
        named('second', { due: { delayMs: 1_000 } }),
        named('now', { due: { at: at - 9_999 } }),
      ])
      expect(await q.ids('w')).toEqual(['now'])
      pass(999)
      expect(await q.claim('w')).toMatchObject({ jobs: [], nextAt: at })
      pass(2)
      const { jobs } = await q.claim('w', { max: 9 })
      expect(jobs.map(({ id, dueAt }) => [id, dueAt - at])).toEqual([
        ['first', 0],
        ['second', 0],
        ['third', 1],
      ])
    })

    test('a job that waits too long is dead-lettered, counted from when it fell due; a held one is not', async () => {
      const q = desk()
      await q.send(['held', 'ready'].map((id) => named(id, { ttlMs: LEASE })))
      await q.send([named('later', { ttlMs: 1_000, due: { delayMs: LEASE } })])
      await q.take('w', { leaseMs: LEASE + 10 })
      pass(LEASE - 1)
      await q.turn()
      expect(await q.listed('ready')).toEqual(['ready'])
      pass(1)
      await q.turn()
      expect([await q.listed('ready'), await q.listed('held')]).toEqual([['later'], ['held']])
      expect(await q.job('ready', 'q/dead')).toMatchObject({ dead: { reason: 'expired' } })
      pass(1_000)
      expect(await q.ids('v')).toEqual([])
      expect(await q.books()).toMatchObject({ sent: 3, held: 0, delayed: 1, dead: 2 })
    })

    test('a request waits no longer than for its reply, tried again or not', async () => {
      const q = desk()
      await q.send([named('a', { ttlMs: 60_000, replyMs: 3_000 })])
      await q.settle(await q.take('w'), { as: 'retry', delayMs: 9_000 })
      expect((await q.claim('w')).nextAt).toBe(given().engine.clock.now + 9_000)
      pass(3_000)
      expect(await firedIn(given().store)).toEqual(['q'])
      expect(await q.job('a', 'q/dead')).toMatchObject({ attempts: 1, dead: { reason: 'expired' } })
    })

    test('in all queues where timers are due, the most overdue first', async () => {
      const { store } = given()
      const due = (delayMs: number) => [named('x', { due: { delayMs } })]
      await deskOf(store, 'a').send(due(2_000))
      await deskOf(store, 'b').send(due(1_000))
      await deskOf(store, 'c').send(due(9_000))
      pass(999)
      expect(await firedIn(store)).toEqual([])
      pass(1_001)
      expect(await firedIn(store)).toEqual(['b', 'a'])
      expect(await deskOf(store, 'a').listed('ready')).toEqual(['x'])
      expect(await firedIn(store)).toEqual([])
    })
  })

  describe('dead letters', () => {
    test('are a queue of their own: handed out without lines, retried without a limit, settled done', async () => {
      const q = desk()
      await q.send([named('a', { key: 'k' }), named('b', { key: 'k' })])
      for (const _ of 'ab') await q.settle(await q.take('w'), { as: 'dead', error: 'no' })
      const [a, b] = (await q.claim('v', { max: 9 }, 'q/dead')).jobs
      if (a === undefined || b === undefined) throw new Error('two dead letters were there')
      await q.settle(b, { as: 'dead', error: 'still no' }, 'q/dead')
      expect(await q.job('b', 'q/dead')).toMatchObject({
        ...{ state: 'delayed', attempts: 1, dueAt: given().engine.clock.now + 1_000, dead: { error: 'no' } },
        history: [{ what: 'dead' }, { what: 'retry', why: 'still no' }],
      })
      let job = a
      for (let attempts = 1; attempts < 6; attempts++) {
        expect(await q.settle(job, { as: 'retry', delayMs: 10 }, 'q/dead')).toBe('ok')
        expect(await q.job('a', 'q/dead')).toMatchObject({ state: 'delayed', attempts })
        pass(10)
        job = await q.take('v', {}, 'q/dead')
        expect(job.id).toBe('a')
      }
      pass(1_000)
      await q.settle(await q.take('v', {}, 'q/dead'), { as: 'done' }, 'q/dead')
      await q.settle(job, { as: 'done' }, 'q/dead')
      expect(await q.books()).toMatchObject({ sent: 2, done: 2, dead: 0 })
      expect(await q.books('q/dead')).toMatchObject({ sent: 2, done: 2, dead: 0 })
    })

    test('a redriven one goes last, with no attempts, and its old lease counts no more', async () => {
      const q = desk()
      await q.put('a', 'b')
      const a = await q.take('w')
      await q.settle(a, { as: 'dead' })
      const { queues } = given().store
      expect(await queues.redrive('q', ['a', 'b', 'nothing'], { ttlMs: MINUTE })).toBe(1)
      expect(await q.listed('ready')).toEqual(['b', 'a'])
      const ttlAt = given().engine.clock.now + MINUTE
      expect(await q.job('a')).toMatchObject({ state: 'ready', attempts: 0, ttlAt })
      expect((await q.job('a'))?.dead).toBeUndefined()
      expect(await q.settle(a, { as: 'done' })).toBe('lost')
      expect(await q.books()).toMatchObject({ sent: 2, ready: 2, dead: 0 })
      expect(await q.books('q/dead')).toMatchObject({ sent: 1, removed: 1 })
      expect(await q.ids('w')).toEqual(['b', 'a'])
    })

    test('are gone after their time, one that is held when it is so no more', async () => {
      const q = desk()
      await q.put('a', 'b')
      for (const _ of 'ab') await q.settle(await q.take('w'), { as: 'dead' })
      pass(POLICY.deadMs - 1)
      const job = await q.take('v', {}, 'q/dead')
      expect(await q.books('q/dead')).toMatchObject({ ready: 1, held: 1 })
      pass(1)
      await q.turn()
      expect(await q.books('q/dead')).toMatchObject({ ready: 0, held: 1, removed: 1 })
      await q.settle(job, { as: 'release' }, 'q/dead')
      await q.turn()
      expect(await q.books('q/dead')).toMatchObject({ ready: 0, held: 0, removed: 2 })
      expect(await q.books()).toMatchObject({ sent: 2, removed: 2, dead: 0 })
    })
  })

  describe('requests', () => {
    const ask = (id: string, replyMs = MINUTE) => named(id, { replyMs })

    test('the answer is what the holder replied, until replyBy; the same id finds the same request', async () => {
      const q = desk()
      const { queues } = given().store
      await q.send([ask('r', 10 * MINUTE)])
      const replyBy = given().engine.clock.now + 10 * MINUTE
      expect(await queues.answer('q', 'r')).toEqual({ state: 'waiting', replyBy })
      const job = await q.take('w')
      expect(job.replyBy).toBe(replyBy)
      await q.settle(job, { as: 'done', reply: text('yes') })
      pass(10 * MINUTE - 1)
      expect(await q.send([ask('r')])).toMatchObject({ ids: ['r'], duplicates: 1 })
      expect(await (await given().reopen()).queues.answer('q', 'r')).toEqual({ state: 'done', reply: text('yes') })
      pass(1)
      expect(await given().store.queues.answer('q', 'r')).toBeUndefined()
      expect(await given().store.queues.answer('q', 'never')).toBeUndefined()
    })

    test('another subject never reads an answer by asking with the same id', async () => {
      const q = desk()
      await q.send([ask('r')])
      await q.settle(await q.take('w'), { as: 'done', reply: text('secret') })
      const [other = ''] = (await q.send([ask('r')], { subject: 'bob' })).ids
      expect(other).toMatch(/^r~\d+$/)
      expect(await given().store.queues.answer('q', other)).toMatchObject({ state: 'waiting' })
    })

    test('fails at once when its job is dead-lettered or removed, and is not handed out past replyBy', async () => {
      const q = desk()
      const { queues } = given().store
      await q.send([ask('dies'), ask('goes'), ask('waits', 1_000)])
      await q.settle(await q.take('w'), { as: 'dead', error: 'no' })
      await remove(queues, 'q', 'goes')
      expect(await queues.answer('q', 'dies')).toEqual({ state: 'failed', reason: 'rejected', error: 'no' })
      expect(await queues.answer('q', 'goes')).toEqual({ state: 'failed', reason: 'removed' })
      pass(1_000)
      expect(await q.ids('w')).toEqual([])
      expect(await q.job('waits', 'q/dead')).toMatchObject({ dead: { reason: 'expired' } })
    })
  })

  describe('removal and lists', () => {
    test('remove takes what waits, purge what came until then, a part at a time', async () => {
      const q = desk()
      const { queues } = given().store
      await q.put('held', 'a', 'b', 'c')
      await q.send([named('later', { due: { delayMs: MINUTE } })])
      await q.take('w')
      const before = given().engine.clock.now
      pass(1)
      await q.put('new')
      expect([await remove(queues, 'q', 'held'), await remove(queues, 'q', 'never')]).toEqual([false, false])
      expect(await remove(queues, 'q', 'a')).toBe(true)
      const parts: number[] = []
      while (parts.at(-1) !== 0) parts.push(await queues.purge('q', { before, limit: 2 }))
      expect(Math.max(...parts)).toBe(2)
      expect(parts.reduce((sum, part) => sum + part, 0)).toBe(3)
      expect(await q.listed('ready')).toEqual(['new'])
      expect(await q.books()).toMatchObject({ sent: 6, ready: 1, held: 1, removed: 4 })
    })

    test('lists queues by name and jobs by place, in pages; an unknown queue is empty', async () => {
      const { store } = given()
      for (const name of ['b', 'a', 'Z']) await deskOf(store, name).put('x')
      const names = async (after?: string) =>
        (await store.queues.list({ limit: 2, ...(after !== undefined && { after }) })).map(({ queue }) => queue)
      expect([await names(), await names('a')]).toEqual([['Z', 'a'], ['b']])
      const q = desk()
      await q.put('1', '2', '3')
      const page = await store.queues.jobs('q', { state: 'ready', after: '1', limit: 1 })
      expect(page.map(({ id }) => id)).toEqual(['2'])
      expect(await store.queues.jobs('q', { state: 'ready', after: 'gone', limit: 9 })).toEqual([])
      expect(await infoOf(store.queues, 'never')).toBeUndefined()
      expect(await store.queues.jobs('never', { state: 'ready', limit: 9 })).toEqual([])
      expect(await store.queues.purge('never', { before: Date.now(), limit: 9 })).toBe(0)
      expect(await store.queues.redrive('never', ['x'], { ttlMs: 1 })).toBe(0)
      expect(await store.queues.pause('never', false)).toBe(false)
      expect(await infoOf(store.queues, 'never')).toBeUndefined()
      expect((await infoOf(store.queues, 'q/dead'))?.counts.sent).toBe(0)
    })
  })

  describe('bindings and holds', () => {
    test('a step of a binding is done once, from where it stands', async () => {
      const { queues } = given().store
      const at = (offset: number) => ({ epoch: 'e', offset })
      expect(await queues.bind('q', 't', at(5))).toEqual(at(5))
      expect(await queues.bind('q', 't', at(9))).toEqual(at(5))
      const step = (from: number, to: number, ids: string[]) =>
        queues.enqueue('q', {
          subject: 'ann',
          drafts: ids.map((id) => named(id)),
          limit: ROOM,
          binding: { topic: 't', from: at(from), to: at(to) },
        })
      // Asked for by two at the same moment, it is the first one's.
      const both = await Promise.allSettled([step(5, 7, ['e-6', 'e-7']), step(5, 7, ['e-6', 'e-7'])])
      expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
      await expect(step(5, 7, ['e-6', 'e-7'])).rejects.toMatchObject({ code: 'conflict' })
      const message = 'the binding of q to t is elsewhere: it stands at e:7'
      await expect(step(8, 9, ['e-9'])).rejects.toMatchObject({ code: 'conflict', message })
      await step(7, 8, [])
      const reopened = (await given().reopen()).queues
      expect((await infoOf(reopened, 'q'))?.bindings).toEqual([{ topic: 't', position: at(8) }])
      expect(await deskOf(given().store).listed('ready')).toEqual(['e-6', 'e-7'])
      expect(await reopened.bind('q', 't', undefined)).toBeUndefined()
      expect((await infoOf(reopened, 'q'))?.bindings).toEqual([])
    })

    test('a hold keeps events, the lowest of several counts, up to holdBytes', async () => {
      const { store } = given()
      const { topics } = store
      await publish(store, 't', 1, 2, 3, 4)
      await topics.hold('t', 'q', 1)
      await topics.hold('t', 'p', 2)
      const bytes = (await infoOf(topics, 't'))?.bytes ?? 0
      const retain = { ...KEEP, events: 1, holdBytes: bytes }
      await trim(topics, 't', retain)
      expect(await dataOf(store, 't')).toEqual([2, 3, 4])
      expect((await infoOf(topics, 't'))?.holds).toEqual([
        { name: 'p', offset: 2 },
        { name: 'q', offset: 1 },
      ])
      await topics.hold('t', 'q', undefined)
      await trim((await given().reopen()).topics, 't', retain)
      expect(await dataOf(given().store, 't')).toEqual([3, 4])
      await trim(given().store.topics, 't', { ...retain, holdBytes: bytes / 4 })
      expect(await dataOf(given().store, 't')).toEqual([4])
    })
  })

  describe('watches of queues', () => {
    test('tell of work, lapses, sessions, answers and changes, until they are stopped', async () => {
      const { store } = given()
      const q = desk()
      const told: QueueNotification[] = []
      const stop = await store.queues.watch('q', (notification) => told.push(notification))
      const hears = (expected: object) =>
        until(
          () =>
            told.some((each) =>
              Object.entries(expected).every(([k, v]) => JSON.stringify(Reflect.get(each, k)) === JSON.stringify(v)),
            ),
          {
            what: `a watch to be told ${JSON.stringify(expected)}`,
          },
        )
      await q.send([named('a', { replyMs: MINUTE })])
      await hears({ kind: 'work' })
      const dueAt = given().engine.clock.now + 2_000
      const job = await q.take('w')
      await hears({ kind: 'session', consumer: holder('w'), session: q.session('w') })
      await q.settle(job, { as: 'done' })
      await hears({ kind: 'answered', id: 'a' })
      await q.send([named('b', { due: { at: dueAt } })])
      await hears({ kind: 'work', at: dueAt })
      pass(2_000)
      await q.take('w')
      pass(LEASE)
      await q.turn()
      await hears({ kind: 'lapsed', consumer: holder('w'), ids: ['b'] })
      await store.queues.pause('q', true)
      await hears({ kind: 'changed' })
      stop()
      const before = told.length
      await store.queues.pause('q', false)
      await q.put('c')
      expect(told).toHaveLength(before)
    })
  })

  test('a closed store refuses queues with unavailable', async () => {
    const { store } = given()
    const q = desk()
    await q.attach('w')
    await store.close()
    const { queues } = store
    const refused = [
      () => q.put('x'),
      () => q.claim('w'),
      () => queues.settle('q', [], POLICY),
      () => store.maintain(() => POLICY),
      () => store.maintain(() => POLICY, 'q'),
      () => jobOf(queues, 'q', 'x'),
      () => infoOf(queues, 'q'),
      () => queues.pause('q', true),
      () => queues.answer('q', 'x'),
      () => queues.watch('q', () => {}),
    ]
    for (const call of refused) await expect(call()).rejects.toMatchObject({ code: 'unavailable' })
  })
}

export function describeQueueCrowd(given: () => Case): void {
  const desk = () => deskOf(given().store)

  describe('many at once', () => {
    test('no job is held by two, none done twice, no attempts over the limit, and the books balance', async () => {
      const q = desk()
      const count = 2_000
      const ids = Array.from({ length: count }, (_, i) => `j${i}`)
      await q.send(ids.map((id, i) => named(id, i % 4 === 0 ? { key: `k${i % 40}` } : {})))
      const held = new Set<string>()
      const done = new Set<string>()
      const policy = { ...POLICY, backoffMs: [0] }
      const work = async (client: string, turn: number): Promise<void> => {
        const { jobs } = await q.claim(client, { max: 40, policy })
        for (const { id, attempts } of jobs) {
          expect([held.has(id), done.has(id), attempts < policy.maxAttempts]).toEqual([false, false, true])
          held.add(id)
        }
        const answers = Promise.all(
          jobs.map(async ({ id, lease }, i) => {
            const as = (['done', 'retry', 'done', 'release', 'done', 'dead'] as const)[(i + turn) % 6] ?? 'done'
            held.delete(id)
            if (as === 'done') done.add(id)
            return (await given().store.queues.settle('q', [{ id, lease, as }], policy)).settled
          }),
        )
        expect(new Set((await answers).flat())).toEqual(new Set(jobs.length > 0 ? ['ok'] : []))
      }
      const clients = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
      await Promise.all(clients.map((client) => q.attach(client)))
      for (let turn = 0; turn < 200; turn++) {
        const { ready = 0, delayed = 0 } = (await q.books()) ?? {}
        if (ready + delayed === 0) break
        // What one gives back again and again comes later.
        given().engine.clock.now += 200
        await Promise.all(clients.map((client, i) => work(client, turn + i)))
      }
      const counts = await q.books()
      expect(counts).toMatchObject({ sent: count, ready: 0, delayed: 0, held: 0, done: done.size })
      expect(counts?.dead).toBe(count - done.size)
    })
  })
}
