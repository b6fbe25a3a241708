/** The contract's queues where jobs come back: after a release, a failure, a lapse, or settled by somebody else. */

import { describe, expect, test } from 'vitest'
import type { HeldJob, QueueNotification } from '../../../server/store/contract/store.ts'
import { until } from '../../support/until.ts'
import type { Case } from './cursors.ts'
import { type Desk, deskOf, holder, LEASE, named, POLICY, TTL } from './queueDesk.ts'

export function describeQueueReturns(given: () => Case): void {
  const desk = () => deskOf(given().store)
  const pass = (ms: number): void => {
    given().engine.clock.now += ms
  }

  test('how long a job may wait counts anew whenever it is due again, however it came back', async () => {
    const ways: Record<string, (job: HeldJob, q: Desk, queue: string) => Promise<unknown>> = {
      retry: (job, q) => q.settle(job, { as: 'retry', delayMs: 9_000 }),
      backoff: (job, q) => q.settle(job, { as: 'retry' }),
      release: (job, q) => q.settle(job, { as: 'release' }),
      leave: (_, q) => q.detach('w', 'release'),
      lapse: (_, q) => {
        pass(LEASE)
        return q.turn()
      },
      'late extension': async (job, q) => {
        pass(LEASE)
        await q.turn()
        await q.settle(job, { as: 'extend', leaseMs: LEASE })
        pass(LEASE)
        await q.turn()
      },
      redrive: async (job, q, queue) => {
        await q.settle(job, { as: 'dead' })
        await given().store.queues.redrive(queue, [job.id], { ttlMs: 500 })
      },
    }
    for (const [way, comeBack] of Object.entries(ways)) {
      const queue = way.replace(' ', '-')
      const q = deskOf(given().store, queue)
      await q.send([named('a', { ttlMs: 500 }), named('b', { ttlMs: 500_000 })])
      const [job] = (await q.claim('w', { max: 2 })).jobs
      if (job === undefined) throw new Error('two jobs were there')
      pass(600)
      await comeBack(job, q, queue)
      const { dueAt = 0, ttlAt } = (await q.job('a')) ?? {}
      expect([way, ttlAt]).toEqual([way, dueAt + 500])
      expect(dueAt).toBeGreaterThanOrEqual(given().engine.clock.now)
      given().engine.clock.now = dueAt + 499
      await q.turn()
      expect(await q.job('a')).toMatchObject({ state: 'ready' })
      pass(1)
      await q.turn()
      expect(await q.job('a', `${queue}/dead`)).toMatchObject({ dead: { reason: 'expired' } })
    }
  })

  test('what is run now is ready as if its time had come, and a consumer is told', async () => {
    const q = desk()
    const { queues } = given().store
    await q.put('held', 'failed')
    await q.send([named('late', { key: 'k', due: { delayMs: 9_000 }, ttlMs: 500 })])
    await q.send([named('soon', { key: 'k', due: { delayMs: 1_000 } })])
    const [, failed] = (await q.claim('w', { max: 2 })).jobs
    if (failed === undefined) throw new Error('two jobs were there')
    await q.settle(failed, { as: 'retry', delayMs: 60_000, error: 'no' })
    const told: QueueNotification[] = []
    await queues.watch('q', (notification) => told.push(notification))
    pass(10)
    const { now } = given().engine.clock
    expect(await queues.runNow('q', ['late', 'failed', 'held', 'nothing', 'late'])).toBe(2)
    await until(() => told.some((one) => one.kind === 'work' && one.at <= now), { what: 'to be told of work' })
    const run = { at: now, what: 'run' }
    expect(await q.job('late')).toMatchObject({ state: 'ready', dueAt: now, ttlAt: now + 500, history: [run] })
    expect(await q.job('failed')).toMatchObject({ state: 'ready', attempts: 1, history: [{ what: 'retry' }, run] })
    expect(await queues.runNow('q', ['soon'])).toBe(1)
    expect(await q.job('soon')).toMatchObject({ state: 'ready', behind: 'late' })
    expect(await q.ids('v')).toEqual(['failed', 'late'])
    expect(await q.books()).toMatchObject({ sent: 4, ready: 1, delayed: 0, held: 3 })
    expect(await queues.runNow('never', ['x'])).toBe(0)
  })

  test('a lease that lapsed can still be settled when its job was run now', async () => {
    const q = desk()
    await q.put('a')
    const job = await q.take('w')
    pass(LEASE)
    await q.turn()
    expect(await q.job('a')).toMatchObject({ state: 'delayed', attempts: 1 })
    expect(await given().store.queues.runNow('q', ['a'])).toBe(1)
    expect(await q.settle(job, { as: 'done' })).toBe('ok')
    expect(await q.books()).toMatchObject({ done: 1, ready: 0 })
  })

  describe('a released job', () => {
    test('waits behind what is ready of its priority; one whose holder leaves keeps its place', async () => {
      const q = desk()
      await q.put('a', 'b', 'c')
      await q.settle(await q.take('w'), { as: 'release' })
      expect(await q.listed('ready')).toEqual(['b', 'c', 'a'])
      expect(await q.ids('w')).toEqual(['b', 'c', 'a'])
      await q.detach('w', 'release')
      expect(await q.ids('v')).toEqual(['b', 'c', 'a'])
    })

    test('of one that takes no more goes to its place, at once, also when it was given back before', async () => {
      const q = desk()
      await q.put('a', 'b')
      for (let i = 0; i < 3; i++) {
        await q.settle(await q.take('w'), { as: 'release', inPlace: true })
        expect(await q.listed('ready')).toEqual(['a', 'b'])
      }
    })

    test('of a key is not overtaken by the next one of its key', async () => {
      const q = desk()
      await q.send(['a', 'b'].map((id) => named(id, { key: 'k' })))
      await q.put('c')
      for (let i = 0; i < 3; i++) {
        const job = await q.take(`w${i}`)
        if (job.id !== 'a') await q.settle(job, { as: 'done' })
        else await q.settle(job, { as: 'release' })
        expect(await q.job('b')).toMatchObject({ state: 'ready', behind: 'a' })
      }
      const last = await q.take('v')
      expect(last.id).toBe('a')
      await q.settle(last, { as: 'done' })
      expect(await q.ids('v')).toEqual(['b'])
    })

    test('comes later each time that the same holder releases it, and at once after somebody worked on it', async () => {
      const q = desk()
      await q.put('a')
      const pauses: number[] = []
      const release = async (client: string) => {
        await q.settle(await q.take(client), { as: 'release' })
        const { dueAt = 0, state } = (await q.job('a')) ?? {}
        const pauseMs = dueAt - given().engine.clock.now
        expect(state).toBe(pauseMs === 0 ? 'ready' : 'delayed')
        expect((await q.claim(client)).jobs).toHaveLength(0)
        pass(pauseMs)
        pauses.push(pauseMs)
      }
      const again = async (...clients: string[]) => {
        pauses.length = 0
        for (const client of clients) await release(client)
        return [...pauses]
      }
      const first = await q.take('w')
      await q.settle(first, { as: 'release' })
      expect(await again('w', 'w', 'w')).toEqual([100, 200, 400])
      expect(await again(...Array(5).fill('w'))).toEqual([800, 1_600, 3_200, 5_000, 5_000])
      await q.settle(await q.take('w'), { as: 'retry', delayMs: 0 })
      await q.settle(await q.take('v#1'), { as: 'release' })
      // Behind a # is what is new with each claim.
      expect(await again('v#2', 'v#3')).toEqual([100, 200])
      await q.settle(await q.take('w'), { as: 'release' })
      expect(await q.job('a')).toMatchObject({ state: 'ready' })
      expect(await again('w', 'v#4')).toEqual([100, 400])
    })

    test('of the dead letters does not go round without an end either', async () => {
      const q = desk()
      await q.put('a')
      await q.settle(await q.take('w'), { as: 'dead' })
      for (const pauseMs of [0, 100, 200]) {
        await q.settle(await q.take('w', {}, 'q/dead'), { as: 'release' }, 'q/dead')
        expect((await q.job('a', 'q/dead'))?.dueAt).toBe(given().engine.clock.now + pauseMs)
        pass(pauseMs)
      }
    })
  })

  test('a job that failed as often as a limit that was lowered allows is dead-lettered, not handed out', async () => {
    const q = desk()
    await q.put('a', 'b')
    for (const _ of '12') await q.settle(await q.take('w'), { as: 'retry', delayMs: 0 })
    const lowered = { policy: { maxAttempts: 2, backoffMs: [1_000], deadMs: TTL } }
    expect(await q.job('a')).toMatchObject({ attempts: 2 })
    expect(await q.ids('w', lowered)).toEqual(['b'])
    expect(await q.job('a', 'q/dead')).toMatchObject({ attempts: 2, dead: { reason: 'max_attempts' } })
  })

  test('a holder that is there is told of its leases that somebody else settles', async () => {
    const q = desk()
    const { queues } = given().store
    const told: QueueNotification[] = []
    const stop = await queues.watch('q', (what) => told.push(what))
    const settled = () => told.filter(({ kind }) => kind === 'settled')
    await q.put('a', 'b', 'c', 'd')
    const [a, b, c, d] = (await q.claim('w', { max: 4 })).jobs
    if (a === undefined || b === undefined || c === undefined || d === undefined) throw new Error('four were there')
    const done = ({ id, lease }: HeldJob) => ({ id, lease, as: 'done' }) as const
    await queues.settle('q', [done(a)], POLICY, holder('w'))
    await queues.settle('q', [done(b), { ...done(c), as: 'retry' }, done(a)], POLICY, holder('v'))
    await until(() => settled().length > 0, { what: 'the word of it' })
    expect(settled()).toEqual([{ kind: 'settled', consumer: holder('w'), leases: [b.lease, c.lease] }])
    await q.detach('w', 'keep')
    await queues.settle('q', [done(d)], POLICY)
    await given().engine.heard?.()
    expect(settled()).toHaveLength(1)
    stop()
  })
}
