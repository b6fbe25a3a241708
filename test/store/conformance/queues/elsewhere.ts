/** Jobs that wait for jobs of other queues: what is carried there, what is carried back, each once. */

import { describe, expect, test } from 'vitest'
import { Life } from '../../../../server/core/queues/life/life.ts'
import { DEFAULT_QUEUE_SETTINGS } from '../../../../server/core/queues/settings.ts'
import type { LifeStep, Store, StoredChildren, StoredJobDraft } from '../../../../server/store/contract/store.ts'
import { SILENT } from '../../../support/core/silent.ts'
import { until } from '../../../support/until.ts'
import { losing } from '../calls.ts'
import type { Case } from '../cursors.ts'
import { text } from '../fixture.ts'
import { deskOf, named, POLICY, TTL } from '../queueDesk.ts'

const child = (data: string, options: Partial<StoredJobDraft> = {}): StoredJobDraft => {
  const { id: _, ...draft } = named(data, options)
  return draft
}
const there = (data: string, options: Partial<StoredJobDraft> = {}) => child(data, { queue: 'there', ...options })
const of = (drafts: readonly StoredJobDraft[], options: Partial<StoredChildren> = {}) => ({
  children: { drafts, onDead: 'fail' as const, bytes: 10_000, ...options },
})
const NO_LIMIT = { jobs: 0, bytes: 0 }

