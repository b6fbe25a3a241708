/** Jobs that wait for others: what they wait for, what they get of it, and what becomes of them. */

import { describe, expect, test } from 'vitest'
import type { Child, StoredChildren, StoredJobDraft } from '../../../../server/store/contract/store.ts'
import { infoOf, remove } from '../calls.ts'
import type { Case } from '../cursors.ts'
import { text } from '../fixture.ts'
import { deskOf, named, POLICY, TTL } from '../queueDesk.ts'

/** A draft with this data, whose id is the store's. */
const child = (data: string, options: Partial<StoredJobDraft> = {}): StoredJobDraft => {
  const { id: _, ...draft } = named(data, options)
  return draft
}
const of = (drafts: readonly StoredJobDraft[], options: Partial<StoredChildren> = {}) => ({
  children: { drafts, onDead: 'fail' as const, bytes: 10_000, ...options },
})

export function describeQueueChildren(given: () => Case): void {
  const desk = (store = given().store) => deskOf(store)
  const counts = async (store = given().store) => {
    const info = await infoOf(store.queues, 'q')
    const { ready, delayed, held, waiting, done, dead, removed, sent } = info?.counts ?? ({} as never)
    expect(ready + delayed + held + waiting + done + dead + removed).toBe(sent)
    return { ready, waiting, done, dead, removed }
  }

  describe('jobs with children', () => {
    test('wait for them, and get what they answered, in the order of their drafts', async () => {
      const { store } = given()
      const q = desk()
      const { ids, childIds = [] } = await q.send([named('p', of([child('a'), child('b')])), named('x')])
      const [a = '', b = ''] = childIds
      expect([ids, childIds.length, new Set([...ids, a, b]).size]).toEqual([['p', 'x'], 2, 4])
      expect(await counts()).toEqual({ ready: 3, waiting: 1, done: 0, dead: 0, removed: 0 })
      expect(await q.listed('waiting')).toEqual(['p'])
      expect(await q.job('p')).toMatchObject({ state: 'waiting', children: { count: 2, open: 2 } })
      expect(await q.job(a)).toMatchObject({ state: 'ready', parent: 'p' })
      expect(await store.queues.runNow('q', ['p'])).toBe(0)
      const { jobs } = await q.claim('w', { max: 9 })
      expect(jobs.map(({ id, children }) => [id, children])).toEqual([a, b, 'x'].map((id) => [id, undefined]))
      const [first, second] = jobs
      await q.settle(second as never, { as: 'done', reply: text('of b') })
      expect(await q.job('p')).toMatchObject({ state: 'waiting', children: { count: 2, open: 1 } })
      const told: string[] = []
      await store.queues.watch('q', ({ kind }) => void told.push(kind))
      await q.settle(first as never, { as: 'done' })
      const parent = await q.take('v')
      expect(parent).toMatchObject({ id: 'p', body: text('p') })
      expect(parent.children).toEqual([
        { id: a, state: 'done' },
        { id: b, state: 'done', result: text('of b') },
      ] satisfies Child[])
      expect(await q.settle(parent, { as: 'retry' })).toBe('ok')
      await store.queues.runNow('q', ['p'])
      expect((await q.take('v')).children).toHaveLength(2)
      expect(await counts()).toMatchObject({ waiting: 0, done: 2 })
    })

    test('are all stored or none, once, and count for the limits', async () => {
      const q = desk()
      const family = named('p', of([child('a', of([child('c')])), child('b')]))
      const limit = { jobs: 3, bytes: 1e6 }
      await expect(q.send([family], { limit })).rejects.toMatchObject({ code: 'too_many' })
      expect(await infoOf(given().store.queues, 'q')).toBeUndefined()
      await q.put('first')
      await expect(q.send([family], { limit: { jobs: 4, bytes: 1e6 } })).rejects.toMatchObject({ code: 'too_many' })
      expect((await q.send([family])).childIds).toHaveLength(3)
      const again = await q.send([family, named('y')])
      expect([again.ids, again.duplicates, again.childIds]).toEqual([['p', 'y'], 1, undefined])
      const producer = { name: 'r', seq: 1 }
      const numbered = [child('n', of([child('m')])), child('o')]
      const once = await q.send(numbered, { producer })
      expect(await q.send(numbered, { producer })).toEqual({
        ids: once.ids,
        duplicates: 2,
        duplicatesAt: [0, 1],
        durability: once.durability,
      })
      expect(await counts()).toEqual({ ready: 6, waiting: 3, done: 0, dead: 0, removed: 0 })
    })

    test('wait for children that wait themselves, also in a store that was opened anew', async () => {
      const q = desk()
      const { childIds = [] } = await q.send([named('p', of([child('a', of([child('c')]))]))])
      const [a = '', c = ''] = childIds
      expect(await q.listed('waiting')).toEqual(['p', a])
      await q.settle(await q.take('w'), { as: 'done', reply: text('C') })
      const store = await given().reopen()
      const again = desk(store)
      const second = await again.take('w')
      expect([second.id, second.children]).toEqual([a, [{ id: c, state: 'done', result: text('C') }]])
      await again.settle(second, { as: 'done', reply: text('A') })
      expect((await again.take('w')).children).toEqual([{ id: a, state: 'done', result: text('A') }])
    })

    test('fail with a dead child, or go on without it', async () => {
      const { store } = given()
      const q = desk()
      const { childIds = [] } = await q.send([
        named('fails', of([child('a'), child('b')])),
        named('skips', of([child('c'), child('d'), child('e')], { onDead: 'skip' })),
      ])
      const [a = '', b = '', c = '', d = '', e = ''] = childIds
      await q.settle(await q.take('w'), { as: 'dead', error: 'no such file' })
      const failed = await q.job('fails', 'q/dead')
      expect(failed).toMatchObject({ state: 'ready', dead: { reason: 'child', error: `its child ${a} is dead` } })
      // The other one goes on; what it answers is there when its parent is redriven.
      await q.settle(await q.take('w'), { as: 'done', reply: text('B') })
      expect(await store.queues.redrive('q', ['fails', a], { ttlMs: TTL })).toBe(2)
      expect(await q.listed('ready')).toEqual([c, d, e, 'fails', a])
      await q.settle(await q.take('w'), { as: 'done', reply: text('C') })
      await q.settle(await q.take('w'), { as: 'dead' })
      expect(await remove(store.queues, 'q', e)).toBe(true)
      expect(await q.listed('ready')).toEqual(['fails', a, 'skips'])
      expect((await q.take('w')).children).toEqual([
        { id: a, state: 'dead', error: 'no such file' },
        { id: b, state: 'done', result: text('B') },
      ])
      await q.settle(await q.take('w'), { as: 'done', reply: text('late') })
      expect((await q.take('w')).children).toEqual([
        { id: c, state: 'done', result: text('C') },
        { id: d, state: 'dead', error: 'rejected' },
        { id: e, state: 'removed' },
      ])
      expect(await counts()).toMatchObject({ dead: 1, removed: 1, done: 3 })
    })

    test('fail through all their parents, and where a child expires or is removed', async () => {
      const { engine, store } = given()
      const q = desk()
      const { childIds = [] } = await q.send([
        named('p', of([child('a', of([child('b', { ttlMs: 5_000 })]))])),
        named('r', of([child('c')])),
      ])
      const [a = '', , c = ''] = childIds
      expect(await remove(store.queues, 'q', c)).toBe(true)
      expect((await q.job('r', 'q/dead'))?.dead?.error).toBe(`its child ${c} was removed`)
      engine.clock.now += 5_000
      await q.turn()
      expect((await q.job('p', 'q/dead'))?.dead).toMatchObject({ reason: 'child', error: `its child ${a} is dead` })
      expect(await counts()).toEqual({ ready: 0, waiting: 0, done: 0, dead: 4, removed: 1 })
    })

    test('may be delayed beyond their children, are removed alone, and go with a purge', async () => {
      const { engine, store } = given()
      const q = desk()
      const at = engine.clock.now + 60_000
      const { childIds = [] } = await q.send([
        named('later', { due: { at }, key: 'k', ...of([child('a', { key: 'k' })]) }),
        named('gone', of([child('b')])),
      ])
      expect(await remove(store.queues, 'q', 'gone')).toBe(true)
      expect(await q.ids('w')).toEqual(childIds)
      const { jobs } = await q.claim('w')
      expect(jobs).toEqual([])
      for (const id of childIds) {
        const held = (await store.queues.jobs('q', { ids: [id] }))[0]
        expect(held?.state).toBe('held')
      }
      await q.detach('w', 'release')
      await q.settle(await q.take('v'), { as: 'done' })
      expect(await q.job('later')).toMatchObject({ state: 'delayed', dueAt: at, children: { count: 1, open: 0 } })
      await q.settle(await q.take('v'), { as: 'done' })
      engine.clock.now = at
      expect(await q.ids('v')).toEqual(['later'])
      await q.send([named('p', of([child('a'), child('b')]))])
      while ((await store.queues.purge('q', { before: engine.clock.now, limit: 2 })) > 0);
      expect(await counts()).toMatchObject({ ready: 0, waiting: 0, dead: 0 })
    })

    test('get results up to a bound, and say what is left out', async () => {
      const q = desk()
      await q.send([named('p', of([child('a'), child('b')], { bytes: 1_500 }))])
      for (const size of [1_000, 900]) await q.settle(await q.take('w'), { as: 'done', reply: text('x'.repeat(size)) })
      const [first, second] = (await q.take('w')).children ?? []
      expect(first?.result).toEqual(text('x'.repeat(1_000)))
      expect(second).toMatchObject({ state: 'done', error: expect.stringContaining('its result is left out') })
      expect(second?.result).toBeUndefined()
    })

    test('take their turns by group and priority when they fall due, as other jobs do', async () => {
      const q = deskOf(given().store, 'q', { ...POLICY, grouped: true })
      await q.send([named('p', { group: 'g', priority: 9, ...of([child('a', { group: 'h' })]) })], { grouped: true })
      await q.send([named('x', { group: 'g' }), named('y', { group: 'h' })], { grouped: true })
      await q.settle(await q.take('w'), { as: 'done' })
      expect(await q.ids('w')).toEqual(['p', 'y', 'x'])
    })
  })
}
