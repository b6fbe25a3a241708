/** A queue that pauses itself where too many of its jobs end among the dead letters. */

import { describe, expect, test } from 'vitest'
import { infoOf } from '../calls.ts'
import type { Case } from '../cursors.ts'
import { deskOf, named, POLICY } from '../queueDesk.ts'

const BREAKER = { ...POLICY, breaker: { share: 0.5, min: 3 } }

export function describeQueueBreaker(given: () => Case): void {
  const desk = (store = given().store) => deskOf(store, 'q', BREAKER)
  const info = async (store = given().store, name = 'q') => await infoOf(store.queues, name)

  describe('the breaker', () => {
    test('pauses the queue over its share and from its least number on, says why until it is resumed, and counts anew', async () => {
      const { engine } = given()
      const q = desk()
      const heard: string[] = []
      await given().store.queues.watch('q', ({ kind }) => heard.push(kind))
      await q.put('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h')
      for (const as of ['done', 'done', 'dead', 'dead'] as const) await q.settle(await q.take('w'), { as })
      expect(await info()).not.toHaveProperty('tripped')
      await q.settle(await q.take('w'), { as: 'dead' })
      const tripped = { at: engine.clock.now, dead: 3, ended: 5 }
      expect(await info()).toMatchObject({ paused: true, tripped })
      expect(await info(undefined, 'q/dead')).toMatchObject({ paused: false })
      expect(await info(undefined, 'q/dead')).not.toHaveProperty('tripped')
      expect(await q.claim('w')).toEqual({ jobs: [], waiting: 0, suspects: 0 })
      await engine.heard?.()
      expect(heard).toContain('changed')

      const store = await given().reopen()
      expect(await info(store)).toMatchObject({ paused: true, tripped })
      expect(await store.queues.pause('q', false)).toBe(true)
      expect(await info(store)).not.toHaveProperty('tripped')
      const again = desk(store)
      for (let i = 0; i < 2; i++) await again.settle(await again.take('w'), { as: 'dead' })
      expect(await info(store)).toMatchObject({ paused: false })
      await again.settle(await again.take('w'), { as: 'dead' })
      expect(await info(store)).toMatchObject({ paused: true, tripped: { dead: 3, ended: 3 } })
    })

    test('looks at a minute, and at jobs that were worked on: neither expiry nor consumed dead letters count', async () => {
      const { engine, store } = given()
      const q = desk()
      await q.send([...['a', 'b', 'c'].map((id) => named(id)), ...['x', 'y', 'z'].map((id) => named(id, { ttlMs: 1 }))])
      for (let i = 0; i < 2; i++) await q.settle(await q.take('w'), { as: 'dead' })
      engine.clock.now += 70_000
      await q.turn()
      expect(await q.books()).toMatchObject({ dead: 5 })
      await q.settle(await q.take('later'), { as: 'dead' })
      expect(await info()).toMatchObject({ paused: false })
      for (let i = 0; i < 6; i++) await q.settle(await q.take('v', {}, 'q/dead'), { as: 'done' }, 'q/dead')
      await q.put('d', 'e')
      await q.settle(await q.take('later'), { as: 'dead' })
      expect(await info()).toMatchObject({ paused: false })
      // What comes of failures counts as what is rejected, by the call that finds it.
      const lapsing = await q.take('later', { policy: { ...BREAKER, maxAttempts: 1 }, leaseMs: 1_000 })
      engine.clock.now += 1_000
      while ((await store.maintain(() => ({ ...BREAKER, maxAttempts: 1 }), 'q')).more);
      expect(lapsing.id).toBe('e')
      expect(await info()).toMatchObject({ paused: true, tripped: { dead: 3, ended: 3 } })
    })

    test('without one nothing pauses a queue', async () => {
      const q = deskOf(given().store)
      await q.put('a', 'b', 'c', 'd')
      for (let i = 0; i < 4; i++) await q.settle(await q.take('later'), { as: 'dead' })
      expect(await info()).toMatchObject({ paused: false })
    })
  })
}
