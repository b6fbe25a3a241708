/** The contract's jobs that have some of the policy by themselves: attempts, backoff, and how long they are kept. */

import { describe, expect, test } from 'vitest'
import type { HeldJob, JobPolicy, Keeping } from '../../../../server/store/contract/store.ts'
import type { Case } from '../cursors.ts'
import { deskOf, holder, named, POLICY } from '../queueDesk.ts'

const DAY = 86_400_000
const KEEP: Keeping = { count: 3, ageMs: DAY, bytes: 1e9 }

export function describeJobPolicy(given: () => Case): void {
  const desk = (policy = POLICY) => deskOf(given().store, 'q', policy)
  const pass = (ms: number): void => {
    given().engine.clock.now += ms
  }
  /** Fails the job until it is a dead letter, `most` times at most; how long it waited after each. */
  const waits = async (most = 9, policy = POLICY): Promise<number[]> => {
    const q = desk(policy)
    const waited: number[] = []
    for (let i = 0; i < most; i++) {
      const job = await q.take('w')
      await q.settle(job, { as: 'retry', error: 'no' })
      const after = await q.job(job.id)
      if (after === undefined) break
      waited.push(after.dueAt - given().engine.clock.now)
      pass(waited.at(-1) ?? 0)
    }
    return waited
  }
  const kept = async () =>
    (await given().store.queues.finished('q', { state: 'done', limit: 10 })).map(({ id }) => id).toSorted()
  const work = async (id: string, policy?: JobPolicy, keep = KEEP) => {
    const q = desk({ ...POLICY, keep })
    await q.send([named(id, policy === undefined ? {} : { policy })])
    await q.settle(await q.take('w'), { as: 'done' })
  }

  describe('jobs that have some of the policy by themselves', () => {
    test('have as many attempts as they say, also where the queue has fewer, and where it has fewer since', async () => {
      const policy: JobPolicy = { maxAttempts: 5, backoff: { kind: 'fixed', ms: 7, maxMs: 7 } }
      await desk().send([named('more', { policy })])
      expect(await waits(2)).toEqual([7, 7])
      expect(await desk().job('more')).toMatchObject({ attempts: 2, policy })
      await given().reopen()
      expect(await waits(9, { ...POLICY, maxAttempts: 1 })).toEqual([7, 7])
      expect(await desk().job('more', 'q/dead')).toMatchObject({
        attempts: 5,
        policy,
        dead: { reason: 'max_attempts' },
      })

      await desk().send([named('once', { policy: { maxAttempts: 1 } }), named('as the queue')])
      expect(await waits(1)).toEqual([])
      expect((await desk().job('once', 'q/dead'))?.attempts).toBe(1)
      expect(await waits()).toEqual([1_000, 5_000])
      expect(await desk().books()).toMatchObject({ dead: 3, ready: 0, delayed: 0, held: 0 })
    })

    test('count anew what they have when they are redriven, and wait by it in the dead letters', async () => {
      const policy: JobPolicy = { maxAttempts: 2, backoff: { kind: 'exponential', ms: 10, maxMs: 35 } }
      await desk().send([named('a', { policy })])
      expect(await waits()).toEqual([10])
      const letter = await desk().take('w', {}, 'q/dead')
      await desk().settle(letter, { as: 'retry' }, 'q/dead')
      expect((await desk().job('a', 'q/dead'))?.dueAt).toBe(given().engine.clock.now + 35)
      pass(35)
      await given().store.queues.redrive('q', ['a'], { ttlMs: DAY })
      expect(await waits()).toEqual([10])
      expect(await desk().job('a', 'q/dead')).toMatchObject({ attempts: 2, policy })
    })

    test('wait twice as long after each failure, up to a bound, or the times of a list, and else as the queue says', async () => {
      const backoff = { kind: 'exponential', ms: 100, maxMs: 500 } as const
      await desk().send([named('a', { policy: { maxAttempts: 70, backoff } })])
      const waited = await waits(69)
      expect(waited.slice(0, 4)).toEqual([100, 200, 400, 500])
      expect(waited.slice(4).every((ms) => ms === 500)).toBe(true)
      await desk().take('w')
      await desk().send([named('b', { policy: { backoff: { kind: 'fixed', ms: 3, maxMs: 3 } } })])
      expect(await waits()).toEqual([3, 3])
      await desk().send([named('l', { policy: { maxAttempts: 5, backoff: { kind: 'list', ms: [9, 0, 4] } } })])
      expect(await waits()).toEqual([9, 0, 4, 4])
      await desk().send([named('c', { policy: { maxAttempts: 4 } })])
      expect(await waits()).toEqual([1_000, 5_000, 5_000])
      await desk().send([named('d', { policy: { backoff: { kind: 'exponential', ms: 0, maxMs: 0 } } })])
      expect(await waits()).toEqual([0, 0])
    })

    test('are kept as long as they say, or not at all, and never beyond what the queue keeps', async () => {
      await work('short', { keepMs: 1_000 })
      await work('never', { keepMs: 0 })
      await work('plain')
      await work('long', { keepMs: 2 * DAY })
      expect(await kept()).toEqual(['long', 'plain', 'short'])
      pass(1_000)
      expect(await kept()).toEqual(['long', 'plain'])
      pass(DAY)
      expect(await kept()).toEqual(['long'])
      for (const id of ['x', 'y', 'z']) await work(id, { keepMs: 3 * DAY })
      expect(await kept()).toEqual(['x', 'y', 'z'])
      await work('none', { keepMs: DAY }, { ...KEEP, count: 0 })
      expect(await kept()).toEqual([])
    })

    test('are nobody’s for longer than a run of theirs may take, whatever is asked for, and then that is the failure', async () => {
      let q = desk()
      const now = () => given().engine.clock.now
      await q.send([named('a', { policy: { runMs: 1_000 } }), named('b', { policy: { runMs: 50_000 } }), named('c')])
      const { jobs } = await q.claim('w', { max: 9 })
      expect(jobs.map(({ runMs }) => runMs)).toEqual([1_000, 50_000, undefined])
      expect(jobs.map(({ expiresAt }) => expiresAt - now())).toEqual([1_000, 30_000, 30_000])
      const [a, b, c] = jobs as [HeldJob, HeldJob, HeldJob]
      const first = now()
      expect(await q.settle(a, { as: 'extend', leaseMs: 60_000 })).toEqual({ expiresAt: first + 1_000 })
      expect(await q.settle(b, { as: 'extend', leaseMs: 60_000 })).toEqual({ expiresAt: first + 50_000 })
      await given().reopen()
      q = desk()
      pass(1_000)
      await q.turn()
      // The others stay with their consumer, and no one is a suspect.
      expect(await q.listed('held')).toEqual(['b', 'c'])
      await q.settle(c, { as: 'done' })
      const over = { attempts: 1, suspect: false, state: 'delayed', policy: { runMs: 1_000 } }
      const why = 'ran longer than its runMs of 1000 ms'
      const history = [{ at: now(), what: 'lapsed', holder: holder('w'), why }]
      expect(await q.job('a')).toMatchObject({ ...over, history })
      expect(await q.settle(a, { as: 'extend', leaseMs: 1_000 })).toBe('lost')
      pass(1_000)
      const again = await q.take('v')
      expect(again).toMatchObject({ id: 'a', attempts: 1, deliveries: 2, expiresAt: now() + 1_000, runMs: 1_000 })
      expect(await q.settle(again, { as: 'done' })).toBe('ok')
      // A consumer that comes back has no more time than that either.
      pass(first + 49_000 - now())
      await q.attach('w', undefined, 30_000)
      expect((await q.job('b'))?.expiresAt).toBe(first + 50_000)
      // The cap of the claim counts where it is earlier, and then the run is not over.
      await q.send([named('d', { policy: { runMs: 90_000, maxAttempts: 1 } })])
      const d = await q.take('x', { capMs: 20_000 })
      expect(d).toMatchObject({ expiresAt: now() + 20_000, runMs: 90_000 })
      expect(await q.settle(d, { as: 'extend', leaseMs: 60_000 })).toEqual({ expiresAt: now() + 20_000 })
      pass(20_000)
      await q.turn()
      expect((await q.job('d', 'q/dead'))?.dead).toEqual({ reason: 'max_attempts', at: now() })
    })

    test('go to the dead letters by the time of a run, which counts there, too', async () => {
      await desk().send([named('a', { policy: { runMs: 5, maxAttempts: 1 } })])
      await desk().take('w')
      pass(5)
      await desk().turn()
      const error = 'ran longer than its runMs of 5 ms'
      const at = given().engine.clock.now
      expect((await desk().job('a', 'q/dead'))?.dead).toEqual({ reason: 'max_attempts', error, at })
      expect(await desk().take('w', {}, 'q/dead')).toMatchObject({ runMs: 5, expiresAt: at + 5 })
      pass(5)
      await desk().turn('q/dead')
      expect((await desk().job('a', 'q/dead'))?.history.at(-1)).toMatchObject({ what: 'lapsed', why: error })
    })

    test('are many in a call, each with its own, and leave no trace when they are gone', async () => {
      const drafts = Array.from({ length: 9 }, (_, i) =>
        named(`j${i}`, i % 3 === 0 ? {} : { policy: { maxAttempts: i, keepMs: 0 } }),
      )
      await desk().send(drafts)
      const jobs = await given().store.queues.jobs('q', { state: 'ready', limit: 10 })
      expect(jobs.map(({ policy }) => policy?.maxAttempts)).toEqual(
        [0, 1, 2, 0, 4, 5, 0, 7, 8].map((n) => n || undefined),
      )
      await given().store.queues.purge('q', { before: given().engine.clock.now, limit: 100 }, KEEP)
      const removed = await given().store.queues.finished('q', { state: 'removed', limit: 10 })
      expect(removed.map(({ id }) => id).toSorted()).toEqual(['j0', 'j3', 'j6'])
      await desk().put('j1')
      expect(await desk().job('j1')).not.toHaveProperty('policy')
      expect(await waits()).toHaveLength(2)
      const unnamed = [1, 1, 2, undefined].map((n) => {
        const { id: _, ...draft } = named('x', n === undefined ? {} : { policy: { maxAttempts: n } })
        return draft
      })
      const { ids } = await desk().send(unnamed)
      const own = await given().store.queues.jobs('q', { ids })
      expect(own.map(({ policy }) => policy?.maxAttempts)).toEqual([1, 1, 2, undefined])
    })
  })
}
