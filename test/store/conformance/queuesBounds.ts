/** The contract's queues at their bounds: what is forgotten and when, what one turn does, how much of a job's past is kept. */

import { describe, expect, test } from 'vitest'
import type { JobLoss } from '../../../server/store/contract/store.ts'
import { firedIn, infoOf, maintain } from './calls.ts'
import type { Case } from './cursors.ts'
import { text } from './fixture.ts'
import { CAP, deskOf, holder, LEASE, named, POLICY, ROOM } from './queueDesk.ts'

const MINUTE = 60_000
const DAY = 86_400_000

export function describeQueueBounds(given: () => Case): void {
  const desk = () => deskOf(given().store)
  const pass = (ms: number): void => {
    given().engine.clock.now += ms
  }
  const plain = { body: text(1), priority: 4, ttlMs: 30 * DAY }

  describe('what is remembered of senders', () => {
    test('at most so many ids of a subject, the oldest forgotten first', async () => {
      const { engine, store } = given()
      await store.close()
      const q = deskOf(await engine.open({ maxIds: 3 }))
      await q.put('a', 'b', 'c')
      await q.send([named('d')], { subject: 'bob' })
      expect(await q.put('a')).toMatchObject({ duplicates: 1 })
      expect(await q.put('e')).toMatchObject({ forgottenIds: 1 })
      expect(await q.put('b', 'c', 'e')).toMatchObject({ ids: ['b', 'c', 'e'], duplicates: 3 })
      const again = await q.put('a')
      expect([again.duplicates, again.ids[0]?.startsWith('a~')]).toEqual([0, true])
      expect(await q.send([named('d')], { subject: 'bob' })).toMatchObject({ duplicates: 1 })
      // Those whose time is over are not forgotten early.
      pass(5 * MINUTE)
      const late = await q.put('f', 'g', 'h')
      expect([late.duplicates, late.forgottenIds]).toEqual([0, undefined])
    })

    test('a producer for 7 days after its last use, swept or not, and then its numbers begin anew', async () => {
      for (const swept of [false, true]) {
        const name = swept ? 'swept' : 'kept'
        const q = desk()
        const send = (seq: number) => q.send([plain], { producer: { name, seq } })
        const first = await send(1)
        pass(7 * DAY - 1)
        expect(await send(1)).toMatchObject({ ids: first.ids, duplicates: 1 })
        pass(7 * DAY - 1)
        const second = await send(2)
        expect(second.duplicates).toBe(0)
        pass(7 * DAY)
        if (swept) while ((await maintain(given().store)).more);
        await expect(send(3)).rejects.toMatchObject({ code: 'conflict' })
        expect((await send(1)).duplicates).toBe(0)
      }
    })

    test('the ids of its last 1,024 drafts at least', async () => {
      const q = desk()
      const send = (seq: number, count: number) => q.send(Array(count).fill(plain), { producer: { name: 'p', seq } })
      const first = await send(1, 600)
      await send(601, 600)
      expect(await send(177, 1)).toMatchObject({ ids: [first.ids[176]], duplicates: 1 })
      const across = await send(500, 200)
      expect([across.ids.slice(0, 101), across.duplicates]).toEqual([first.ids.slice(499), 200])
      await send(1_201, 1_024)
      const message = expect.stringMatching(/^draft 177 of producer .* was taken, but its id is no longer kept$/)
      await expect(send(177, 1)).rejects.toMatchObject({ code: 'conflict', message })
      expect((await q.books())?.sent).toBe(2_224)
    })
  })

  describe('what one call does', () => {
    test('a turn a part of what is due, in its order, and nothing is early meanwhile', async () => {
      const q = desk()
      const { store } = given()
      const fire = () => store.maintain(() => POLICY, 'q')
      const count = 250
      const ids = Array.from({ length: count }, (_, i) => `j${i}`)
      await q.send(ids.map((id) => named(id, { due: { delayMs: 1_000 } })))
      pass(999)
      expect(await fire()).toMatchObject({ more: false })
      expect(await firedIn(store)).toEqual([])
      expect(await q.books()).toMatchObject({ ready: 0, delayed: count })
      pass(1)
      let turns = 0
      for (let more = true; more; turns++) {
        more = (await fire()).more
      }
      expect(turns).toBeGreaterThan(1)
      expect(await firedIn(store)).toEqual([])
      expect(await q.listed('ready')).toEqual(ids)
      expect(await q.ids('w', { max: 1_000 })).toEqual(ids)
      pass(LEASE)
      await q.turn()
      expect(await q.books()).toMatchObject({ ready: count, held: 0 })
    })

    test('nothing expired is handed out, whatever a turn has reached', async () => {
      const q = desk()
      const count = 450
      await q.send(Array.from({ length: count }, (_, i) => named(`j${i}`, { ttlMs: 1_000 })))
      await q.put('lasts')
      pass(1_000)
      const taken: string[] = []
      for (let calls = 0; taken.length === 0 && calls < 10; calls++) taken.push(...(await q.ids('w')))
      expect(taken).toEqual(['lasts'])
      await q.turn()
      expect(await q.books()).toMatchObject({ held: 1, dead: count })
    })

    test('detaching begins with a turn, of an older session too', async () => {
      const q = desk()
      await q.send([named('a', { due: { delayMs: 1_000 } })])
      await q.attach('w')
      const older = q.session('w')
      await q.attach('w')
      pass(1_000)
      await q.detach('w', 'release', older)
      expect(await q.listed('ready')).toEqual(['a'])
      await q.attach('v')
      expect(await q.ids('w')).toEqual(['a'])
    })

    test('a claim tells when the rate allows more, also where some of it may go at once', async () => {
      const q = desk()
      await q.put('a', 'b', 'c')
      const { jobs, waiting, nextAt } = await q.claim('w', { rate: 20 })
      expect([jobs.length, waiting, nextAt]).toEqual([1, 1, given().engine.clock.now + 50])
    })
  })

  test('a request that is released after its time has passed is dead-lettered in that call', async () => {
    const q = desk()
    await q.send([named('a', { replyMs: 1_000 })])
    const job = await q.take('w')
    pass(2_000)
    await q.turn()
    expect(await q.settle(job, { as: 'release' })).toBe('ok')
    expect(await q.listed('ready')).toEqual([])
    expect(await q.job('a', 'q/dead')).toMatchObject({ dead: { reason: 'expired' } })
  })

  describe('what befell a job', () => {
    test('is kept of the last 20 things, and names who held it at its end', async () => {
      const q = desk()
      await q.put('a')
      for (let i = 0; i < 25; i++) await q.settle(await q.take(`w${i}`), { as: 'release' })
      pass(5)
      await q.settle(await q.take('v'), { as: 'retry', delayMs: 0 })
      const { history = [] } = (await q.job('a')) ?? {}
      expect(history).toHaveLength(20)
      expect(history.at(-1)).toEqual({ at: given().engine.clock.now, what: 'retry', holder: holder('v') })
      for (const error of ['two', 'three']) await q.settle(await q.take('u'), { as: 'retry', delayMs: 0, error })
      const dead = (await q.job('a', 'q/dead'))?.history ?? []
      expect(dead).toHaveLength(20)
      expect(dead.at(-1)).toMatchObject({ what: 'dead', holder: holder('u'), why: 'three' })
    })
  })

  test('a hold of several leases that ends with a grace of nothing ends them in the order of their hand-outs', async () => {
    const q = desk()
    await q.send([named('low', { priority: 0 }), named('high', { priority: 9 })])
    const policy = { ...POLICY, maxAttempts: 1 }
    await q.claim('w', { max: 2, policy, leaseMs: LEASE, capMs: CAP })
    await given().store.queues.detach('q', holder('w'), q.session('w'), { graceMs: 0 }, policy)
    expect(await q.listed('ready')).toEqual(['low', 'high'])
    expect(await q.job('high')).toMatchObject({ suspect: true, attempts: 0 })
  })

  test('a job held again is not alone where its holder held another one since', async () => {
    const q = desk()
    await q.put('a', 'b')
    const a = await q.take('w')
    pass(LEASE)
    const b = await q.take('w')
    pass(LEASE)
    await q.turn()
    expect(await q.job('b')).toMatchObject({ state: 'delayed', attempts: 1 })
    expect(await q.settle(a, { as: 'extend', leaseMs: 1_000 })).toBe('ok')
    expect(await q.settle(a, { as: 'done' })).toBe('ok')
    expect(await q.settle(b, { as: 'extend', leaseMs: 1_000 })).toBe('ok')
    pass(1_000)
    await q.turn()
    expect(await q.job('b')).toMatchObject({ state: 'ready', attempts: 1, suspect: true })
  })

  test('a suspect that is held again fills the hands of a holder that was forgotten meanwhile, too', async () => {
    const q = desk()
    await q.put('a', 'b', 'c')
    const [a] = (await q.claim('w', { max: 2 })).jobs
    if (a === undefined) throw new Error('two jobs were there')
    pass(MINUTE + 1)
    await q.turn()
    while ((await maintain(given().store)).more);
    expect(await q.settle(a, { as: 'extend', leaseMs: LEASE })).toBe('ok')
    expect((await q.attach('w')).held.map(({ id }) => id)).toEqual(['a'])
    expect(await q.ids('w')).toEqual([])
    await q.settle(a, { as: 'done' })
    expect(await q.ids('w')).toEqual(['b'])
  })

  test('the same settlement again is ok by a clock that went back, too', async () => {
    const q = desk()
    await q.put('a')
    const job = await q.take('w')
    await q.settle(job, { as: 'done' })
    pass(-500)
    expect(await q.settle(job, { as: 'done' })).toBe('ok')
  })

  test('what a binding could not copy is no job: a redrive leaves it where it is', async () => {
    const { queues } = given().store
    const q = desk()
    const [from, to] = [1, 2].map((offset) => ({ epoch: 'e', offset })) as [
      { epoch: string; offset: number },
      { epoch: string; offset: number },
    ]
    await queues.bind('q', 't', from)
    await queues.enqueue('q', {
      subject: 'ann',
      drafts: [named('gap-1', { dead: { reason: 'gap' } }), named('copied')],
      limit: ROOM,
      binding: { topic: 't', from, to },
    })
    await q.settle(await q.take('w'), { as: 'dead' })
    expect(await queues.redrive('q', ['gap-1', 'copied'], { ttlMs: MINUTE })).toBe(1)
    expect([await q.listed('ready'), await q.listed('ready', 'q/dead')]).toEqual([['copied'], ['gap-1']])
    expect(await q.books()).toMatchObject({ sent: 2, ready: 1, dead: 1 })
  })

  test('what a binding does not let in is a dead letter with its reason and its error, and can be redriven', async () => {
    const { queues } = given().store
    const q = desk()
    const [from, to] = [
      { epoch: 'e', offset: 0 },
      { epoch: 'e', offset: 3 },
    ]
    await queues.bind('q', 't', from)
    const error = 'no: ü'
    const drafts = [
      named('a', { dead: { reason: 'rejected', error } }),
      named('b', { key: 'k', dead: { reason: 'rejected' } }),
      named('c', { key: 'k' }),
    ]
    await queues.enqueue('q', { subject: '', drafts, limit: ROOM, binding: { topic: 't', from, to } })
    const letters = await queues.jobs('q/dead', { state: 'ready', limit: 5 })
    expect(letters.map(({ dead, key }) => ({ ...dead, key }))).toEqual([
      { reason: 'rejected', error, at: letters[0]?.sentAt, key: undefined },
      { reason: 'rejected', at: letters[1]?.sentAt, key: 'k' },
    ])
    expect(await queues.redrive('q', ['a', 'b'], { ttlMs: MINUTE })).toBe(2)
    expect(await q.books()).toMatchObject({ sent: 3, ready: 3, dead: 0 })
  })

  test('who opened the store is told of dead letters by reason, and of leases that lapsed by holder', async () => {
    const { engine, store } = given()
    await store.close()
    const losses: (JobLoss & { readonly queue: string })[] = []
    const opened = await engine.open({ lost: (queue, loss) => losses.push({ queue, ...loss }) })
    const told = () => losses.splice(0)
    const q = deskOf(opened)
    await q.put('a', 'b', 'c', 'd')
    const jobs = (await q.claim('w', { max: 4 })).jobs
    await opened.queues.settle(
      'q',
      jobs.slice(0, 2).map(({ id, lease }) => ({ id, lease, as: 'dead' })),
      POLICY,
    )
    expect(told()).toEqual([{ queue: 'q', kind: 'dead', reason: 'rejected', jobs: 2 }])
    pass(LEASE)
    await q.turn()
    expect(told()).toEqual([{ queue: 'q', kind: 'lapsed', consumer: holder('w'), jobs: 2 }])
    await q.turn()
    await q.send([named('short', { ttlMs: 1 })])
    pass(1)
    await q.turn()
    expect(told()).toEqual([{ queue: 'q', kind: 'dead', reason: 'expired', jobs: 1 }])

    await q.attach('v', undefined, LEASE, 'q/dead')
    await q.take('v', {}, 'q/dead')
    pass(LEASE)
    await q.turn()
    expect(told()).toEqual([{ queue: 'q/dead', kind: 'lapsed', consumer: holder('v'), jobs: 1 }])
    const [from, to] = [0, 1].map((offset) => ({ epoch: 'e', offset }))
    if (from === undefined || to === undefined) throw new Error('no positions')
    await opened.queues.bind('q', 't', from)
    await q.send([named('gap-1', { dead: { reason: 'gap' } })], { subject: '', binding: { topic: 't', from, to } })
    expect(told()).toEqual([{ queue: 'q', kind: 'dead', reason: 'gap', jobs: 1 }])
  })

  test('a sweep leaves what counts: a holder that is there, an answer that is waited for, a lease that was settled', async () => {
    const { store } = given()
    const q = desk()
    await q.send([named('r', { replyMs: 10 * MINUTE })])
    const job = await q.take('w')
    await q.settle(job, { as: 'done', reply: text('yes') })
    const sweep = async (): Promise<void> => {
      while ((await maintain(store)).more);
    }
    pass(5 * MINUTE - 1)
    await q.attach('v')
    await sweep()
    expect(await q.settle(job, { as: 'done' })).toBe('ok')
    expect((await infoOf(store.queues, 'q'))?.consumers).toBe(1)
    pass(1)
    await sweep()
    expect(await q.settle(job, { as: 'done' })).toBe('lost')
    expect(await store.queues.answer('q', 'r')).toEqual({ state: 'done', reply: text('yes') })
    expect(await q.send([named('r', { replyMs: MINUTE })])).toMatchObject({ ids: ['r'], duplicates: 1 })
    const session = q.session('w')
    expect((await q.attach('w')).session).toBeGreaterThan(session)
    pass(5 * MINUTE)
    await sweep()
    expect(await store.queues.answer('q', 'r')).toBeUndefined()
    expect(await q.send([named('r')])).toMatchObject({ ids: ['r'], duplicates: 0 })
  })
}
