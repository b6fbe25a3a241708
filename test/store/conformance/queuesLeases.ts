/** The contract's queues: leases and suspects, settlements, attempts, holders and their sessions. */

import { describe, expect, test } from 'vitest'
import { infoOf, remove } from './calls.ts'
import type { Case } from './cursors.ts'
import { text } from './fixture.ts'
import { CAP, deskOf, holder, LEASE, named, POLICY, TTL } from './queueDesk.ts'

const MINUTE = 60_000

export function describeQueueLeases(given: () => Case): void {
  const desk = () => deskOf(given().store)
  const pass = (ms: number): void => {
    given().engine.clock.now += ms
  }

  describe('leases', () => {
    test('one that lapses alone is a failure, from its millisecond on', async () => {
      const q = desk()
      await q.put('a')
      const job = await q.take('w')
      expect(job.expiresAt).toBe(given().engine.clock.now + LEASE)
      pass(LEASE - 1)
      await q.turn()
      expect(await q.job('a')).toMatchObject({ state: 'held', holder: holder('w'), expiresAt: job.expiresAt })
      pass(1)
      await q.turn()
      expect(await q.job('a')).toMatchObject({ state: 'delayed', attempts: 1, suspect: false })
      expect((await q.job('a'))?.history).toMatchObject([{ what: 'lapsed', holder: holder('w') }])
      pass(999)
      expect(await q.ids('v')).toEqual([])
      pass(1)
      expect(await q.take('v')).toMatchObject({ id: 'a', attempts: 1, deliveries: 2 })
    })

    test('those that lapse together become suspects, handed out alone and before other jobs', async () => {
      const q = desk()
      await q.put('a', 'b')
      await q.claim('w', { max: 2 })
      pass(LEASE)
      await q.put('c', 'd')
      await q.turn()
      expect(await q.job('a')).toMatchObject({ state: 'ready', attempts: 0, suspect: true })
      await q.attach('u')
      const [suspect, ...others] = (await q.claim('v', { max: 9 })).jobs
      expect([suspect?.id, others]).toEqual(['a', []])
      expect(await q.claim('v', { max: 9 })).toMatchObject({ jobs: [], waiting: 3, suspects: 1 })
      const next = await q.claim('u', { max: 9 })
      expect(next).toMatchObject({ jobs: [{ id: 'b' }], waiting: 2, suspects: 0 })
      for (const job of next.jobs) await q.settle(job, { as: 'release' })
      expect(await q.job('b')).toMatchObject({ suspect: false, attempts: 0 })
      pass(LEASE)
      await q.turn()
      expect(await q.job('a')).toMatchObject({ state: 'delayed', attempts: 1, suspect: true })
    })

    test('full hands get no suspect, and other jobs meanwhile', async () => {
      const q = desk()
      await q.put('a', 'b', 'c')
      await q.claim('w', { max: 2 })
      pass(LEASE - 1)
      await q.attach('v')
      const c = await q.take('v')
      pass(1)
      await q.put('d')
      expect(await q.claim('v', { max: 9 })).toMatchObject({ jobs: [{ id: 'd' }], waiting: 2, suspects: 2 })
      await q.settle(c, { as: 'done' })
      expect(await q.ids('v')).toEqual([])
    })

    test('a job held after another one is not held alone, even when that one is settled', async () => {
      const q = desk()
      await q.put('a', 'b')
      const a = await q.take('w')
      await q.take('w')
      await q.settle(a, { as: 'done' })
      pass(LEASE)
      await q.turn()
      expect(await q.job('b')).toMatchObject({ state: 'ready', attempts: 0, suspect: true })
    })

    test('extensions end at the cap, which is a failure also beside others', async () => {
      const q = desk()
      await q.put('a', 'b')
      const [a, b] = (await q.claim('w', { max: 2 })).jobs
      if (a === undefined || b === undefined) throw new Error('two jobs were there')
      const capAt = given().engine.clock.now + CAP
      pass(LEASE - 1)
      expect(await q.settle(a, { as: 'extend', leaseMs: 500_000 })).toEqual({ expiresAt: capAt })
      expect(await q.settle(a, { as: 'extend', leaseMs: CAP - LEASE + 1 })).toBe('ok')
      expect((await q.job('a'))?.expiresAt).toBe(capAt)
      pass(CAP - LEASE + 1)
      await q.turn()
      expect(await q.job('a')).toMatchObject({ state: 'delayed', attempts: 1 })
      expect(await q.job('b')).toMatchObject({ state: 'ready', attempts: 0, suspect: true })
      expect(await q.settle(a, { as: 'extend', leaseMs: 1_000 })).toBe('lost')
    })

    test('a late settlement ends the suspicion, and dead letters come without it', async () => {
      const q = desk()
      await q.send(['a', 'b', 'c'].map((id) => named(id, { ttlMs: 2 * LEASE })))
      const [a, b] = (await q.claim('w', { max: 3 })).jobs
      if (a === undefined || b === undefined) throw new Error('three jobs were there')
      pass(LEASE)
      expect([await q.settle(a, { as: 'release' }), await q.settle(b, { as: 'retry' })]).toEqual(['ok', 'ok'])
      for (const id of ['a', 'b'])
        expect(await q.job(id)).toMatchObject({ state: 'ready', attempts: 0, suspect: false })
      expect(await q.job('c')).toMatchObject({ suspect: true })
      pass(2 * LEASE)
      await q.turn()
      expect(await q.job('c', 'q/dead')).toMatchObject({ suspect: false, dead: { reason: 'expired' } })
      expect(await q.ids('v', {}, 'q/dead')).toHaveLength(3)
    })

    test('a lapsed lease that is extended is held again, and a suspect stays one', async () => {
      const q = desk()
      await q.put('a', 'b')
      const [a] = (await q.claim('w', { max: 2 })).jobs
      if (a === undefined) throw new Error('two jobs were there')
      pass(LEASE)
      expect(await q.settle(a, { as: 'extend', leaseMs: 2_000 })).toBe('ok')
      const expiresAt = given().engine.clock.now + 2_000
      expect(await q.job('a')).toMatchObject({ state: 'held', suspect: true, holder: holder('w'), expiresAt })
      expect(await q.ids('w')).toEqual([])
      expect(await q.ids('v')).toEqual(['b'])
    })
  })

  describe('settlements', () => {
    test('of a lapsed lease count while nobody else got the job', async () => {
      const q = desk()
      for (const as of ['done', 'retry', 'release', 'dead'] as const) {
        const id = `${as}-1`
        await q.put(id)
        await q.attach('w')
        const job = await q.take('w')
        pass(LEASE)
        expect(await q.settle(job, { as })).toBe('ok')
        const [expected, dead] = [await q.job(id), await q.job(id, 'q/dead')]
        if (as === 'done') expect([expected, dead]).toEqual([undefined, undefined])
        else if (as === 'dead') expect(dead).toMatchObject({ dead: { reason: 'rejected' } })
        else {
          expect(expected).toMatchObject({ state: 'delayed', attempts: 1 })
          await remove(given().store.queues, 'q', id)
        }
        expect(await q.settle(job, { as })).toBe('ok')
        expect(await q.settle(job, { as: as === 'done' ? 'retry' : 'done' })).toBe('lost')
      }
      expect(await q.books()).toMatchObject({ sent: 4, done: 1, dead: 1, removed: 2 })
    })

    test('are lost once another holder got the job', async () => {
      const q = desk()
      await q.put('a')
      const late = await q.take('w')
      pass(LEASE)
      await q.turn()
      pass(1_000)
      const job = await q.take('v')
      for (const as of ['done', 'retry', 'release', 'dead'] as const) expect(await q.settle(late, { as })).toBe('lost')
      expect(await q.settle(late, { as: 'extend', leaseMs: 1 })).toBe('lost')
      expect(await q.settle(job, { as: 'done' })).toBe('ok')
    })

    test('the same again is ok for 5 minutes, another outcome never', async () => {
      const q = desk()
      await q.put('a')
      const job = await q.take('w')
      expect(await q.settle(job, { as: 'retry', delayMs: 0 })).toBe('ok')
      const second = await q.take('v')
      expect(second).toMatchObject({ id: 'a', attempts: 1 })
      pass(5 * MINUTE - 1)
      expect([await q.settle(job, { as: 'retry' }), await q.settle(job, { as: 'done' })]).toEqual(['ok', 'lost'])
      pass(1)
      expect(await q.settle(job, { as: 'retry' })).toBe('lost')
      expect((await q.books())?.sent).toBe(1)
    })

    test('are answered one by one, in their order; what was never a lease is lost', async () => {
      const q = desk()
      await q.put('a')
      const { id, lease } = await q.take('w')
      const { queues } = given().store
      const { settled: answers } = await queues.settle(
        'q',
        [
          { id, lease: 'nobody', as: 'done' },
          { id: 'nothing', lease, as: 'done' },
          { id, lease: '', as: 'dead' },
          { id, lease, as: 'extend', leaseMs: 1_000 },
          { id, lease, as: 'done' },
          { id, lease, as: 'extend', leaseMs: 1_000 },
          { id, lease, as: 'done' },
        ],
        POLICY,
      )
      expect(answers).toEqual(['lost', 'lost', 'lost', 'ok', 'ok', 'lost', 'ok'])
      expect((await queues.settle('never', [{ id, lease, as: 'done' }], POLICY)).settled).toEqual(['lost'])
      expect(await infoOf(queues, 'never')).toBeUndefined()
      expect(await q.books()).toMatchObject({ sent: 1, done: 1 })
    })

    test('a failure is delayed by the backoff, or by its own delay, and the last one goes to the dead letters', async () => {
      const q = desk()
      await q.put('a')
      await q.settle(await q.take('w'), { as: 'retry', error: 'one' })
      expect((await q.job('a'))?.dueAt).toBe(given().engine.clock.now + 1_000)
      pass(1_000)
      await q.settle(await q.take('w'), { as: 'retry', delayMs: 70 })
      expect((await q.job('a'))?.dueAt).toBe(given().engine.clock.now + 70)
      pass(70)
      await q.settle(await q.take('w'), { as: 'retry', delayMs: 70, error: 'three' })
      expect(await q.job('a')).toBeUndefined()
      const dead = { reason: 'max_attempts', error: 'three', at: given().engine.clock.now }
      expect(await q.job('a', 'q/dead')).toMatchObject({ dead, attempts: 3, deliveries: 3 })
      expect(await q.books()).toMatchObject({ sent: 1, dead: 1 })
    })
  })

  describe('holders', () => {
    test('a newer session takes over, keeps the leases, and is told to the older one by its claim', async () => {
      const q = desk()
      await q.put('a', 'b', 'c')
      const [job] = (await q.claim('w')).jobs
      const older = q.session('w')
      pass(1_000)
      const { session, held } = await q.attach('w')
      expect(session).toBeGreaterThan(older)
      expect(held).toEqual([{ id: 'a', lease: job?.lease, expiresAt: given().engine.clock.now + LEASE }])
      await expect(q.claim('w', { session: older })).rejects.toMatchObject({ code: 'taken_over' })
      await q.detach('w', 'release', older)
      expect(await q.listed('held')).toEqual(['a'])
      expect(await q.ids('w')).toEqual(['b', 'c'])
    })

    test('a session begins only while no other one began since, where that is asked', async () => {
      const { queues } = given().store
      const holder = { subject: 'ann', client: 'late' }
      const attach = (since: number) => queues.attach('q', holder, { leaseMs: LEASE, policy: POLICY, since })
      expect(await queues.session('q', holder)).toBe(0)
      await expect(attach(7)).rejects.toMatchObject({ code: 'conflict' })
      expect(await infoOf(queues, 'q')).toBeUndefined()
      const first = await attach(0)
      expect(await queues.session('q', holder)).toBe(first.session)
      await expect(attach(0)).rejects.toMatchObject({ code: 'conflict' })
      expect((await attach(first.session)).session).toBeGreaterThan(first.session)
      expect(await queues.session('q/dead', holder)).toBe(0)
    })

    test('a session above the known one was forgotten by the store: it is told to attach, and its end counts', async () => {
      const q = desk()
      await q.put('a', 'b')
      await q.claim('w')
      const forgotten = q.session('w') + 5
      await expect(q.claim('w', { session: forgotten })).rejects.toMatchObject({ code: 'not_found' })
      await q.detach('w', 'release', forgotten)
      expect(await q.listed('held')).toEqual([])
      expect((await q.attach('w')).session).toBeGreaterThan(forgotten - 5)
    })

    test('leases that an attaching holder does not name lapse at once', async () => {
      const q = desk()
      await q.put('a', 'b')
      const [a] = (await q.claim('w', { max: 2 })).jobs
      const { held } = await q.attach('w', [a?.lease ?? ''])
      expect(held.map(({ id }) => id)).toEqual(['a'])
      expect(await q.job('b')).toMatchObject({ state: 'ready', suspect: true, attempts: 0 })
    })

    test('one that leaves keeps, releases, or has its leases end after a grace', async () => {
      const q = desk()
      await q.put('a', 'b', 'c', 'd')
      await q.take('keeps')
      await q.take('releases')
      await q.take('blinks')
      await q.take('cancels')
      await q.detach('keeps', 'keep')
      await q.detach('releases', 'release')
      await q.detach('blinks', { graceMs: 5_000 })
      // It takes no more, and then it goes.
      await q.detach('cancels', 'keep')
      expect(await q.listed('held')).toEqual(['a', 'c', 'd'])
      await q.detach('cancels', 'release')
      expect([await q.listed('held'), await q.listed('ready')]).toEqual([
        ['a', 'c'],
        ['b', 'd'],
      ])
      for (const id of ['b', 'd']) expect(await q.job(id)).toMatchObject({ attempts: 0, suspect: false })
      for (const client of ['keeps', 'releases', 'blinks', 'cancels']) {
        await expect(q.claim(client)).rejects.toMatchObject({ code: 'not_found' })
      }
      pass(4_999)
      expect((await q.attach('blinks')).held.map(({ id }) => id)).toEqual(['c'])
      await q.detach('blinks', { graceMs: 5_000 })
      pass(5_000)
      await q.turn()
      expect(await q.job('c')).toMatchObject({ state: 'delayed', attempts: 1 })
      expect(await q.job('a')).toMatchObject({ state: 'held' })
    })

    test('one that is done with a job has empty hands, whatever else it was told in the same call', async () => {
      const q = desk()
      const plain = { body: text('x'), priority: 4, ttlMs: TTL }
      await q.send([plain, plain, plain])
      const { queues } = given().store
      const [first, second] = (await q.claim('w', { max: 2 })).jobs
      if (first === undefined || second === undefined) throw new Error('two jobs were there')
      const leases = [first, second].map(({ id, lease }) => ({ id, lease }))
      const { settled } = await queues.settle(
        'q',
        leases.flatMap((one) => [
          { ...one, as: 'extend' as const, leaseMs: LEASE },
          { ...one, as: 'done' as const },
        ]),
        POLICY,
      )
      expect(settled).toEqual(['ok', 'ok', 'ok', 'ok'])
      expect(await q.books()).toMatchObject({ held: 0, ready: 1, done: 2 })
      const third = await q.take('w')
      expect(await q.settle(third, { as: 'done' })).toBe('ok')
      await q.send([plain])
      const { id } = await q.take('w', { leaseMs: 1_000 })
      // Alone in its hands, so that its lapse is its own failure.
      pass(1_000)
      await q.turn()
      expect(await q.job(id)).toMatchObject({ state: 'delayed', attempts: 1, suspect: false })
      pass(LEASE)
      await q.turn()
      expect(await q.books()).toMatchObject({ held: 0, ready: 1, done: 3 })
    })

    test('one that is gone with leases extended to their cap is not blamed for all of them', async () => {
      const q = desk()
      await q.put('a', 'b')
      const held = (await q.claim('w', { max: 2, capMs: LEASE })).jobs
      for (const job of held) await q.settle(job, { as: 'extend', leaseMs: LEASE })
      await q.detach('w', { graceMs: 0 })
      for (const id of ['a', 'b']) expect(await q.job(id)).toMatchObject({ state: 'ready', attempts: 0, suspect: true })
    })

    test('are consumers while they were touched within a minute, and no touch brings them back', async () => {
      const q = desk()
      const { queues } = given().store
      const consumers = async () => (await infoOf(queues, 'q'))?.consumers
      await q.attach('w')
      await q.attach('v')
      expect(await consumers()).toBe(2)
      await q.detach('v', 'keep')
      pass(MINUTE)
      expect(await consumers()).toBe(1)
      await queues.touch('q', [holder('w'), holder('v'), holder('nobody')])
      pass(MINUTE)
      expect([await consumers(), await q.ids('w')]).toEqual([1, []])
      pass(MINUTE + 1)
      await queues.touch('q', [holder('w')])
      expect(await consumers()).toBe(0)
      await expect(q.claim('w')).rejects.toMatchObject({ code: 'not_found' })
      await expect(queues.touch('never', [holder('w')])).resolves.toBeUndefined()
      expect(await infoOf(queues, 'never')).toBeUndefined()
    })

    test('all of it is there after the store was opened anew', async () => {
      const q = desk()
      await q.put('a', 'b')
      await q.send([named('later', { due: { delayMs: 5_000 } })])
      const job = await q.take('w')
      const session = q.session('w')
      await q.settle(await q.take('v'), { as: 'dead', error: 'no' })
      const seen = async (of: typeof q) => [
        await of.books(),
        await of.books('q/dead'),
        await Promise.all(['a', 'later'].map((id) => of.job(id))),
        await of.job('b', 'q/dead'),
      ]
      const before = await seen(q)
      const now = deskOf(await given().reopen())
      expect(await seen(now)).toEqual(before)
      expect(await now.put('a')).toMatchObject({ duplicates: 1 })
      expect(await now.claim('x', { session: (await now.attach('x')).session, max: 9 })).toMatchObject({ jobs: [] })
      expect((await now.attach('w')).session).toBeGreaterThan(session)
      expect(await now.settle(job, { as: 'done' })).toBe('ok')
    })
  })
}
