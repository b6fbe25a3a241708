/** The contract's settings, sweep and lifecycle, sentence by sentence. */

import { describe, expect, test } from 'vitest'
import { infoOf, maintain, trim } from './calls.ts'
import type { Case } from './cursors.ts'
import { ALL, dataOf, KEEP, publish, text } from './fixture.ts'

const MINUTE = 60_000
const DAY = 86_400_000

export function describeStoreItself(given: () => Case): void {
  const ann = { subject: 'ann', client: 'phone' }

  describe('settings', () => {
    test('keeps documents, replaces and removes them, and tells its watches', async () => {
      const { store, reopen } = given()
      let told = 0
      const stop = store.settings.watch(() => {
        told++
      })
      expect(await store.settings.all()).toEqual(new Map())
      await store.settings.put('b', { retain: { events: 5 } })
      await store.settings.put('a.*', [1, null, 'ä'])
      await store.settings.put('b', false)
      expect(await store.settings.add('b', 'another')).toBe(false)
      expect(await store.settings.add('c', 1)).toBe(true)
      await store.settings.put('c', undefined)
      expect(told).toBeGreaterThanOrEqual(3)
      stop()
      stop()
      const before = told
      await store.settings.put('gone', 1)
      await store.settings.put('gone', undefined)
      await store.settings.put('never', undefined)
      expect(told).toBe(before)
      expect(await (await reopen()).settings.all()).toEqual(
        new Map<string, unknown>([
          ['a.*', [1, null, 'ä']],
          ['b', false],
        ]),
      )
    })
  })

  describe('sweep', () => {
    test('forgets ids, producers and cursors that are over their time, and nothing else', async () => {
      const { store, engine } = given()
      const append = (id: string, name: string) =>
        store.topics.append('t', {
          subject: 'ann',
          drafts: [{ body: text(id), id }],
          producer: { name, seq: 1 },
          retain: KEEP,
        })
      await append('x', 'p')
      await store.cursors.open('t', ann, 'start')
      expect(await maintain(store)).toEqual({ ids: 0, producers: 0, cursors: 0, more: false })
      engine.clock.now += 5 * MINUTE
      expect(await maintain(store)).toEqual({ ids: 1, producers: 0, cursors: 0, more: false })
      engine.clock.now += 7 * DAY
      await append('y', 'q')
      expect(await maintain(store)).toEqual({ ids: 0, producers: 1, cursors: 0, more: false })
      engine.clock.now += 30 * DAY
      expect(await maintain(store)).toEqual({ ids: 1, producers: 1, cursors: 1, more: false })
      expect(await dataOf(store, 't')).toEqual(['x', 'y'])
    })

    test('does a bounded part at each call, and says when there is more', async () => {
      const { store, engine } = given()
      const topics = Array.from({ length: 900 }, (_, i) => `t${i}`)
      await Promise.all(topics.map((topic) => store.cursors.open(topic, ann, 'end')))
      engine.clock.now += 30 * DAY
      let cursors = 0
      let parts = 0
      for (let more = true; more; parts++) {
        const swept = await maintain(store)
        expect(swept.cursors).toBeLessThanOrEqual(500)
        cursors += swept.cursors
        more = swept.more
      }
      expect(cursors).toBe(900)
      expect(parts).toBeGreaterThan(1)
    })

    test('forgets a bounded number of ids at each call, of all subjects together', async () => {
      const { store, engine } = given()
      const sent = (subject: string) => Array.from({ length: 900 }, (_, i) => ({ body: text(i), id: `${subject}${i}` }))
      for (const subject of ['ann', 'bob', 'cy']) {
        await store.topics.append('t', { subject, drafts: sent(subject), retain: KEEP })
      }
      engine.clock.now += 5 * MINUTE
      let ids = 0
      for (let more = true; more; ) {
        const swept = await maintain(store)
        expect(swept.ids).toBeLessThanOrEqual(512)
        ids += swept.ids
        more = swept.more
      }
      expect(ids).toBe(2_700)
    })
  })

  describe('the store itself', () => {
    test('tells its time', async () => {
      const { store, engine } = given()
      expect(await store.ready()).toBe(engine.clock.now)
      engine.clock.now += 1_234
      expect(await store.ready()).toBe(engine.clock.now)
    })

    test('close finishes what was accepted and refuses everything else', async () => {
      const { store, reopen } = given()
      const accepted = Array.from({ length: 20 }, (_, i) => publish(store, 't', i))
      const closing = Promise.all([store.close(), store.close()])
      const refused = [
        () => publish(store, 't', 'late'),
        () => store.topics.read('t', 0, ALL),
        () => store.topics.seek('t', 0),
        () => trim(store.topics, 't', KEEP),
        () => infoOf(store.topics, 't'),
        () => store.topics.list({ limit: 1 }),
        () => store.topics.drop('t'),
        () => store.topics.watch('t', () => {}),
        () => store.cursors.open('t', ann, 'end'),
        () => store.cursors.commit('t', ann, 1, { epoch: '', offset: 0 }),
        () => store.cursors.open('t', ann, { place: { epoch: '', offset: 0 } }),
        () => store.cursors.list('t', { limit: 1 }),
        () => store.cursors.forget('t', ann),
        () => store.settings.all(),
        () => store.settings.put('a', 1),
        () => store.ready(),
        () => maintain(store),
      ]
      for (const call of refused) await expect(call()).rejects.toMatchObject({ code: 'unavailable' })
      expect((await Promise.all(accepted)).flatMap(({ offsets }) => offsets)).toHaveLength(20)
      await closing
      for (const call of refused) await expect(call()).rejects.toMatchObject({ code: 'unavailable' })
      expect(await dataOf(await reopen(), 't')).toHaveLength(20)
    })

    test('everything that was acknowledged is there after it was opened anew', async () => {
      const { store, reopen } = given()
      const { epoch } = await publish(store, 't', 1, 2, 3)
      const { session } = await store.cursors.open('t', ann, 'start')
      await store.cursors.commit('t', ann, session, { epoch, offset: 2 })
      await trim(store.topics, 't', { ...KEEP, events: 1 })
      const before = [await infoOf(store.topics, 't'), await store.cursors.list('t', { limit: 9 })]
      const now = await reopen()
      expect([await infoOf(now.topics, 't'), await now.cursors.list('t', { limit: 9 })]).toEqual(before)
    })
  })
}
