/** A queue that nobody uses is dropped with all that it remembers. */

import { describe, expect, test } from 'vitest'
import type { QueueUse, Store } from '../../../../server/store/contract/store.ts'
import { infoOf, POLICY, remove } from '../calls.ts'
import type { Case } from '../cursors.ts'
import { text } from '../fixture.ts'
import { deskOf, LEASE, named, TTL } from '../queueDesk.ts'

const KEPT = { ...POLICY, keep: { count: 100, ageMs: 3_600_000, bytes: 1e6 } }
const UNUSED: QueueUse = { jobs: 0, dead: 0, consumers: 0, bindings: 0, schedules: 0, life: 0 }
const DROPPED = { more: false }

const unnamed = (name: string) => ({ body: text(name), priority: 4, ttlMs: TTL })

export function describeQueueDrop(given: () => Case): void {
  const desk = (store = given().store) => deskOf(store, 'q', KEPT)
  const drop = (store: Store = given().store) => store.queues.drop('q')
  const names = async (store = given().store) => (await store.queues.list({ limit: 10 })).map(({ queue }) => queue)

  describe('a drop', () => {
    test('takes an unused queue away with all that it remembers, and one of that name begins anew', async () => {
      const { engine, store } = given()
      const q = desk()
      expect(await drop()).toBeUndefined()
      const producer = { name: 'p', seq: 0 }
      await q.send([named('a'), named('b')], { producer })
      await q.send([named('asked', { replyMs: 60_000 }), named('bad')])
      const [first, ...others] = (await q.claim('w', { max: 10 })).jobs
      for (const job of others) await q.settle(job, { as: job.id === 'bad' ? 'dead' : 'done' })
      const job = first ?? { id: '', lease: '' }
      await q.settle(job, { as: 'done' })
      expect(await q.settle(job, { as: 'done' })).toBe('ok')
      expect(await remove(store.queues, 'q/dead', 'bad')).toBe(true)
      await store.queues.pause('q', true)
      await q.detach('w', 'release')
      expect(await store.queues.finished('q', { ids: ['a', 'b'] })).toHaveLength(2)
      expect((await q.send([named('a')])).duplicates).toBe(1)
      const heard: string[] = []
      await store.queues.watch('q', ({ kind }) => heard.push(kind))
      await deskOf(store, 'other').put('x')

      expect(await drop()).toEqual(DROPPED)
      await engine.heard?.()
      expect(heard).toContain('changed')
      expect(await infoOf(store.queues, 'q')).toBeUndefined()
      expect(await infoOf(store.queues, 'q/dead')).toBeUndefined()
      expect(await names()).toEqual(['other'])
      expect(await drop()).toBeUndefined()
      expect(await store.queues.finished('q', { ids: ['a', 'b'] })).toEqual([])
      expect(await store.queues.answer('q', 'asked')).toBeUndefined()

      const opened = await given().reopen()
      expect(await names(opened)).toEqual(['other'])
      const again = desk(opened)
      await expect(again.send([named('c')], { producer: { name: 'p', seq: 2 } })).rejects.toThrow('not known')
      expect(await again.send([named('a')], { producer })).toMatchObject({ ids: ['a'], duplicates: 0 })
      expect(await again.send([named('b')])).toMatchObject({ ids: ['b'], duplicates: 0 })
      expect(await infoOf(opened.queues, 'q')).toMatchObject({
        paused: false,
        consumers: 0,
        counts: { sent: 2, ready: 2 },
      })
      expect(await again.settle(job, { as: 'done' })).toBe('lost')
      expect(await again.ids('w')).toEqual(['a', 'b'])
      expect(await names(opened)).toEqual(['other', 'q'])
    })

    test('leaves a queue that is used as it is, and says for what', async () => {
      const { engine, store } = given()
      const q = desk()
      const used = async (use: Partial<QueueUse>) => expect(await drop()).toEqual({ use: { ...UNUSED, ...use } })
      await q.send([named('held'), named('delayed', { due: { delayMs: 1_000 } })])
      const held = await q.take('w')
      await used({ jobs: 2, consumers: 1 })
      await q.settle(held, { as: 'dead' })
      await remove(store.queues, 'q', 'delayed')
      await q.attach('v', undefined, LEASE, 'q/dead')
      await used({ dead: 1, consumers: 2 })
      await remove(store.queues, 'q/dead', 'held')
      await q.detach('w', 'release')
      await used({ consumers: 1 })
      await store.queues.bind('q', 't', { epoch: 'e', offset: 0 })
      engine.clock.now += 60_001
      await used({ bindings: 1 })
      const [schedule] = ['daily', 'weekly'].map((name) =>
        store.queues.putSchedule('q', name, { spec: '', body: text(name), most: 9 }),
      )
      await schedule
      await store.queues.bind('q', 't', undefined)
      await used({ schedules: 2 })
      for (const name of ['daily', 'weekly']) await store.queues.removeSchedule('q', name)
      await q.send([named('told')], { events: true })
      await remove(store.queues, 'q', 'told')
      await used({ life: 2 })
      const life = await store.queues.life('q', { limit: 9 })
      await store.queues.life('q', { limit: 9, generation: life?.generation ?? '', moved: 2 })
      expect(await q.books()).toMatchObject({ sent: 3, dead: 0, removed: 3 })
      expect(await drop()).toEqual(DROPPED)
    })

    test('stands in its place among the calls of a turn, and another one of the same turn finds nothing', async () => {
      const { store } = given()
      const q = desk()
      await q.put('a')
      const [removed, first, second, sent, third] = await Promise.all([
        remove(store.queues, 'q', 'a'),
        drop(),
        drop(),
        q.send([named('a')]),
        drop(),
      ])
      expect([removed, first, second]).toEqual([true, DROPPED, undefined])
      expect(sent).toMatchObject({ ids: ['a'], duplicates: 0 })
      expect(third).toEqual({ use: { ...UNUSED, jobs: 1 } })
      expect(await infoOf(store.queues, 'q')).toMatchObject({ counts: { sent: 1, ready: 1, removed: 0 } })
      expect(await names()).toEqual(['q'])
      expect(await q.ids('w')).toEqual(['a'])
    })

    test('knows who comes and who goes in the same turn', async () => {
      const { store } = given()
      const q = desk()
      const attached = q.attach('w')
      expect((await Promise.all([attached, drop()]))[1]).toEqual({ use: { ...UNUSED, consumers: 1 } })
      expect((await Promise.all([q.detach('w', 'release'), drop()]))[1]).toEqual(DROPPED)
      expect(await infoOf(store.queues, 'q')).toBeUndefined()
      // What it knew of its consumers is gone, too.
      expect(await store.queues.session('q', { subject: 'ann', client: 'w' })).toBe(0)
    })

    test('forgets what many senders are remembered by, and how leases ended, part by part', async () => {
      const { store } = given()
      const q = desk()
      const senders = Array.from({ length: 2_500 }, (_, i) => `p${i}`)
      await Promise.all(senders.map((name) => q.send([unnamed(name)], { producer: { name, seq: 0 } })))
      for (let left = senders.length; left > 0; ) {
        const { jobs } = await q.claim('w', { max: 500, bytes: 1e9 })
        await store.queues.settle(
          'q',
          jobs.map(({ id, lease }) => ({ id, lease, as: 'done' as const })),
          q.policy,
        )
        left -= jobs.length
      }
      await q.detach('w', 'release')
      let outcome = await drop()
      for (let i = 0; outcome !== undefined && 'more' in outcome && outcome.more; i++) {
        expect(i).toBeLessThan(10)
        outcome = await drop()
      }
      expect(outcome).toEqual(DROPPED)
      for (const name of ['p0', 'p2499']) {
        const sent = await q.send([unnamed(name)], { producer: { name, seq: 1 } })
        expect(sent.duplicates).toBe(0)
      }
      expect(await q.books()).toMatchObject({ sent: 2 })
    })
  })
}
