/** The contract's queues: settling and claiming in one call. */

import { describe, expect, test } from 'vitest'
import type { Claim, Claimed, Settlement, SettleOutcome } from '../../../server/store/contract/store.ts'
import { RepriseError } from '../../../shared/errors.ts'
import { infoOf } from './calls.ts'
import type { Case } from './cursors.ts'
import { text } from './fixture.ts'
import { type Desk, deskOf, LEASE, named, POLICY } from './queueDesk.ts'

interface Held {
  readonly id: string
  readonly lease: string
}

export function describeQueueNext(given: () => Case): void {
  const desk = () => deskOf(given().store)
  const pass = (ms: number): void => {
    given().engine.clock.now += ms
  }
  const settleNext = (
    q: Desk,
    jobs: readonly Held[],
    as: 'done' | 'retry' | 'release' | 'dead',
    next: Claim,
    more: object = {},
  ): Promise<SettleOutcome> => {
    const settlements = jobs.map(({ id, lease }) => ({ id, lease, as, ...more }) as Settlement)
    return given().store.queues.settle('q', settlements, q.policy, next.consumer, next)
  }
  const taken = ({ claimed }: SettleOutcome): Claimed => {
    if (claimed === undefined || claimed instanceof RepriseError) throw new Error(`no claim: ${claimed?.message}`)
    return claimed
  }
  const ids = (outcome: SettleOutcome): string[] => taken(outcome).jobs.map(({ id }) => id)

  describe('a claim behind settlements', () => {
    test('gets what waits, and answers what a claim of its own would', async () => {
      const q = desk()
      await q.put('a', 'b', 'c')
      await q.send([named('later', { due: { delayMs: 7_000 } })])
      const first = await q.take('w')
      const outcome = await settleNext(q, [first], 'done', q.asking('w'))
      expect(outcome.settled).toEqual(['ok'])
      const { jobs, ...rest } = taken(outcome)
      expect(rest).toEqual({ waiting: 1, suspects: 0, nextAt: given().engine.clock.now + 7_000 })
      const [job] = jobs
      expect(job).toMatchObject({ id: 'b', attempts: 0, deliveries: 1, body: text('b') })
      expect(job?.expiresAt).toBe(given().engine.clock.now + LEASE)
      expect(await q.job('b')).toMatchObject({ state: 'held', holder: { subject: 'ann', client: 'w' } })
      expect(await q.books()).toMatchObject({ sent: 4, done: 1, held: 1, ready: 1, delayed: 1 })
      expect(await q.settle(job as Held, { as: 'done' })).toBe('ok')
    })

    test('is not asked where there is none', async () => {
      const q = desk()
      await q.put('a', 'b')
      const { id, lease } = await q.take('w')
      expect(await given().store.queues.settle('q', [{ id, lease, as: 'done' }], POLICY)).toEqual({ settled: ['ok'] })
      expect(await q.books()).toMatchObject({ held: 0, ready: 1 })
    })

    test('gets nothing twice: each of many calls at once another job', async () => {
      const q = desk()
      await q.put(...Array.from({ length: 60 }, (_, i) => `j${i}`))
      const { jobs } = await q.claim('w', { max: 20 })
      const outcomes = await Promise.all(jobs.map((job) => settleNext(q, [job], 'done', q.asking('w', { max: 2 }))))
      const next = outcomes.flatMap(ids)
      expect(next).toEqual(Array.from({ length: 40 }, (_, i) => `j${20 + i}`))
      expect(await q.books()).toMatchObject({ done: 20, held: 40, ready: 0 })
    })

    test('keeps to its bounds: jobs, and bytes of bodies', async () => {
      const q = desk()
      await q.send(Array.from({ length: 6 }, (_, i) => named(`j${i}`, { body: text('x'.repeat(100)) })))
      const first = await q.take('w')
      const second = await settleNext(q, [first], 'done', q.asking('w', { max: 2 }))
      expect([ids(second), taken(second).waiting]).toEqual([['j1', 'j2'], 3])
      const third = await settleNext(q, taken(second).jobs, 'done', q.asking('w', { max: 9, bytes: 335 }))
      expect([ids(third), taken(third).waiting]).toEqual([['j3', 'j4'], 1])
    })

    test('keeps to the rate', async () => {
      const q = desk()
      await q.put('a', 'b', 'c')
      const first = await q.take('w', { rate: 2 })
      const second = await settleNext(q, [first], 'done', q.asking('w', { rate: 2 }))
      expect(taken(second)).toEqual({ jobs: [], waiting: 0, suspects: 0, nextAt: given().engine.clock.now + 500 })
      pass(500)
      expect(ids(await settleNext(q, [], 'done', q.asking('w', { rate: 2 })))).toEqual(['b'])
    })

    test('gets what the settlements free: the next of a line, and what is due again at once', async () => {
      const q = desk()
      await q.send(['a', 'b', 'c'].map((id) => named(id, { key: 'k' })))
      const a = await q.take('w')
      const b = await settleNext(q, [a], 'done', q.asking('w', { max: 9 }))
      expect(ids(b)).toEqual(['b'])
      const again = await settleNext(q, taken(b).jobs, 'retry', q.asking('w', { max: 9 }), { delayMs: 0 })
      expect(taken(again).jobs).toMatchObject([{ id: 'b', attempts: 1, deliveries: 2 }])
      const c = await settleNext(q, taken(again).jobs, 'dead', q.asking('w', { max: 9 }))
      expect(ids(c)).toEqual(['c'])
      const back = await settleNext(q, taken(c).jobs, 'release', q.asking('w', { max: 9 }))
      expect(taken(back).jobs).toMatchObject([{ id: 'c', attempts: 0, deliveries: 2 }])
    })

    test('finds the hands that the settlements have emptied: a suspect goes into them, and nothing beside it', async () => {
      const q = desk()
      await q.put('a', 'b', 'c', 'd')
      await q.claim('gone', { max: 2, leaseMs: 1_000 })
      const mine = await q.take('w')
      pass(1_000)
      const full = await settleNext(q, [], 'done', q.asking('w', { max: 9 }))
      expect([ids(full), taken(full).suspects]).toEqual([['d'], 2])
      const emptied = await settleNext(q, [mine, ...taken(full).jobs], 'done', q.asking('w', { max: 9 }))
      expect([ids(emptied), taken(emptied).waiting]).toEqual([['a'], 1])
      expect(ids(await settleNext(q, taken(emptied).jobs, 'done', q.asking('w', { max: 9 })))).toEqual(['b'])
    })

    test('is not made where the queue is paused', async () => {
      const q = desk()
      await q.put('a', 'b')
      const first = await q.take('w')
      await given().store.queues.pause('q', true)
      const outcome = await settleNext(q, [first], 'done', q.asking('w'))
      expect(outcome).toEqual({ settled: ['ok'], claimed: { jobs: [], waiting: 0, suspects: 0 } })
    })

    test('is made beside settlements that are lost', async () => {
      const q = desk()
      await q.put('a', 'b')
      const first = await q.take('w')
      await q.settle(first, { as: 'retry', delayMs: 60_000 })
      const outcome = await settleNext(q, [first, { id: 'a', lease: 'nobody' }], 'done', q.asking('w'))
      expect([outcome.settled, ids(outcome)]).toEqual([['lost', 'lost'], ['b']])
    })

    test('works among the dead letters', async () => {
      const q = desk()
      await q.put('a', 'b')
      for (const job of (await q.claim('w', { max: 2 })).jobs) await q.settle(job, { as: 'dead' })
      const first = await q.take('w', {}, 'q/dead')
      const { id, lease } = first
      const next = q.asking('w', {}, 'q/dead')
      const { queues } = given().store
      const outcome = await queues.settle('q/dead', [{ id, lease, as: 'done' }], POLICY, next.consumer, next)
      expect([outcome.settled, ids(outcome)]).toEqual([['ok'], ['b']])
      expect(await q.books('q/dead')).toMatchObject({ sent: 2, done: 1, held: 1 })
    })

    test('of a session that is over undoes nothing: the settlements count, and the refusal is told', async () => {
      const q = desk()
      await q.put('a', 'b')
      const first = await q.take('w')
      const next = q.asking('w')
      await q.attach('w')
      const over = await settleNext(q, [first], 'done', next)
      expect(over).toMatchObject({ settled: ['ok'], claimed: { code: 'taken_over' } })
      expect(await q.books()).toMatchObject({ done: 1, held: 0, ready: 1 })

      const second = await q.take('w')
      await q.detach('w', 'keep')
      const gone = await settleNext(q, [second], 'done', q.asking('w'))
      expect(gone).toMatchObject({ settled: ['ok'], claimed: { code: 'not_found' } })
      expect(await q.books()).toMatchObject({ done: 2, held: 0, ready: 0 })
      expect(await settleNext(q, [second], 'done', q.asking('w'))).toMatchObject({ settled: ['ok'] })
    })

    test('of a queue that nobody knows is refused, too', async () => {
      const q = desk()
      const next = q.asking('w')
      const { queues } = given().store
      const outcome = await queues.settle('never', [{ id: 'a', lease: '1.1.x', as: 'done' }], POLICY, undefined, next)
      expect(outcome).toMatchObject({ settled: ['lost'], claimed: { code: 'not_found' } })
      expect(await infoOf(queues, 'never')).toBeUndefined()
    })

    test('tells listeners of the leases of others that the settlements end', async () => {
      const q = desk()
      await q.put('a', 'b')
      const theirs = await q.take('v')
      await q.attach('w')
      const told: unknown[] = []
      const unwatch = await given().store.queues.watch('q', (notification) => told.push(notification))
      await settleNext(q, [theirs], 'done', q.asking('w'))
      await given().engine.heard?.()
      const consumer = { subject: 'ann', client: 'v' }
      expect(told).toContainEqual({ kind: 'settled', consumer, leases: [theirs.lease] })
      unwatch()
    })
  })
}
