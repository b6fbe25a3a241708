/** The contract's queues: ids, places, priority, keys, and how much one claim hands out. */

import { describe, expect, test } from 'vitest'
import { infoOf, remove } from './calls.ts'
import type { Case } from './cursors.ts'
import { text } from './fixture.ts'
import { deskOf, named, ROOM, TTL } from './queueDesk.ts'

const MINUTE = 60_000

export function describeQueueOrder(given: () => Case): void {
  const desk = () => deskOf(given().store)

  describe('enqueue', () => {
    test('an id is remembered for 5 minutes, per subject, also when its job is gone', async () => {
      const { engine } = given()
      const q = desk()
      expect(await q.put('x', 'y', 'x')).toMatchObject({ ids: ['x', 'y', 'x'], duplicates: 1 })
      await q.settle(await q.take('a'), { as: 'done' })
      engine.clock.now += 5 * MINUTE - 1
      expect(await q.put('x')).toMatchObject({ ids: ['x'], duplicates: 1 })
      expect(await q.listed('ready')).toEqual(['y'])
      engine.clock.now += 1
      expect(await q.put('x')).toMatchObject({ ids: ['x'], duplicates: 0 })
      expect(await q.books()).toMatchObject({ sent: 3, ready: 2, done: 1 })
    })

    test('the id of a job that was removed or purged is a new one, also after its dead letter', async () => {
      const q = desk()
      const { queues } = given().store
      const sent = async () => {
        const { ids, duplicates } = await q.put('a')
        return [ids, duplicates]
      }
      const fresh = [['a'], 0]
      expect(await sent()).toEqual(fresh)
      expect(await remove(queues, 'q', 'a')).toBe(true)
      expect(await sent()).toEqual(fresh)
      expect(await queues.purge('q', { before: given().engine.clock.now, limit: 9 })).toBe(1)
      expect(await sent()).toEqual(fresh)
      await q.settle(await q.take('w'), { as: 'dead' })
      expect(await sent()).toEqual([['a'], 1])
      expect(await remove(queues, 'q/dead', 'a')).toBe(true)
      expect(await sent()).toEqual(fresh)
      await q.settle(await q.take('w'), { as: 'dead' })
      expect(await queues.redrive('q', ['a'], { ttlMs: TTL })).toBe(1)
      expect(await sent()).toEqual([['a'], 1])
      expect(await remove(queues, 'q', 'a')).toBe(true)
      expect(await sent()).toEqual(fresh)
      await q.settle(await q.take('w'), { as: 'done' })
      expect(await sent()).toEqual([['a'], 1])
    })

    test('an id as the store gives them harms no other job of its call, which is there for who claims at once', async () => {
      const q = desk()
      await q.attach('w')
      const { id: _, ...unnamed } = named('x')
      const [{ ids }, { jobs }] = await Promise.all([q.send([unnamed, named('1-n')]), q.claim('w', { max: 9 })])
      expect(jobs.map(({ id }) => id)).toEqual(ids)
    })

    test('what is removed is forgotten by itself alone: another job that got the id since is still known by it', async () => {
      const q = desk()
      const { queues } = given().store
      await q.put('a')
      given().engine.clock.now += 300_000
      const [second = ''] = (await q.put('a')).ids
      expect(second.startsWith('a~')).toBe(true)
      await remove(queues, 'q', 'a')
      expect(await q.put('a')).toMatchObject({ ids: [second], duplicates: 1 })
      await remove(queues, 'q', second)
      expect(await q.put('a')).toMatchObject({ ids: ['a'], duplicates: 0 })
      await q.send([named('a')], { subject: 'bob' })
      await remove(queues, 'q', 'a')
      expect(await q.send([named('a')], { subject: 'bob' })).toMatchObject({ duplicates: 1 })
    })

    test('a number that is used again stands for its first draft, whatever comes under it', async () => {
      const q = desk()
      const { queues } = given().store
      await q.put('c')
      const { id: _, ...plain } = named('plain')
      const send = (seq: number, ...drafts: Omit<ReturnType<typeof named>, 'id'>[]) =>
        q.send(drafts, { producer: { name: 'p', seq } })
      const ids = (await send(1, named('a'), plain, named('c'))).ids
      expect(ids).toEqual(['a', expect.any(String), 'c'])
      expect(await send(4, named('d'))).toMatchObject({ ids: ['d'], duplicates: 0 })
      const again = async () => {
        expect(await send(1, named('b'), named('e'), plain, plain)).toMatchObject({ ids: [...ids, 'd'], duplicates: 4 })
        expect(await send(1, plain)).toMatchObject({ ids: ['a'], duplicates: 1 })
        expect(await send(3, named('a'), named('b'))).toMatchObject({ ids: ['c', 'd'], duplicates: 2 })
      }
      await again()
      for (const id of [...ids, 'd']) await remove(queues, 'q', id)
      await again()
      expect(await q.put('b', 'e')).toMatchObject({ ids: ['b', 'e'], duplicates: 0 })
    })

    test('a removed job of a numbered draft keeps its number; one of a binding is not copied twice', async () => {
      const q = desk()
      const { queues } = given().store
      const producer = { name: 'p', seq: 1 }
      await q.send([named('a')], { producer })
      await remove(queues, 'q', 'a')
      expect(await q.send([named('a')], { producer })).toMatchObject({ ids: ['a'], duplicates: 1, duplicatesAt: [0] })
      expect(await q.send([named('a')], { producer: { name: 'p', seq: 2 } })).toMatchObject({
        ids: ['a'],
        duplicates: 0,
      })
      const [from, to] = [
        { epoch: 'e', offset: 0 },
        { epoch: 'e', offset: 1 },
      ]
      await queues.bind('q', 't', from)
      const step = () => q.send([named('t:e:1')], { subject: '', binding: { topic: 't', from, to } })
      await step()
      await remove(queues, 'q', 't:e:1')
      await expect(step()).rejects.toMatchObject({ code: 'conflict' })
      expect(await q.listed('ready')).toEqual(['a'])
    })

    test('the id of a removed request asks anew', async () => {
      const q = desk()
      const { queues } = given().store
      const ask = () => q.send([named('a', { replyMs: 600_000 })])
      await ask()
      await remove(queues, 'q', 'a')
      const { ids, duplicates } = await ask()
      expect(duplicates).toBe(0)
      expect(await queues.answer('q', ids[0] ?? '')).toMatchObject({ state: 'waiting' })
      expect(await queues.answer('q', 'a')).toMatchObject({ state: 'failed', reason: 'removed' })
      given().engine.clock.now += 400_000
      expect(await ask()).toMatchObject({ ids, duplicates: 1 })
    })

    test('says which drafts of a call were duplicates', async () => {
      const q = desk()
      const first = await q.put('a', 'b')
      expect(first).not.toHaveProperty('duplicatesAt')
      expect(await q.put('c', 'a', 'd', 'd', 'b')).toMatchObject({ duplicates: 3, duplicatesAt: [1, 3, 4] })
    })

    test('an id that a job of another subject has gets a number', async () => {
      const q = desk()
      await q.put('x')
      const [other] = (await q.send([named('x')], { subject: 'bob' })).ids
      expect(other).toMatch(/^x~\d+$/)
      expect(await q.send([named('x')], { subject: 'bob' })).toMatchObject({ ids: [other], duplicates: 1 })
      expect(await q.job(other ?? '')).toMatchObject({ subject: 'bob' })
    })

    test('gives ids of its own, each another one', async () => {
      const q = desk()
      const plain = { body: text(1), priority: 4, ttlMs: MINUTE }
      const given = await Promise.all([q.send([plain, plain]), q.send([plain])])
      expect(new Set(given.flatMap(({ ids }) => ids)).size).toBe(3)
    })

    test('numbered drafts are found again, and a number that skips is a conflict', async () => {
      const q = desk()
      const plain = { body: text(1), priority: 4, ttlMs: MINUTE }
      const numbered = (seq: number, count: number) =>
        q.send(Array(count).fill(plain), { producer: { name: 'p', seq } })
      const first = await numbered(1, 3)
      expect(await numbered(1, 3)).toMatchObject({ ids: first.ids, duplicates: 3 })
      const mixed = await numbered(3, 2)
      expect([mixed.ids[0], mixed.duplicates]).toEqual([first.ids[2], 1])
      await expect(numbered(6, 1)).rejects.toMatchObject({ code: 'conflict' })
      await expect(q.send([plain], { producer: { name: 'new', seq: 2 } })).rejects.toMatchObject({ code: 'conflict' })
      expect(await q.books()).toMatchObject({ sent: 4, ready: 4 })
    })

    test('refuses what would exceed the limit, all of it, and counts held and delayed jobs', async () => {
      const q = desk()
      const limit = { ...ROOM, jobs: 3 }
      await q.send([named('a'), named('b', { due: { delayMs: MINUTE } })], { limit })
      await q.take('w')
      await expect(q.send([named('c'), named('d')], { limit })).rejects.toMatchObject({ code: 'too_many' })
      expect(await q.books()).toMatchObject({ sent: 2, delayed: 1, held: 1 })
      expect(await q.send([named('a'), named('c')], { limit })).toMatchObject({ duplicates: 1 })
      await expect(q.send([named('d')], { limit })).rejects.toMatchObject({ code: 'too_many' })
      const { bytes = 0 } = (await infoOf(given().store.queues, 'q')) ?? {}
      const tight = { jobs: 100, bytes: bytes + bytes / 3 }
      await expect(q.send([named('d'), named('e')], { limit: tight })).rejects.toMatchObject({ code: 'too_many' })
      expect(await q.send([named('d')], { limit: tight })).toMatchObject({ ids: ['d'] })
      expect((await infoOf(given().store.queues, 'q'))?.bytes).toBe(bytes + bytes / 3)
    })

    test('keeps bodies to the byte', async () => {
      const bytes = Uint8Array.from({ length: 5_000 }, (_, i) => i % 251)
      const body = { json: '{"data":{"ä😀":null}}', binaries: [{ path: ['ä😀'], bytes }] }
      await desk().send([named('x', { body })])
      const q = deskOf(await given().reopen())
      expect((await q.job('x'))?.body).toEqual(body)
      expect((await q.take('a')).body).toEqual(body)
    })

    test('keeps bodies of every length, small ones and large ones in one hand-out', async () => {
      const bodies = [0, 1, 200, ...Array.from({ length: 40 }, (_, i) => 225 + i), 9_000].map((length) =>
        text('x'.repeat(length)),
      )
      const q = desk()
      await q.send(bodies.map((body, i) => named(`n${i}`, { body })))
      for (const [i, body] of bodies.entries()) expect((await q.job(`n${i}`))?.body).toEqual(body)
      const { jobs } = await q.claim('a', { max: bodies.length })
      expect(jobs.map(({ body }) => body)).toEqual(bodies)
    })
  })

  describe('hand-outs', () => {
    test('first in, first out; a job has one holder, and its second delivery says so', async () => {
      const q = desk()
      await q.put('a', 'b', 'c')
      const first = await q.claim('w')
      expect(first).toMatchObject({ jobs: [{ id: 'a', attempts: 0, deliveries: 1 }], waiting: 2, suspects: 0 })
      expect(await q.ids('v')).toEqual(['b', 'c'])
      expect(await q.claim('u')).toMatchObject({ jobs: [], waiting: 0 })
      for (const job of first.jobs) await q.settle(job, { as: 'release' })
      expect(await q.take('u')).toMatchObject({ id: 'a', attempts: 0, deliveries: 2 })
      expect(await q.books()).toMatchObject({ held: 3, ready: 0 })
    })

    test('the higher priority goes first, and each tenth hand-out takes the oldest', async () => {
      const q = desk()
      await q.send(['l0', 'l1', 'l2'].map((id) => named(id, { priority: 0 })))
      await q.send(Array.from({ length: 20 }, (_, i) => named(`h${i}`, { priority: 9 })))
      const order: string[] = []
      for (const client of ['v', 'w', 'v', 'w', 'v']) order.push(...(await q.ids(client, { max: 5 })))
      const high = Array.from({ length: 20 }, (_, i) => `h${i}`)
      expect(order).toEqual([...high.slice(0, 9), 'l0', ...high.slice(9, 18), 'l1', ...high.slice(18), 'l2'])
    })

    test('hands out no more bytes than asked, and one job however large', async () => {
      const q = desk()
      await q.put('a', 'b', 'c', 'd')
      const { bytes = 0 } = (await infoOf(given().store.queues, 'q')) ?? {}
      expect(await q.ids('w', { bytes: bytes / 2 })).toEqual(['a', 'b'])
      expect(await q.ids('w', { bytes: bytes / 2 - 1 })).toEqual(['c'])
      expect(await q.ids('w', { bytes: 1 })).toEqual(['d'])
    })

    test('a paused queue takes jobs and hands none out', async () => {
      const q = desk()
      const { queues } = given().store
      expect([await queues.pause('q', true), await queues.pause('q', true)]).toEqual([true, false])
      await q.put('a')
      expect(await q.claim('w')).toMatchObject({ jobs: [], waiting: 0 })
      expect((await infoOf((await given().reopen()).queues, 'q'))?.paused).toBe(true)
      const again = deskOf(given().store)
      expect(await given().store.queues.pause('q', false)).toBe(true)
      expect(await again.ids('w')).toEqual(['a'])
    })

    test('a rate that is raised holds up no more than a burst, whatever a lower one has used up', async () => {
      const q = desk()
      await q.put('a', 'b', 'c')
      expect(await q.ids('w', { rate: 0.01 })).toEqual(['a'])
      const { jobs, nextAt } = await q.claim('w', { rate: 10, max: 9 })
      expect([jobs.length, nextAt]).toEqual([0, given().engine.clock.now + 100])
      given().engine.clock.now += 100
      expect(await q.ids('w', { rate: 10 })).toEqual(['b'])
    })

    test('the rate holds over all holders, evenly, with a burst of a tenth of a second', async () => {
      const { engine } = given()
      const q = desk()
      await q.put(...Array.from({ length: 40 }, (_, i) => `j${i}`))
      const rate = 100
      expect(await q.ids('v', { rate })).toHaveLength(10)
      const none = await q.claim('w', { rate, max: 9 })
      expect([none.jobs.length, none.nextAt]).toEqual([0, engine.clock.now + 10])
      engine.clock.now += 9
      expect(await q.ids('w', { rate })).toHaveLength(0)
      engine.clock.now += 1
      expect(await q.ids('w', { rate })).toHaveLength(1)
      engine.clock.now += 25
      expect(await q.ids('v', { rate })).toHaveLength(2)
      engine.clock.now += 5
      expect(await q.ids('v', { rate })).toHaveLength(1)
      engine.clock.now += 5_000
      expect(await q.ids('w', { rate })).toHaveLength(10)
    })
  })

  describe('keys', () => {
    const keyed = (id: string, key: string, priority = 4) => named(id, { key, priority })

    test('one of a key at a time, in order; other keys and jobs without one in parallel', async () => {
      const q = desk()
      await q.send([keyed('a1', 'a'), keyed('a2', 'a'), keyed('b1', 'b'), named('x'), keyed('a3', 'a', 9)])
      const [first, ...others] = (await q.claim('w', { max: 9 })).jobs
      expect([first?.id, ...others.map(({ id }) => id)]).toEqual(['a1', 'b1', 'x'])
      expect(await q.job('a3')).toMatchObject({ behind: 'a1', state: 'ready' })
      expect((await q.job('b1'))?.behind).toBeUndefined()
      expect(await q.ids('v')).toEqual([])
      if (first !== undefined) await q.settle(first, { as: 'done' })
      expect(await q.ids('v')).toEqual(['a2'])
      expect(await q.job('a3')).toMatchObject({ behind: 'a2' })
    })

    test('inside a line priority is ignored, and that of its head ranks the line', async () => {
      const q = desk()
      await q.send([keyed('a1', 'a', 1), keyed('a2', 'a', 9), named('x', { priority: 5 })])
      expect([await q.ids('w', { max: 1 }), await q.ids('w', { max: 1 }), await q.ids('w')]).toEqual([
        ['x'],
        ['a1'],
        [],
      ])
    })

    test('a retry keeps the place: the line waits, and goes on when its head is dead-lettered', async () => {
      const { engine } = given()
      const q = desk()
      await q.send([keyed('a1', 'a'), keyed('a2', 'a')])
      await q.settle(await q.take('w'), { as: 'retry' })
      expect(await q.ids('w')).toEqual([])
      engine.clock.now += 999
      expect(await q.ids('w')).toEqual([])
      engine.clock.now += 1
      await q.settle(await q.take('w'), { as: 'release' })
      const head = await q.take('w')
      expect(head.id).toBe('a1')
      await q.settle(head, { as: 'dead' })
      expect(await q.ids('w')).toEqual(['a2'])
    })

    test('the jobs of a key are listed in their line, in pages; what was never due stands in none', async () => {
      const q = desk()
      await q.send([...['a', 'b', 'c', 'd'].map((id) => named(id, { key: 'k' })), named('z', { key: 'l' })])
      await q.send([named('later', { key: 'k', due: { delayMs: 1_000 } })])
      const { queues } = given().store
      const line = async (after?: string, name = 'q') =>
        (await queues.jobs(name, { line: 'k', limit: 2, ...(after !== undefined && { after }) })).map(({ id }) => id)
      await q.settle(await q.take('w'), { as: 'release' })
      expect([await line(), await line('a'), await line('c'), await line('d')]).toEqual([
        ['a', 'b'],
        ['b', 'c'],
        ['d'],
        [],
      ])
      expect([await line('z'), await line('later'), await line('gone'), await line(undefined, 'never')]).toEqual([
        [],
        [],
        [],
        [],
      ])
      for (const job of (await q.claim('w', { max: 9 })).jobs) await q.settle(job, { as: 'dead' })
      expect(await line()).toEqual(['b', 'c'])
      expect(await line(undefined, 'q/dead')).toEqual([])
    })

    test('a delayed job enters its line when it falls due, and a removed head lets the next one go', async () => {
      const { engine, store } = given()
      const q = desk()
      await q.send([named('a1', { key: 'a', due: { delayMs: 500 } }), keyed('a2', 'a')])
      const before = await q.take('w')
      expect(before.id).toBe('a2')
      engine.clock.now += 500
      expect(await q.ids('w')).toEqual([])
      await q.send([keyed('a3', 'a')])
      await q.settle(before, { as: 'done' })
      expect(await q.job('a3')).toMatchObject({ behind: 'a1' })
      expect(await remove(store.queues, 'q', 'a1')).toBe(true)
      expect(await q.ids('w')).toEqual(['a3'])
    })
  })
}
