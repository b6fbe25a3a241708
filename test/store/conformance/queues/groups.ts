/** Deliveries in turns over groups: whose turn it is, rates of groups, and what happens when the settings change. */

import { describe, expect, test } from 'vitest'
import type { QueuePolicy, StoredJobDraft } from '../../../../server/store/contract/store.ts'
import { remove } from '../calls.ts'
import type { Case } from '../cursors.ts'
import { deskOf, LEASE, named, POLICY } from '../queueDesk.ts'

const FAIR = { ...POLICY, grouped: true }

export function describeQueueGroups(given: () => Case): void {
  const desk = (store = given().store, policy: QueuePolicy = FAIR) => deskOf(store, 'q', policy)
  const of = (group: string, ids: readonly string[], options: Partial<StoredJobDraft> = {}) =>
    ids.map((id) => named(id, { group, ...options }))
  const numbered = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name}${i}`)

  describe('groups', () => {
    test('take turns: ten jobs of one are delivered within twenty, whatever another has', async () => {
      const q = desk()
      for (let at = 0; at < 5_000; at += 1_000) {
        await q.send(of('a', numbered(`a${at}-`, 1_000)), { grouped: true })
      }
      await q.send(of('b', numbered('b', 10)), { grouped: true })
      const first: string[] = []
      for (let i = 0; i < 4; i++) first.push(...(await q.ids('w', { max: 5 })))
      expect(first.filter((id) => id.startsWith('b'))).toEqual(numbered('b', 10))
      expect((await q.claim('w', { max: 3 })).waiting).toBe(5_000 - 13)
    })

    test('a job is of its group, else of its key, and all others are one', async () => {
      const q = desk()
      await q.send(
        [
          ...['x1', 'x2', 'x3'].map((id) => named(id)),
          named('k1', { key: 'k' }),
          named('k2', { group: 'k' }),
          named('g1', { key: 'k', group: 'g' }),
          named('g2', { key: 'l', group: 'g' }),
        ],
        { grouped: true },
      )
      expect(await q.job('g1')).toMatchObject({ key: 'k', group: 'g', behind: 'k1' })
      expect(await q.job('k1')).not.toHaveProperty('group')
      const held = (await q.claim('w', { max: 9 })).jobs
      // A line is of one job at a time, whatever groups its jobs are of.
      expect(held.map(({ id }) => id)).toEqual(['x1', 'k1', 'g2', 'x2', 'k2', 'x3'])
      for (const job of held.filter(({ id }) => id === 'k1')) await q.settle(job, { as: 'done' })
      expect(await q.ids('w')).toEqual(['g1'])
    })

    test('who comes anew is behind those that wait; within a group priority counts, and each tenth is its oldest', async () => {
      const q = desk()
      const grouped = { grouped: true }
      await q.send(of('a', ['old'], { priority: 0 }), grouped)
      await q.send(of('a', numbered('a', 12), { priority: 9 }), grouped)
      await q.send(of('b', numbered('b', 12), { priority: 0 }), grouped)
      expect(await q.ids('w', { max: 1 })).toEqual(['a0'])
      await q.send(of('c', ['c0'], { priority: 9 }), grouped)
      const order = await q.ids('w')
      expect(order.slice(0, 4)).toEqual(['b0', 'a1', 'c0', 'b1'])
      expect(order.filter((id) => !/[bc]/.test(id)).indexOf('old')).toBe(8)
    })

    test('a job that returns, is removed or expires leaves its group as it should be', async () => {
      const { engine, store } = given()
      const q = desk()
      await q.send(of('a', ['a0', 'a1']), { grouped: true })
      await q.send(of('b', ['b0'], { ttlMs: 1_000 }), { grouped: true })
      const held = await q.take('w')
      await q.settle(held, { as: 'release' })
      expect(await remove(store.queues, 'q', 'a1')).toBe(true)
      engine.clock.now += 1_000
      expect(await q.ids('w')).toEqual(['a0'])
      expect(await q.books()).toMatchObject({ sent: 3, ready: 0, held: 1, dead: 1, removed: 1 })
    })

    test('a job that has failed too often for a lower limit costs its group no turn', async () => {
      const { engine } = given()
      const q = desk()
      await q.send(of('a', ['a0', 'a1']), { grouped: true })
      await q.settle(await q.take('w'), { as: 'retry', delayMs: 0 })
      await q.send(of('b', ['b0']), { grouped: true })
      engine.clock.now += 1
      const policy = { ...FAIR, maxAttempts: 1 }
      expect(await q.ids('w', { policy })).toEqual(['a1', 'b0'])
      expect(await q.listed('ready', 'q/dead')).toEqual(['a0'])
    })

    test('changed settings order what is there: into groups, and out of them', async () => {
      const plain = desk(given().store, POLICY)
      const ids = [...numbered('a', 2_500), ...numbered('b', 3)]
      for (let at = 0; at < ids.length; at += 1_000) {
        const drafts = ids.slice(at, at + 1_000).map((id) => named(id, { group: id.slice(0, 1) }))
        await plain.send(drafts, { grouped: false })
      }
      const q = desk()
      await q.turn()
      expect(await q.ids('w', { max: 6 })).toEqual(['a0', 'b0', 'a1', 'b1', 'a2', 'b2'])
      expect((await q.listed('ready')).slice(0, 2)).toEqual(['a3', 'a4'])
      const store = await given().reopen()
      const again = desk(store)
      await again.send(of('c', ['c0']), { grouped: true })
      expect(await again.ids('w', { max: 2 })).toEqual(['a3', 'c0'])
      const back = desk(store, POLICY)
      await back.send(of('c', ['c1', 'c2']), { grouped: false })
      expect(await back.ids('v', { max: 1_000 })).toEqual(numbered('a', 1_004).slice(4))
      await back.turn()
      expect((await back.claim('v', { max: 1_000 })).waiting).toBe(2_500 - 2_004 + 2)
      expect((await back.ids('v', { max: 1_000 })).slice(-3)).toEqual(['a2499', 'c1', 'c2'])
    })
  })

  describe('the rate of a group', () => {
    test('holds each group back by itself, and says when there is more', async () => {
      const { engine } = given()
      const q = desk()
      await q.send([...of('a', numbered('a', 9)), ...of('b', numbered('b', 2))], { grouped: true })
      const rated = { groupRate: 2 }
      const start = engine.clock.now
      const first = await q.claim('w', { max: 9, ...rated })
      expect(first.jobs.map(({ id }) => id)).toEqual(['a0', 'b0'])
      expect(first).toMatchObject({ waiting: 0, nextAt: start + 500 })
      engine.clock.now += 499
      expect(await q.claim('w', { max: 9, ...rated })).toMatchObject({ jobs: [], waiting: 0, nextAt: start + 500 })
      engine.clock.now += 1
      expect((await q.ids('w', rated)).sort()).toEqual(['a1', 'b1'])
      await q.send(of('c', ['c0']), { grouped: true })
      expect(await q.claim('w', { max: 1, ...rated })).toMatchObject({ waiting: 0, nextAt: start + 1_000 })
      engine.clock.now += 250
      // A rate that is higher holds up no more than its own burst.
      expect(await q.claim('w', { groupRate: 10 })).toMatchObject({ jobs: [], nextAt: start + 850 })
      engine.clock.now += 100
      expect(await q.ids('w', { groupRate: 10 })).toEqual(['a2'])
      expect(await q.ids('w', { max: 3 })).toEqual(['a3', 'a4', 'a5'])
    })

    test('counts for a group that has nothing left, until it would have recovered', async () => {
      const { engine } = given()
      const q = desk()
      const rated = { groupRate: 0.5 }
      await q.send(of('a', ['a0']), { grouped: true })
      expect(await q.ids('w', rated)).toEqual(['a0'])
      engine.clock.now += 1_990
      await q.send(of('a', ['a1']), { grouped: true })
      expect(await q.ids('w', rated)).toEqual([])
      engine.clock.now += 10
      expect(await q.ids('w', rated)).toEqual(['a1'])
    })

    test('that is none any more holds nobody back, also when a consumer asks who gets nothing', async () => {
      const { engine } = given()
      const q = desk()
      await q.send(of('a', ['a0', 'a1']), { grouped: true })
      await q.claim('w', { max: 2 })
      engine.clock.now += LEASE
      await q.turn()
      const [suspect] = (await q.claim('v', { max: 1 })).jobs
      expect(suspect?.id).toBe('a0')
      await q.send(of('b', ['b0', 'b1']), { grouped: true })
      expect(await q.ids('u', { max: 1 })).toEqual(['a1'])
      expect(await q.claim('x', { max: 9, groupRate: 2 })).toMatchObject({ jobs: [{ id: 'b0' }], waiting: 0 })
      expect(await q.claim('v', { max: 9 })).toMatchObject({ jobs: [], waiting: 1 })
    })

    test('of a thousand groups that rest none is looked at again', async () => {
      const q = desk()
      const rated = { groupRate: 0.1 }
      const drafts = numbered('g', 1_000).flatMap((group) => of(group, [`${group}-0`, `${group}-1`]))
      await q.send(drafts, { grouped: true })
      expect(await q.ids('w', { max: 1_000, ...rated })).toHaveLength(1_000)
      expect(await q.claim('w', { max: 1_000, ...rated })).toMatchObject({ jobs: [], waiting: 0 })
      await q.send(of('new', ['new']), { grouped: true })
      expect(await q.ids('w', { max: 1_000, ...rated })).toEqual(['new'])
    })
  })
}
