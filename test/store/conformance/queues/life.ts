/** What happens to jobs is kept, numbered, in the step in which it happens, until it is moved. */

import { describe, expect, test } from 'vitest'
import { Life } from '../../../../server/core/queues/life/life.ts'
import { DEFAULT_QUEUE_SETTINGS } from '../../../../server/core/queues/settings.ts'
import type { LifeStep, Store } from '../../../../server/store/contract/store.ts'
import { RepriseError } from '../../../../shared/errors.ts'
import type { LifeEvent } from '../../../../shared/queues.ts'
import { SILENT } from '../../../support/core/silent.ts'
import { until } from '../../../support/until.ts'
import { infoOf, losing, remove } from '../calls.ts'
import type { Case } from '../cursors.ts'
import { text } from '../fixture.ts'
import { deskOf, named, POLICY, TTL } from '../queueDesk.ts'

const TOLD = { ...POLICY, maxAttempts: 2, backoffMs: [1_000], events: true }
const ON = { events: true }
const HUB = { telemetry: SILENT, settings: { forQueue: () => DEFAULT_QUEUE_SETTINGS } }

export function describeQueueLife(given: () => Case): void {
  const desk = (store = given().store) => deskOf(store, 'q', TOLD)
  const life = async (step: Partial<LifeStep> = {}, store = given().store) =>
    await store.queues.life('q', { limit: 100, ...step })
  const kinds = async () => (await life())?.records.map(({ kind, id }) => `${kind} ${id}`)

  describe('the life of a queue', () => {
    test('has each step of a job once, in order, with what belongs to it', async () => {
      const { engine, store } = given()
      const q = desk()
      const start = engine.clock.now
      expect(await life()).toBeUndefined()
      await q.send([named('a'), named('b', { due: { delayMs: 50 } })], ON)
      await q.send([named('a')], ON)
      await q.settle(await q.take('w'), { as: 'done', reply: text('yes') })
      engine.clock.now += 50
      await q.settle(await q.take('w'), { as: 'retry', error: 'no' })
      engine.clock.now += 1_000
      await q.settle(await q.take('w'), { as: 'release' })
      await q.settle(await q.take('w'), { as: 'retry' })
      expect(await store.queues.redrive('q', ['b'], { ttlMs: TTL })).toBe(1)
      expect(await remove(store.queues, 'q', 'b')).toBe(true)
      const now = engine.clock.now
      expect((await life())?.records).toEqual([
        { kind: 'sent', id: 'a' },
        { kind: 'sent', id: 'b', dueAt: start + 50 },
        { kind: 'started', id: 'a', attempt: 1 },
        { kind: 'done', id: 'a', attempt: 1, body: text('yes') },
        { kind: 'started', id: 'b', attempt: 1 },
        { kind: 'failed', id: 'b', attempt: 1, error: 'no' },
        { kind: 'retrying', id: 'b', attempt: 1, dueAt: now },
        { kind: 'started', id: 'b', attempt: 2 },
        { kind: 'retrying', id: 'b', dueAt: now },
        { kind: 'started', id: 'b', attempt: 2 },
        { kind: 'failed', id: 'b', attempt: 2 },
        { kind: 'dead', id: 'b', attempt: 2, error: 'max_attempts' },
        { kind: 'retrying', id: 'b', dueAt: now },
        { kind: 'removed', id: 'b' },
      ])
    })

    test('is kept until it is moved, also in a store that was opened anew, and a row that is not known begins anew', async () => {
      const q = desk()
      await q.send([named('a'), named('b'), named('c')], ON)
      await q.send([named('d')], ON)
      const first = await life({ limit: 2 })
      expect(first).toMatchObject({ seq: 1, records: [{ id: 'a' }, { id: 'b' }] })
      const generation = first?.generation ?? ''
      expect(await life({ generation, moved: 2 })).toMatchObject({
        generation,
        seq: 3,
        records: [{ id: 'c' }, { id: 'd' }],
      })
      // Told twice, or of another row, it is as it was.
      expect(await life({ generation, moved: 1 })).toMatchObject({ generation, seq: 3 })
      expect(await life({ generation: 'other', moved: 9 })).toMatchObject({ generation, seq: 3 })
      const store = await given().reopen()
      expect(await life({}, store)).toMatchObject({ generation, seq: 3, records: [{ id: 'c' }, { id: 'd' }] })
      const renewed = await life({ generation, moved: 3, isUnknown: true }, store)
      expect(renewed).toMatchObject({ seq: 1, records: [{ id: 'd' }] })
      expect(renewed?.generation).not.toBe(generation)
      await desk(store).send([named('e')], ON)
      const last = { generation: renewed?.generation ?? '', moved: 2 }
      expect(await life(last, store)).toMatchObject({ seq: 3, records: [] })
    })

    test('goes on at once behind much that happened in one step', async () => {
      const { store } = given()
      const q = desk()
      const ids = Array.from({ length: 300 }, (_, i) => `job-${i}`)
      await q.send(
        ids.map((id) => named(id)),
        ON,
      )
      const { jobs } = await q.claim('w', { max: 300 })
      const reply = text('x'.repeat(5_000))
      const done = jobs.map(({ id, lease }) => ({ id, lease, as: 'done' as const, reply }))
      await store.queues.settle('q', done, TOLD)
      await q.send([named('last')], ON)
      const seen: string[] = []
      for (let step: Partial<LifeStep> = {}; ; ) {
        const { generation = '', seq = 0, records = [] } = (await life(step)) ?? {}
        if (records.length === 0) break
        seen.push(...records.map(({ kind, id }) => `${kind} ${id}`))
        step = { generation, moved: seq + records.length - 1 }
      }
      const each = (kind: string) => ids.map((id) => `${kind} ${id}`)
      expect(seen).toEqual([...each('sent'), ...each('started'), ...each('done'), 'sent last'])
    })

    test('is in its topic once and in order, whoever moves it, and whatever answer is lost', async () => {
      const { store } = given()
      const q = desk()
      const flaky = losing(3)
      const { queues, topics } = store
      const own = {
        ...store,
        queues: { ...queues, life: flaky(queues.life.bind(queues)) },
        topics: { ...topics, append: flaky(topics.append.bind(topics)) },
      } as Store
      const retain = { events: 100_000, bytes: 1e9, ageMs: 1e12 }
      const movers = [own, own, store].map((one) => new Life({ ...HUB, store: one, retainOf: () => retain }))
      const ids = Array.from({ length: 1_200 }, (_, i) => `job-${i}`)
      const seen = async () => {
        const { events } = await topics.read('$queue.q', 0, { events: 10_000, bytes: 1e9 })
        return events.flatMap((event) => ('body' in event ? [JSON.parse(event.body.json) as { data: LifeEvent }] : []))
      }
      for (let at = 0; at < ids.length; at += 300) {
        await q.send(
          ids.slice(at, at + 300).map((id) => named(id)),
          ON,
        )
        for (const mover of movers) mover.told('q')
        await q.settle(await q.take('w'), { as: 'done' })
      }
      await until(async () => {
        for (const mover of movers) mover.told('q')
        return (await life())?.records.length === 0
      })
      const told = (await seen()).map(({ data }) => data)
      expect(told.filter(({ kind }) => kind === 'sent').map(({ id }) => id)).toEqual(ids)
      expect(told.filter(({ kind }) => kind === 'done').map(({ id }) => id)).toEqual(ids.slice(0, 4))

      // A topic that was dropped knows no numbers.
      await topics.drop('$queue.q')
      await q.settle(await q.take('w'), { as: 'done' })
      await until(async () => {
        for (const mover of movers) mover.told('q')
        return (await life())?.records.length === 0
      })
      expect((await seen()).map(({ data }) => data.kind)).toEqual(['started', 'done'])
      await Promise.all(movers.map((mover) => mover.close()))
    })

    test('begins and ends with the setting, and dead letters have none of their own', async () => {
      const q = desk()
      await deskOf(given().store).put('before')
      await q.settle(await q.take('w'), { as: 'dead', error: 'bad' })
      await q.settle(await q.take('w', {}, 'q/dead'), { as: 'retry' }, 'q/dead')
      expect(await kinds()).toEqual(['started before', 'dead before'])
      await q.send([named('after')], { events: false })
      await deskOf(given().store).take('w')
      expect((await kinds())?.filter((each) => each.endsWith('after'))).toEqual([])
    })

    test('jobs that lapse, expire or are copied by a binding have theirs, too', async () => {
      const { engine, store } = given()
      const q = desk()
      const place = { epoch: 'e', offset: 0 }
      await store.queues.bind('q', 't', place)
      const binding = { topic: 't', from: place, to: { epoch: 'e', offset: 1 } }
      await q.send([named('t:e:1', { dead: { reason: 'rejected', error: 'unfit' } })], { ...ON, subject: '', binding })
      await q.send([named('a'), named('b'), named('x', { due: { delayMs: 10 }, ttlMs: 5 })], ON)
      await q.claim('w', { max: 2, leaseMs: 1_000 })
      engine.clock.now += 1_000
      await q.turn()
      await q.turn()
      const told = await kinds()
      expect(told?.slice(0, 7)).toEqual([
        ...['sent t:e:1', 'dead t:e:1', 'sent a', 'sent b', 'sent x', 'started a', 'started b'],
      ])
      expect(told?.slice(7).sort()).toEqual(['dead x', 'retrying a', 'retrying b'])
    })
  })
}