export function describeQueueErrands(given: () => Case): void {
  const moverOf = (store: Store) => {
    const retain = { events: 100_000, bytes: 1e9, ageMs: 1e12 }
    return new Life({
      ...{ store, telemetry: SILENT, retainOf: () => retain },
      settings: { forQueue: (queue) => ({ ...DEFAULT_QUEUE_SETTINGS, maxJobs: 0, events: queue === 'q' }) },
    })
  }
  const errandsOf = async (store: Store, queue: string, step: Partial<LifeStep> = {}) =>
    await store.queues.life(queue, { limit: 100, ...step })
  /** Everything that is to be carried is. */
  const carried = async (mover: Life, ...queues: string[]) => {
    await until(async () => {
      for (const queue of queues) mover.told(queue)
      const left = await Promise.all(queues.map((queue) => errandsOf(given().store, queue)))
      return left.every((life) => life === undefined || (life.errands === undefined && life.records.length === 0))
    })
  }

  describe('jobs with children of other queues', () => {
    test('leave them to be carried in the step that stores them, and get what became of them', async () => {
      const { store } = given()
      const [q, other] = [deskOf(store), deskOf(store, 'there')]
      const { childIds = [] } = await q.send([
        named('p', of([child('a'), there('b', { priority: 7, key: 'k', due: { delayMs: 5 } })])),
        named('x'),
      ])
      expect([childIds.length, await q.books(), await other.books()]).toMatchObject([
        1,
        { ready: 2, waiting: 1 },
        undefined,
      ])
      expect(await q.job('p')).toMatchObject({ state: 'waiting', children: { count: 2, open: 2 } })
      const life = await errandsOf(store, 'q')
      const [errand] = life?.errands?.list ?? []
      expect(life?.records).toEqual([])
      expect(errand).toEqual({
        ...{ errand: 'child', to: 'there', subject: 'ann', parent: { id: 'p', place: expect.any(String) } },
        draft: { body: text('b'), priority: 7, key: 'k', ttlMs: TTL, due: { delayMs: 5 } },
      })
      const mover = moverOf(store)
      await carried(mover, 'q')
      expect(await store.queues.jobs('there', { state: 'delayed', limit: 9 })).toMatchObject([
        { body: text('b'), subject: 'ann', priority: 7, key: 'k', parent: 'p', parentQueue: 'q' },
      ])
      given().engine.clock.now += 5
      const job = await other.take('w')
      await other.settle(job, { as: 'done', reply: text('B') })
      expect((await errandsOf(store, 'there'))?.errands?.list).toMatchObject([
        { errand: 'ended', to: 'q', child: { id: job.id, state: 'done', result: text('B') } },
      ])
      expect(await q.job('p')).toMatchObject({ children: { open: 2 } })
      await carried(mover, 'there')
      await q.settle(await q.take('w'), { as: 'done', reply: text('A') })
      expect(await q.ids('w')).toEqual(['x', 'p'])
      await q.detach('w', 'release')
      const again = deskOf(await given().reopen())
      await again.take('v')
      expect((await again.take('v')).children).toEqual([
        { id: childIds[0], state: 'done', result: text('A') },
        { queue: 'there', id: job.id, state: 'done', result: text('B') },
      ])
      await mover.close()
    })

    test('get each once, whoever carries them and whatever answer is lost, also beside a life', async () => {
      const { store } = given()
      const [q, other] = [deskOf(store, 'q', { ...POLICY, events: true }), deskOf(store, 'there')]
      const flaky = losing(3)
      const { queues } = store
      const own = {
        ...store,
        queues: {
          ...queues,
          life: flaky(queues.life.bind(queues)),
          enqueue: flaky(queues.enqueue.bind(queues)),
          tellParents: flaky(queues.tellParents.bind(queues)),
        },
      } as Store
      const movers = [own, own, store].map(moverOf)
      const parents = Array.from({ length: 40 }, (_, i) => `p${i}`)
      for (const id of parents) {
        const family = of([
          there(`${id} 1`),
          child(`${id} 2`),
          there(`${id} 3`, of([child(`${id} 4`, { queue: 'q' })])),
        ])
        await q.send([named(id, family)], { events: true })
        for (const mover of movers) mover.told('q')
      }
      const counts = new Map<string, number>()
      let idle = 0
      const drain = async (desk: typeof q) => {
        for (const job of (await desk.claim('w', { max: 50 })).jobs) {
          idle = 0
          const name = job.body?.json ?? ''
          counts.set(name, (counts.get(name) ?? 0) + 1)
          await desk.settle(job, { as: 'done', reply: text(`of ${name}`) })
          if (job.children !== undefined)
            expect(job.children.every(({ state, result }) => state === 'done' && result)).toBe(true)
        }
      }
      await until(async () => {
        for (const mover of movers) for (const name of ['q', 'there']) mover.told(name)
        await drain(other)
        await drain(q)
        return counts.size === 200 && ++idle > 3
      })
      expect([...counts.values()].every((count) => count === 1)).toBe(true)
      await Promise.all(movers.map((mover) => mover.close()))
      await carried(moverOf(store), 'q', 'there')
      const { events } = await store.topics.read('$queue.q', 0, { events: 10_000, bytes: 1e9 })
      const kinds = events.map((event) => ('body' in event ? (JSON.parse(event.body.json).data.kind as string) : ''))
      const told = (kind: string) => kinds.filter((one) => one === kind).length
      expect(['sent', 'started', 'done'].map(told)).toEqual([120, 120, 120])
      expect(await q.books()).toMatchObject({ waiting: 0, done: 120 })
      expect(await other.books()).toMatchObject({ waiting: 0, done: 80 })
    })

    test('fail with one that dies there or is removed, or go on without it; what comes later changes nothing', async () => {
      const { store } = given()
      const [q, other] = [deskOf(store), deskOf(store, 'there')]
      await q.send([
        named('fails', of([there('a')])),
        named('skips', of([there('b'), there('c')], { onDead: 'skip' })),
        named('gone', of([there('d')])),
      ])
      const mover = moverOf(store)
      await carried(mover, 'q')
      const [a, b, c, d] = (await other.claim('w', { max: 4 })).jobs
      await other.settle(a as never, { as: 'dead', error: 'no such file' })
      await other.settle(b as never, { as: 'dead' })
      await other.settle(c as never, { as: 'release' })
      expect(await store.queues.purge('there', { ids: [c?.id ?? ''] })).toBe(1)
      expect(await store.queues.purge('q', { ids: ['gone'] })).toBe(1)
      await other.settle(d as never, { as: 'done' })
      await carried(mover, 'there')
      expect((await q.job('fails', 'q/dead'))?.dead).toMatchObject({
        reason: 'child',
        error: `its child ${a?.id} of the queue there is dead`,
      })
      expect((await q.take('w')).children).toEqual([
        { queue: 'there', id: b?.id, state: 'dead', error: 'rejected' },
        { queue: 'there', id: c?.id, state: 'removed' },
      ])
      expect(await store.queues.redrive('q', ['fails'], { ttlMs: TTL })).toBe(1)
      expect(await store.queues.redrive('there', [a?.id ?? ''], { ttlMs: TTL })).toBe(1)
      await other.settle(await other.take('w'), { as: 'done', reply: text('late') })
      await carried(mover, 'there')
      expect((await q.take('w')).children).toMatchObject([{ id: a?.id, state: 'dead', error: 'no such file' }])
      // One that is redriven before its child has come knows no id of it.
      await q.send([named('early', of([there('e'), child('f')]))])
      await q.settle(await q.take('w'), { as: 'dead' })
      expect(await store.queues.redrive('q', ['early'], { ttlMs: TTL })).toBe(1)
      expect((await q.take('w')).children).toMatchObject([{ queue: 'there', id: '', state: 'open' }, { state: 'dead' }])
      await mover.close()
    })

    test('are refused with their parent where they may not come now, but for what was sent before', async () => {
      const { store } = given()
      const q = deskOf(store)
      const noChildren = 'that queue is full'
      const family = named('p', of([child('a', of([there('b')]))]))
      const refused = { code: 'too_many', message: noChildren }
      await expect(q.send([family], { noChildren })).rejects.toMatchObject(refused)
      expect(await q.books()).toBeUndefined()
      const producer = { name: 'r', seq: 1 }
      const numbered = [child('n', of([there('m')]))]
      await q.send([family])
      await q.send(numbered, { producer })
      expect(await q.send([family], { noChildren })).toMatchObject({ ids: ['p'], duplicates: 1 })
      expect(await q.send(numbered, { noChildren, producer })).toMatchObject({ duplicates: 1 })
      await expect(q.send([named('x', of([there('c')]))], { noChildren })).rejects.toMatchObject(refused)
      await q.send([named('y', of([child('d')]))], { noChildren })
      expect(await q.books()).toMatchObject({ ready: 1, waiting: 4 })
      expect((await errandsOf(store, 'q'))?.errands?.list).toHaveLength(2)
    })

    test('come by their numbers, past every limit, and a row that is not known counts anew', async () => {
      const { store } = given()
      const other = deskOf(store, 'there')
      const carry = (row: string, numbers: readonly number[]) => {
        const children = numbers.map((number) => ({ number, parent: { id: 'p', place: '1 0' } }))
        const drafts = numbers.map((number) => child(`${row}${number}`))
        return other.send(drafts, { limit: NO_LIMIT, carried: { queue: 'q', row, children } })
      }
      expect((await carry('r', [3, 5])).ids.every((id) => id !== '')).toBe(true)
      const { ids, duplicates, duplicatesAt } = await carry('r', [3, 4, 5, 7])
      expect([duplicates, duplicatesAt, ids.map((id) => id !== '')]).toEqual([
        3,
        [0, 1, 2],
        [false, false, false, true],
      ])
      await carry('s', [1])
      await other.send([child('x')], {
        carried: { queue: 'other', row: 's', children: [{ number: 1, parent: { id: 'p', place: '1 0' } }] },
      })
      expect((await other.claim('w', { max: 9 })).jobs.map(({ body }) => body)).toEqual(
        ['r3', 'r5', 'r7', 's1', 'x'].map((data) => text(data)),
      )
      // Parents that nobody knows are told nothing.
      const ended = { parent: { id: 'p', place: '1 0' }, child: { queue: 'there', id: 'c', state: 'done' } } as const
      await store.queues.tellParents('q', [ended])
      await store.queues.tellParents('nowhere', [ended])
      const q = deskOf(store)
      await q.send([named('mine', of([there('z')]))])
      const [errand] = (await errandsOf(store, 'q'))?.errands?.list ?? []
      const place = errand?.parent.place ?? ''
      await store.queues.tellParents('q', [{ ...ended, parent: { id: 'yours', place } }])
      expect(await q.job('mine')).toMatchObject({ state: 'waiting', children: { open: 1 } })
      await store.queues.tellParents('q', [{ ...ended, parent: { id: 'mine', place } }])
      expect(await q.job('mine')).toMatchObject({ state: 'ready', children: { open: 0 } })
      expect(await deskOf(store, 'nowhere').books()).toBeUndefined()
    })
  })
}
