/** The contract's finished jobs: what is kept of them, how much, for how long. */

import { describe, expect, test } from 'vitest'
import type { FinishedState, Keeping, Settlement } from '../../../../server/store/contract/store.ts'
import { remove } from '../calls.ts'
import type { Case } from '../cursors.ts'
import { text } from '../fixture.ts'
import { deskOf, LEASE, named, POLICY } from '../queueDesk.ts'

const DAY = 86_400_000
const KEEP: Keeping = { count: 1_000, ageMs: DAY, bytes: 1e9 }

export function describeQueueFinished(given: () => Case): void {
  const desk = () => deskOf(given().store)
  const pass = (ms: number): void => {
    given().engine.clock.now += ms
  }
  const settle = async (settlements: readonly Settlement[], keep: Keeping | 'none' = KEEP, queue = 'q') => {
    const policy = keep === 'none' ? POLICY : { ...POLICY, keep }
    return (await given().store.queues.settle(queue, settlements, policy)).settled
  }
  /** Sends a job with this id, works for 10 ms, and ends it. */
  const work = async (id: string, keep: Keeping | 'none' = KEEP, result?: unknown) => {
    const q = desk()
    await q.put(id)
    const { lease } = await q.take('w')
    pass(10)
    await settle([{ id, lease, as: 'done', ...(result !== undefined && { reply: text(result) }) }], keep)
  }
  const kept = async (state: FinishedState = 'done', after?: string) => {
    const query = { state, limit: 1_000, ...(after !== undefined && { after }) }
    return (await given().store.queues.finished('q', query)).map(({ id }) => id)
  }
  const one = async (id: string) => (await given().store.queues.finished('q', { ids: [id] }))[0]
  const forget = async () => {
    while ((await given().store.maintain(() => POLICY)).more);
  }

  describe('finished jobs', () => {
    test('are told with their result, their times and what happened to them, also after the store was opened again', async () => {
      const q = desk()
      const { ids } = await q.send([{ body: text('plain'), priority: 7, ttlMs: DAY }])
      await q.send([named('a', { key: 'k' })])
      const { now } = given().engine.clock
      const [plain, keyed] = (await q.claim('w', { max: 2 })).jobs
      if (plain === undefined || keyed === undefined) throw new Error('two jobs were there')
      pass(40)
      await q.settle(keyed, { as: 'retry', error: 'no luck', delayMs: 0 })
      pass(5)
      const again = await q.take('w')
      pass(50)
      await settle([
        {
          ...plain,
          as: 'done',
          reply: { json: '{"data":{"b":null}}', binaries: [{ path: ['b'], bytes: Buffer.of(7) }] },
        },
        { ...again, as: 'done', reply: text('x'.repeat(5_000)) },
      ])
      const store = await given().reopen()
      const [told, other] = await store.queues.finished('q', { ids: [ids[0] ?? '', 'a', 'never'] })
      const { result, ...rest } = told ?? {}
      expect(rest).toEqual({
        ...{ id: ids[0], state: 'done', subject: 'ann', priority: 7, attempts: 0, deliveries: 1, history: [] },
        ...{ sentAt: now, startedAt: now, endedAt: now + 95 },
      })
      expect([result?.json, result?.binaries?.map(({ bytes }) => [...bytes])]).toEqual(['{"data":{"b":null}}', [[7]]])
      expect(other).toMatchObject({
        id: 'a',
        key: 'k',
        attempts: 1,
        deliveries: 2,
        startedAt: now + 45,
        endedAt: now + 95,
      })
      expect(other?.history).toMatchObject([{ what: 'retry', why: 'no luck' }])
      expect(other?.result?.json).toBe(text('x'.repeat(5_000)).json)
      expect(await desk().books()).toMatchObject({ sent: 2, done: 2 })
    })

    test('are none where the policy keeps nothing', async () => {
      await work('a', 'none')
      await work('b', { ...KEEP, count: 0 })
      await work('c', { ...KEEP, ageMs: 0 })
      expect(await kept()).toEqual([])
    })

    test('are kept for as long as the policy of their own call says, whatever is settled in the same turn', async () => {
      const q = desk()
      await q.put('a', 'b')
      const jobs = (await q.claim('w', { max: 2 })).jobs.map(({ id, lease }) => ({ id, lease, as: 'done' as const }))
      const [a, b] = jobs
      if (a === undefined || b === undefined) throw new Error('two jobs were there')
      await Promise.all([settle([a], { ...KEEP, ageMs: 1_000 }), settle([b])])
      pass(5_000)
      expect([await one('a'), (await one('b'))?.state]).toEqual([undefined, 'done'])
    })

    test('are removed ones, too: by id, by a purge, and dead letters that are over', async () => {
      const q = desk()
      const { queues } = given().store
      await q.put('dead')
      await q.settle(await q.take('w'), { as: 'dead', error: 'bad' })
      await q.put('one', 'two')
      expect(await remove(queues, 'q', 'one', KEEP)).toBe(true)
      await queues.purge('q', { before: given().engine.clock.now, limit: 10 }, KEEP)
      pass(1)
      const policy = { ...POLICY, deadMs: 1, keep: KEEP }
      while ((await given().store.maintain(() => policy, 'q')).more);
      expect(await kept('removed')).toEqual(['dead', ...(await kept('removed')).slice(1)])
      expect((await kept('removed')).toSorted()).toEqual(['dead', 'one', 'two'])
      expect(await one('dead')).toMatchObject({ state: 'removed', error: 'bad', deliveries: 1 })
      expect(await kept('done')).toEqual([])
    })

    test('a dead letter that is done is told as done, with the run that made it a dead letter', async () => {
      const q = desk()
      const { now } = given().engine.clock
      await q.put('a')
      const job = await q.take('w')
      pass(20)
      await q.settle(job, { as: 'dead', error: 'bad' })
      expect(await q.job('a', 'q/dead')).toMatchObject({ startedAt: now, dead: { at: now + 20 } })
      const letter = await q.take('w', {}, 'q/dead')
      await settle([{ ...letter, as: 'done', reply: text(1) }], KEEP, 'q/dead')
      expect(await one('a')).toMatchObject({ state: 'done', startedAt: now, endedAt: now + 20, deliveries: 2 })
      expect(await one('a')).not.toHaveProperty('error')
      expect(await q.books()).toMatchObject({ done: 1, dead: 0 })
    })

    test('are so many of each state at most, the last ones, and come page by page from the last one on', async () => {
      for (const id of ['a', 'b', 'c', 'd', 'e']) await work(id, { ...KEEP, count: 3 })
      expect(await kept()).toEqual(['e', 'd', 'c'])
      expect(await kept('done', 'd')).toEqual(['c'])
      expect(await kept('removed', 'd')).toEqual([])
      expect(await kept('done', 'a')).toEqual([])
      expect(await one('b')).toBeUndefined()
      await desk().put('gone')
      await remove(given().store.queues, 'q', 'gone', { ...KEEP, count: 3 })
      expect(await kept()).toHaveLength(3)
    })

    test('are no more where nobody settles: removed by id, purged, and dead letters whose time is over', async () => {
      const q = desk()
      const { queues } = given().store
      const keep = { ...KEEP, count: 2 }
      await q.put('a', 'b', 'c')
      for (const id of ['a', 'b', 'c']) await remove(queues, 'q', id, keep)
      expect(await kept('removed')).toEqual(['c', 'b'])
      await q.put('d', 'e', 'f', 'g')
      await queues.purge('q', { before: given().engine.clock.now, limit: 10 }, keep)
      expect(await kept('removed')).toHaveLength(2)
      await q.put('h', 'i', 'j')
      for (const _ of [1, 2, 3]) await q.settle(await q.take('w'), { as: 'dead' })
      pass(2)
      while ((await given().store.maintain(() => ({ ...POLICY, deadMs: 1, keep }), 'q')).more);
      expect(await kept('removed')).toHaveLength(2)
      expect((await q.books())?.removed).toBe(10)
    })

    test('are fewer after settlements when fewer are kept, a part at a time', async () => {
      const q = desk()
      const ids = Array.from({ length: 350 }, (_, i) => `j${i}`)
      await q.put(...ids)
      const { jobs } = await q.claim('w', { max: 350 })
      await settle(jobs.map(({ id, lease }) => ({ id, lease, as: 'done' as const })))
      expect(await kept()).toHaveLength(350)
      for (let i = 0; i < 5; i++) await work(`w${i}`, { ...KEEP, count: 2 })
      expect(await kept()).toEqual(['w4', 'w3'])
    })

    test('take so many bytes at most: the oldest go, and one that is too large is not kept', async () => {
      const keep = { ...KEEP, bytes: 10_000 }
      for (const id of ['a', 'b', 'c']) await work(id, keep, 'x'.repeat(3_500))
      expect(await kept()).toEqual(['c', 'b'])
      await work('large', keep, 'x'.repeat(10_000))
      expect(await kept()).toEqual(['c', 'b'])
      for (const id of ['d', 'e', 'f']) await work(id, keep)
      expect((await kept()).slice(0, 4)).toEqual(['f', 'e', 'd', 'c'])
    })

    test('are forgotten when their time is over', async () => {
      await work('old')
      pass(DAY - 1_000)
      await work('young')
      expect(await kept()).toEqual(['young', 'old'])
      pass(1_000)
      expect([await kept(), await one('old')]).toEqual([['young'], undefined])
      await forget()
      expect(await kept()).toEqual(['young'])
      pass(DAY)
      await forget()
      expect(await kept()).toEqual([])
      await work('later')
      expect(await kept()).toEqual(['later'])
    })

    test('a job with the id of a finished one takes its place', async () => {
      const q = desk()
      await work('a', KEEP, 1)
      await work('b')
      pass(300_000)
      const refused = q.send([named('a')], { limit: { jobs: 0, bytes: 1e9 } })
      await expect(refused).rejects.toMatchObject({ code: 'too_many' })
      expect(await kept()).toEqual(['b', 'a'])
      expect((await q.send([named('a')])).ids).toEqual(['a'])
      expect([await one('a'), await kept()]).toEqual([undefined, ['b']])
      expect(await q.job('a')).toMatchObject({ state: 'ready', deliveries: 0 })
      const { id, lease } = await q.take('w')
      await settle([{ id, lease, as: 'done', reply: text(2) }])
      expect((await one('a'))?.result?.json).toBe(text(2).json)
      expect(await kept()).toEqual(['a', 'b'])
      // What is forgotten of others takes nothing of it.
      pass(300_000)
      await q.put('b')
      await settle([], { ...KEEP, count: 0 })
      expect([await kept(), (await q.job('b'))?.state]).toEqual([[], 'ready'])
    })

    test('a lease that was settled late ends a job without a run, and a settlement again changes nothing', async () => {
      const q = desk()
      await q.put('a', 'b')
      const [a, b] = (await q.claim('w', { max: 2 })).jobs
      if (a === undefined || b === undefined) throw new Error('two jobs were there')
      pass(LEASE)
      await q.turn()
      expect(
        await settle([
          { ...a, as: 'done' },
          { ...a, as: 'done' },
        ]),
      ).toEqual(['ok', 'ok'])
      expect(await one('a')).not.toHaveProperty('startedAt')
      expect(await kept()).toEqual(['a'])
    })

    test('whoever waits for the end of a job is told of it, and what became of it is there for a minute', async () => {
      const q = desk()
      const { queues } = given().store
      const told: string[] = []
      await queues.watch('q', (one) => {
        if (one.kind === 'answered') told.push(one.id)
      })
      const { now } = given().engine.clock
      await q.put('done', 'dead', 'removed', 'late', 'unawaited')
      const waits = (id: string, ms = 300_000) => queues.awaitEnd('q', id, now + ms)
      expect(await Promise.all([waits('done'), waits('dead'), waits('removed'), waits('late', 5)])).toEqual(
        Array(4).fill(true),
      )
      expect(await waits('never')).toBe(false)
      const jobs = new Map((await q.claim('w', { max: 5 })).jobs.map((job) => [job.id, job.lease]))
      await q.settle({ id: 'removed', lease: jobs.get('removed') ?? '' }, { as: 'release' })
      pass(10)
      await remove(queues, 'q', 'removed')
      const ending = (id: string, as: 'done' | 'dead') => ({ id, lease: jobs.get(id) ?? '', as })
      await settle(
        [
          { ...ending('done', 'done'), as: 'done', reply: text('yes') },
          { ...ending('dead', 'dead'), as: 'dead', error: 'bad' },
          ...(['late', 'unawaited'] as const).map((id) => ({ ...ending(id, 'done'), as: 'done' as const })),
        ],
        'none',
      )
      await given().engine.heard?.()
      const { queues: again } = await given().reopen()
      const answers = await Promise.all(
        ['done', 'dead', 'removed', 'late', 'unawaited'].map((id) => again.answer('q', id)),
      )
      expect(answers[0]).toMatchObject({ state: 'done' })
      expect(answers.slice(1)).toEqual([
        { state: 'failed', reason: 'rejected', error: 'bad' },
        { state: 'failed', reason: 'removed' },
        undefined,
        undefined,
      ])
      expect(told.toSorted().filter((id) => id !== 'late')).toEqual(['dead', 'done', 'removed'])
      expect([await again.awaitEnd('q', 'dead', now + 9_000), await again.awaitEnd('q', 'done', now)]).toEqual([
        false,
        false,
      ])
      pass(60_000)
      expect(await again.answer('q', 'done')).toBeUndefined()
    })

    test('the answer of a request is kept by itself, and its result with the job', async () => {
      const q = desk()
      await q.send([named('r', { replyMs: 60_000 })])
      const { id, lease } = await q.take('w')
      await settle([{ id, lease, as: 'done', reply: text('yes') }])
      expect((await given().store.queues.answer('q', 'r'))?.state).toBe('done')
      pass(60_000)
      await forget()
      expect(await given().store.queues.answer('q', 'r')).toBeUndefined()
      expect((await one('r'))?.result?.json).toBe(text('yes').json)
    })
  })
}