/** It takes tens of megabytes. */
export function describeQueueLifeBound(given: () => Case): void {
  describe('the life of a queue', () => {
    test('that cannot be moved has a bound: nothing comes and nothing is handed out until it is moved, once and in order', async () => {
      const { engine, store } = given()
      const q = deskOf(store, 'q', TOLD)
      const refused = { code: 'unavailable', message: expect.stringContaining("events of the queue's life") }
      const ids = Array.from({ length: 25 }, (_, i) => `job-${i}`)
      await q.send([named('dies'), ...ids.map((id) => named(id)), named('expires', { ttlMs: 5_000 })], ON)
      await q.settle(await q.take('w'), { as: 'dead' })
      const happened: string[] = []
      const telemetry = { ...SILENT, happened: ({ kind }: { readonly kind: string }) => void happened.push(kind) }
      let away = true
      const append: Store['topics']['append'] = async (...args) => {
        if (away) throw new RepriseError('unavailable', 'half of the store is away')
        return await store.topics.append(...args)
      }
      const topics = { ...store.topics, append }
      const retain = { events: 100_000, bytes: 1e9, ageMs: 1e12 }
      const mover = new Life({ ...HUB, store: { ...store, topics }, telemetry, retainOf: () => retain })
      const result = text('x'.repeat(2_097_152))
      const done: string[] = []
      const [held] = (await q.claim('late')).jobs
      mover.told('q')
      for (;;) {
        const { jobs } = await q.claim('w', { max: 3 })
        if (jobs.length === 0) break
        for (const job of jobs) await q.settle(job, { as: 'done', reply: result })
        done.push(...jobs.map(({ id }) => id))
      }
      expect(done.length).toBeGreaterThan(14)
      expect(done.length).toBeLessThan(20)
      const full = await infoOf(store.queues, 'q')
      expect(full?.lifeFull?.bytes).toBeGreaterThan(32 * 1_048_576)
      expect(full?.lifeFull?.bytes).toBeLessThan(40 * 1_048_576)
      expect(await q.claim('w')).toEqual({ jobs: [], waiting: 0, suspects: 0, nextAt: engine.clock.now + 2_000 })
      await expect(q.send([named('more')], ON)).rejects.toMatchObject(refused)
      await expect(remove(store.queues, 'q', 'expires')).rejects.toMatchObject(refused)
      await expect(store.queues.redrive('q', ['dies'], { ttlMs: TTL })).rejects.toMatchObject(refused)
      expect(await q.settle(held as NonNullable<typeof held>, { as: 'release' })).toBe('ok')
      engine.clock.now += 5_000
      await q.turn()
      expect((await q.books())?.dead).toBe(1)
      await until(() => {
        mover.told('q')
        return happened.length > 0
      })
      expect(happened).toEqual(['lifeStuck'])

      const told: string[] = []
      const stop = await store.queues.watch('q', ({ kind }) => void told.push(kind))
      away = false
      const isMoved = () => {
        mover.told('q')
        return happened.length > 1
      }
      await until(isMoved, { everyMs: 50, deadlineMs: 60_000 })
      expect(happened).toEqual(['lifeStuck', 'lifeMoved'])
      expect((await store.queues.life('q', { limit: 100 }))?.records).toEqual([])
      await until(() => told.includes('changed'))
      stop()
      expect((await infoOf(store.queues, 'q'))?.lifeFull).toBeUndefined()
      await q.turn()
      expect((await q.books())?.dead).toBe(2)
      expect((await q.claim('w')).jobs).toHaveLength(1)
      await q.send([named('more')], ON)
      const seen: LifeEvent[] = []
      for (let at = 0; ; ) {
        const { events } = await store.topics.read('$queue.q', at, { events: 1_000, bytes: 4e6 })
        if (events.length === 0) break
        for (const event of events) {
          if ('body' in event) seen.push((JSON.parse(event.body.json) as { data: LifeEvent }).data)
          at = event.offset
        }
      }
      expect(seen.filter(({ kind }) => kind === 'sent')).toHaveLength(ids.length + 2)
      expect(seen.filter(({ kind }) => kind === 'done').map(({ id }) => id)).toEqual(done)
      await mover.close()
    })
  })
}
