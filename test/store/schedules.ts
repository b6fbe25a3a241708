/** The contract's schedules: kept, found when they are due, fired once. */

import { describe, expect, test } from 'vitest'
import type { FireSchedule, PutSchedule } from '../../server/store/contract/store.ts'
import { infoOf } from './conformance/calls.ts'
import type { Case } from './conformance/cursors.ts'
import { text } from './conformance/fixture.ts'
import { deskOf, named, ROOM } from './conformance/queueDesk.ts'

const NONE: ReadonlySet<string> = new Set()

export function describeSchedules(given: () => Case): void {
  const store = () => given().store.queues
  const now = () => given().engine.clock.now
  const put = (name: string, inMs: number | undefined, options: Partial<PutSchedule> = {}, queue = 'q') =>
    store().putSchedule(queue, name, {
      spec: `spec of ${name}`,
      body: text(name),
      most: 1_000,
      ...(inMs === undefined ? {} : { nextAt: now() + inMs }),
      ...options,
    })
  const fire = (name: string, version: string, options: Partial<FireSchedule> = {}, queue = 'q') =>
    store().fireSchedule(queue, name, {
      version,
      spec: `${name} has fired`,
      enqueue: { subject: 'ann', drafts: [named(`job of ${name}`)], limit: ROOM },
      ...options,
    })
  const due = async (limit = 100, without = NONE) => {
    const { due } = await store().dueSchedules(limit, without)
    return due.map(({ queue, schedule }) => `${queue}/${schedule.name}`).sort()
  }

  describe('schedules', () => {
    test('are kept with all they have, in the order of their names, and listed page by page', async () => {
      const version = await put('b', 1_000)
      await put('a', undefined)
      await put('B', 5)
      await put('other', 5, {}, 'q2')
      const all = await store().schedules('q', { limit: 10 })
      expect(all.map(({ name }) => name)).toEqual(['B', 'a', 'b'])
      const kept = { name: 'b', version, spec: 'spec of b', nextAt: now() + 1_000 }
      expect(all[2]).toEqual({ ...kept, body: expect.objectContaining(text('b')) })
      expect(all[1]).not.toHaveProperty('nextAt')
      expect((await store().schedules('q', { after: 'B', limit: 1 })).map(({ name }) => name)).toEqual(['a'])
      expect((await store().schedules('q', { names: ['b', 'x'] })).map(({ name }) => name)).toEqual(['b'])
      expect(await store().schedules('unknown', { limit: 10 })).toEqual([])
      expect((await infoOf(store(), 'q'))?.counts.sent).toBe(0)
    })

    test('are replaced only by who has seen them as they are', async () => {
      const version = await put('a', 10)
      await expect(put('a', 20)).rejects.toMatchObject({ code: 'conflict' })
      await expect(put('a', 20, { version: 'another' })).rejects.toMatchObject({ code: 'conflict' })
      await expect(put('new', 20, { version })).rejects.toMatchObject({ code: 'conflict' })
      const next = await put('a', 20, { version, spec: 'changed' })
      expect(next).not.toBe(version)
      expect(await store().schedules('q', { limit: 9 })).toMatchObject([{ version: next, spec: 'changed' }])
    })

    test('are no more than may be, and make room when they are removed', async () => {
      await put('a', 1, { most: 2 })
      const version = await put('b', 1, { most: 2 })
      await expect(put('c', 1, { most: 2 })).rejects.toMatchObject({ code: 'too_many' })
      await put('b', 1, { most: 2, version })
      expect(await store().removeSchedule('q', 'a')).toBe(true)
      expect(await store().removeSchedule('q', 'a')).toBe(false)
      expect(await store().removeSchedule('unknown', 'a')).toBe(false)
      await put('c', 1, { most: 2 })
      expect((await store().schedules('q', { limit: 9 })).map(({ name }) => name)).toEqual(['b', 'c'])
      given().engine.clock.now += 1
      expect(await due()).toEqual(['q/b', 'q/c'])
    })

    test('are found when their time has come, over all queues, and it is told when the next one falls due', async () => {
      await put('a', 1_000)
      await put('b', 2_000)
      await put('c', 1_500, {}, 'q2')
      const at = now()
      expect(await store().dueSchedules(9, NONE)).toEqual({ now: at, due: [], nextAt: at + 1_000 })
      given().engine.clock.now = at + 1_500
      expect(await due()).toEqual(['q/a', 'q2/c'])
      expect(await due(1)).toHaveLength(1)
      expect(await due(9, new Set(['q']))).toEqual(['q2/c'])
      await store().removeSchedule('q2', 'c')
      await store().removeSchedule('q', 'a')
      expect(await store().dueSchedules(9, NONE)).toEqual({ now: now(), due: [], nextAt: at + 2_000 })
      await store().removeSchedule('q', 'b')
      given().engine.clock.now = at + 9_000
      expect(await store().dueSchedules(9, NONE)).toEqual({ now: now(), due: [] })
    })

    test('fire once: jobs and the next time come in one step, whoever is second is told conflict', async () => {
      const version = await put('a', 1_000)
      await expect(fire('a', version)).rejects.toMatchObject({ code: 'conflict' })
      const at = now()
      given().engine.clock.now += 1_000
      const outcomes = await Promise.allSettled(
        [1, 2, 3].map(() => fire('a', version, { nextAt: at + 2_000, spec: 'later' })),
      )
      expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected'])
      expect((await infoOf(store(), 'q'))?.counts).toMatchObject({ sent: 1, ready: 1 })
      const [kept] = await store().schedules('q', { limit: 9 })
      expect(kept).toMatchObject({ spec: 'later', nextAt: at + 2_000, body: expect.objectContaining(text('a')) })
      expect(await due()).toEqual([])
      given().engine.clock.now += 1_000
      expect(await due()).toEqual(['q/a'])
      // Without another time it is over, and stays.
      await fire('a', kept?.version ?? '', { enqueue: { subject: 'ann', drafts: [], limit: ROOM } })
      given().engine.clock.now += 1_000
      expect(await due()).toEqual([])
      const over = await store().schedules('q', { limit: 9 })
      expect(over[0]).toMatchObject({ spec: 'a has fired' })
      expect(over[0]).not.toHaveProperty('nextAt')
      await expect(fire('a', over[0]?.version ?? '')).rejects.toMatchObject({ code: 'conflict' })
      expect((await infoOf(store(), 'q'))?.counts).toMatchObject({ sent: 1, ready: 1 })
      const taken = await deskOf(given().store).take('w')
      expect(taken).toMatchObject({ id: 'job of a', body: expect.objectContaining(text('job of a')) })
    })

    test('stay as they are where the queue refuses their jobs', async () => {
      const version = await put('a', 0)
      const enqueue = { subject: 'ann', drafts: [named('x')], limit: { jobs: 0, bytes: 1e9 } }
      await expect(fire('a', version, { enqueue })).rejects.toMatchObject({ code: 'too_many' })
      expect(await store().schedules('q', { limit: 9 })).toMatchObject([{ version, spec: 'spec of a' }])
      expect(await due()).toEqual(['q/a'])
      // In one call with others, each by itself.
      const [first, second] = await Promise.allSettled([
        fire('a', 'another'),
        fire('a', version),
        deskOf(given().store).put('y'),
      ])
      expect([first?.status, second?.status]).toEqual(['rejected', 'fulfilled'])
      expect((await infoOf(store(), 'q'))?.counts.sent).toBe(2)
    })

    test('outlive the store, and tell their listeners when one is put', async () => {
      const version = await put('a', 1_000)
      await given().reopen()
      expect(await store().schedules('q', { limit: 9 })).toMatchObject([{ name: 'a', version }])
      let told: () => void = () => {}
      const heard = () =>
        new Promise<void>((resolve) => {
          told = resolve
        })
      // The first call may say that something was missed.
      const stop = store().watchSchedules(() => told())
      await put('b', 500)
      const hearing = heard()
      await put('c', 600)
      await hearing
      stop()
      given().engine.clock.now += 1_000
      expect(await due()).toEqual(['q/a', 'q/b', 'q/c'])
    })
  })
}
