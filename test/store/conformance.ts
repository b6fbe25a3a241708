/** The contract, sentence by sentence, over any engine. Appends and reads here; cursors and the rest beside it. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { sizeBody } from '../../server/store/codec.ts'
import type { Notification, Retention, Store } from '../../server/store/contract.ts'
import { describeCursors } from './conformance-cursors.ts'
import { describeStoreItself } from './conformance-store.ts'
import { ALL, dataIn, dataOf, drafts, type Engine, KEEP, publish, START, text } from './fixture.ts'

const MINUTE = 60_000
const DAY = 86_400_000

export function describeConformance(name: string, makeEngine: () => Promise<Engine>): void {
  describe(`the ${name} store keeps the contract`, () => {
    let engine: Engine
    let store: Store

    beforeEach(async () => {
      engine = await makeEngine()
      store = await engine.open()
    })

    afterEach(async () => {
      await engine.destroy()
    })

    const reopen = async (): Promise<Store> => {
      await store.close()
      store = await engine.open()
      return store
    }

    const append = (topic: string, data: unknown[], retain: Partial<Retention> = {}) =>
      store.topics.append(topic, { subject: 'ann', drafts: drafts(...data), retain: { ...KEEP, ...retain } })

    const withIds = (ids: (string | undefined)[], subject = 'ann', topic = 't') =>
      store.topics.append(topic, {
        subject,
        drafts: ids.map((id, i) => ({ body: text(i), ...(id !== undefined && { id }) })),
        retain: KEEP,
      })

    const produce = (seq: number, count: number, producer = 'p', subject = 'ann', topic = 't') =>
      store.topics.append(topic, {
        subject,
        drafts: drafts(...Array.from({ length: count }, (_, i) => seq + i)),
        producer: { name: producer, seq },
        retain: KEEP,
      })

    describe('append', () => {
      test('gives consecutive offsets from 1 and names the durability', async () => {
        expect(await publish(store, 't', 'a', 'b')).toMatchObject({
          offsets: [1, 2],
          duplicates: 0,
          durability: store.durability,
        })
        expect((await publish(store, 't', 'c')).offsets).toEqual([3])
        expect(await dataOf(store, 't')).toEqual(['a', 'b', 'c'])
      })

      test('keeps topics apart', async () => {
        await publish(store, 't', 'a')
        expect((await publish(store, 'u', 'b')).offsets).toEqual([1])
        expect(await dataOf(store, 'u')).toEqual(['b'])
      })

      test('keeps the calls of one turn in their order, each whole', async () => {
        const calls = Array.from({ length: 200 }, (_, i) => publish(store, 't', [i, 0], [i, 1], [i, 2]))
        const offsets = (await Promise.all(calls)).flatMap((appended) => appended.offsets)
        expect(offsets).toEqual(Array.from({ length: 600 }, (_, i) => i + 1))
        const expected = Array.from({ length: 600 }, (_, i) => [Math.floor(i / 3), i % 3])
        expect(await dataOf(store, 't')).toEqual(expected)
      })

      test('gives every event of a call the same time, never before that of the event before', async () => {
        await publish(store, 't', 'a', 'b')
        engine.clock.now -= 5_000
        await publish(store, 't', 'c')
        engine.clock.now += 6_000
        await publish(store, 't', 'd')
        const { events } = await store.topics.read('t', 0, ALL)
        expect(events.map((event) => 'at' in event && event.at)).toEqual([START, START, START, START + 1_000])
      })

      test('keeps bodies to the byte: Unicode, binaries, large ones', async () => {
        const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => i % 251)
        const bodies = [
          text('ä\0😀\ud800'.slice(0, 4)),
          { json: '{"data":null}', binaries: [{ path: [], bytes }] },
          { json: '{"data":{"a":[1,null]}}', binaries: [{ path: ['a', 1], bytes: new Uint8Array(0) }] },
          text('x'.repeat(200_000)),
          text(null),
        ]
        await store.topics.append('t', { subject: 'ann', drafts: bodies.map((body) => ({ body })), retain: KEEP })
        await reopen()
        const { events } = await store.topics.read('t', 0, ALL)
        expect(events.map((event) => 'body' in event && event.body)).toEqual(bodies)
      })
    })

    describe('ids', () => {
      test('a repeated id is not stored and answers the first offset', async () => {
        await withIds(['x', 'y'])
        expect(await withIds(['y', 'z', 'x'])).toMatchObject({ offsets: [2, 3, 1], duplicates: 2 })
        expect((await store.topics.read('t', 0, ALL)).head).toBe(3)
      })

      test('an id repeated within one call, and within one turn, is a duplicate', async () => {
        const both = await Promise.all([withIds(['x', 'x', undefined]), withIds(['x', undefined])])
        expect(both.map(({ offsets }) => offsets)).toEqual([
          [1, 1, 2],
          [1, 3],
        ])
      })

      test('counts per topic and subject', async () => {
        await withIds(['x'])
        expect((await withIds(['x'], 'bob')).offsets).toEqual([2])
        expect(await withIds(['x'], 'ann', 'u')).toMatchObject({ offsets: [1], duplicates: 0 })
      })

      test('is remembered for 5 minutes from its first use, swept or not', async () => {
        await withIds(['x'])
        engine.clock.now += 5 * MINUTE - 1
        expect(await withIds(['x'])).toMatchObject({ offsets: [1], duplicates: 1 })
        engine.clock.now += 1
        expect(await withIds(['x'])).toMatchObject({ offsets: [2], duplicates: 0 })
        await store.sweep()
        expect(await withIds(['x'])).toMatchObject({ offsets: [2], duplicates: 1 })
      })

      test('is remembered by a store that was opened anew', async () => {
        await withIds(['x'])
        await reopen()
        expect(await withIds(['x'])).toMatchObject({ offsets: [1], duplicates: 1 })
      })
    })

    describe('producers', () => {
      test('numbers below the next one are duplicates with their offsets, the rest is new', async () => {
        await produce(1, 3)
        await publish(store, 't', 'between')
        expect(await produce(1, 3)).toMatchObject({ offsets: [1, 2, 3], duplicates: 3 })
        expect(await produce(2, 4)).toMatchObject({ offsets: [2, 3, 5, 6], duplicates: 2 })
        expect(await produce(6, 1)).toMatchObject({ offsets: [7], duplicates: 0 })
        expect(await dataOf(store, 't')).toEqual([1, 2, 3, 'between', 4, 5, 6])
      })

      test('a number above the next one is a conflict, and takes nothing', async () => {
        await produce(1, 2)
        await expect(produce(4, 1)).rejects.toMatchObject({ code: 'conflict' })
        expect((await produce(3, 1)).offsets).toEqual([3])
      })

      test('a producer that is not known starts at 0 or 1', async () => {
        await expect(produce(2, 1)).rejects.toMatchObject({ code: 'conflict' })
        expect(await store.topics.info('t')).toBeUndefined()
        expect((await produce(0, 1, 'zero')).offsets).toEqual([1])
        expect((await produce(1, 1, 'one')).offsets).toEqual([2])
        expect((await produce(1, 1, 'zero')).offsets).toEqual([3])
        await expect(produce(0, 1, 'one')).rejects.toMatchObject({ code: 'conflict' })
      })

      test('is one per topic, subject and name', async () => {
        await produce(1, 2)
        expect((await produce(1, 1, 'q')).offsets).toEqual([3])
        expect((await produce(1, 1, 'p', 'bob')).offsets).toEqual([4])
        expect((await produce(1, 1, 'p', 'ann', 'u')).offsets).toEqual([1])
        await expect(produce(3, 1, 'q')).rejects.toMatchObject({ code: 'conflict' })
      })

      test('offsets of the last 1,024 drafts are kept, also where the row was interrupted', async () => {
        const offsets: number[] = []
        for (let seq = 1; seq <= 1_400; seq += 100) {
          offsets.push(...(await produce(seq, 100)).offsets)
          await publish(store, 't', 'between')
        }
        expect((await produce(1_400 - 1_023, 1_024)).offsets).toEqual(offsets.slice(-1_024))
        await expect(produce(1, 1)).rejects.toMatchObject({ code: 'conflict' })
        expect((await produce(1_401, 1)).duplicates).toBe(0)
      })

      test('is forgotten 7 days after its last use, swept or not', async () => {
        await produce(1, 2)
        engine.clock.now += 7 * DAY - 1
        expect((await produce(1, 2)).duplicates).toBe(2)
        engine.clock.now += 7 * DAY
        await expect(produce(3, 1)).rejects.toMatchObject({ code: 'conflict' })
        expect(await produce(1, 1)).toMatchObject({ offsets: [3], duplicates: 0 })
        await store.sweep()
        expect(await produce(1, 2)).toMatchObject({ offsets: [3, 4], duplicates: 1 })
      })

      test('is known to a store that was opened anew', async () => {
        await produce(1, 300)
        await reopen()
        expect(await produce(200, 102)).toMatchObject({ duplicates: 101 })
      })

      test('a draft that is a duplicate by its id takes its number', async () => {
        await withIds(['x'])
        const appended = await store.topics.append('t', {
          subject: 'ann',
          drafts: [{ body: text('a') }, { body: text('b'), id: 'x' }, { body: text('c') }],
          producer: { name: 'p', seq: 1 },
          retain: KEEP,
        })
        expect(appended).toMatchObject({ offsets: [2, 1, 3], duplicates: 1 })
        expect((await produce(1, 4)).offsets).toEqual([2, 1, 3, 4])
      })

      test('a refused call changes nothing: no event, no number, no id', async () => {
        await produce(1, 1)
        const refused = store.topics.append('t', {
          subject: 'ann',
          drafts: [{ body: text('a'), id: 'x' }],
          producer: { name: 'p', seq: 9 },
          retain: KEEP,
        })
        await expect(refused).rejects.toMatchObject({ code: 'conflict' })
        expect(await withIds(['x'])).toMatchObject({ offsets: [2], duplicates: 0 })
      })
    })

    describe('epochs', () => {
      test('an unborn topic has the epoch of the store, and writes nothing when read', async () => {
        const unborn = await store.topics.read('t', 0, ALL)
        expect(unborn).toMatchObject({ first: 1, head: 0, events: [] })
        expect(unborn.lineage).toEqual([{ epoch: unborn.epoch, startsAfter: 0 }])
        expect(await store.topics.read('u', 7, ALL)).toEqual(unborn)
        expect(await store.topics.info('t')).toBeUndefined()
        expect(await store.topics.list({ limit: 10 })).toEqual([])
      })

      test('a topic is born under the present epoch of the store, its lineage begins with those before', async () => {
        const unborn = await store.topics.read('t', 0, ALL)
        const { epoch } = await publish(store, 't', 'a')
        const { lineage } = await store.topics.read('t', 0, ALL)
        expect(lineage).toEqual([...unborn.lineage, { epoch, startsAfter: 0 }])
        expect((await publish(store, 'u', 'a')).epoch).toBe(epoch)
        expect((await store.topics.read('v', 0, ALL)).epoch).toBe(epoch)
      })

      test('the first birth after the store was opened begins a new epoch of the store', async () => {
        const before = (await publish(store, 't', 'a')).epoch
        await reopen()
        expect((await store.topics.read('u', 0, ALL)).epoch).toBe(before)
        const after = (await publish(store, 'u', 'a')).epoch
        expect(after).not.toBe(before)
        expect((await store.topics.read('u', 0, ALL)).lineage.map(({ epoch }) => epoch)).toContain(before)
      })

      test('the first append after the store was opened begins a new epoch behind the head', async () => {
        const before = await publish(store, 't', 'a', 'b')
        await reopen()
        expect((await store.topics.read('t', 0, ALL)).epoch).toBe(before.epoch)
        const after = await publish(store, 't', 'c')
        expect(after.offsets).toEqual([3])
        const { lineage, epoch } = await store.topics.read('t', 0, ALL)
        expect(epoch).toBe(after.epoch)
        expect(lineage.slice(-2)).toEqual([
          { epoch: before.epoch, startsAfter: 0 },
          { epoch: after.epoch, startsAfter: 2 },
        ])
        expect((await publish(store, 't', 'd')).epoch).toBe(after.epoch)
      })
    })

    describe('retention', () => {
      test('keeps the last events, exactly', async () => {
        await append('t', [1, 2, 3, 4, 5], { events: 3 })
        expect(await store.topics.read('t', 0, ALL)).toMatchObject({ first: 3, head: 5 })
        await append('t', [6], { events: 3 })
        expect(await dataOf(store, 't')).toEqual([4, 5, 6])
        expect(await store.topics.info('t')).toMatchObject({ first: 4, head: 6, events: 3 })
      })

      test('keeps what fits in bytes of bodies, but never trims the last event for its own', async () => {
        const size = sizeBody(text('x')).bytes
        await append('t', ['a', 'b', 'c', 'd'], { bytes: size * 2 })
        expect(await dataOf(store, 't')).toEqual(['c', 'd'])
        expect(await store.topics.info('t')).toMatchObject({ bytes: size * 2 })
        await append('t', ['e', 'f'], { bytes: 1 })
        expect(await dataOf(store, 't')).toEqual(['f'])
        expect(await store.topics.info('t')).toMatchObject({ bytes: size, events: 1 })
      })

      test('keeps what is young enough', async () => {
        for (const data of [1, 2, 3]) {
          await append('t', [data, data])
          engine.clock.now += 1_000
        }
        await append('t', [4], { ageMs: 2_000 })
        expect(await dataOf(store, 't')).toEqual([2, 2, 3, 3, 4])
        engine.clock.now += 60_000
        await append('t', [5], { ageMs: 2_000 })
        expect(await dataOf(store, 't')).toEqual([5])
      })

      test('all three hold at once', async () => {
        await append('t', [1, 2, 3, 4, 5, 6])
        engine.clock.now += 1_000
        await append('t', [7, 8])
        await store.topics.trim('t', { events: 5, bytes: 1_000_000, ageMs: 5_000 })
        expect(await dataOf(store, 't')).toEqual([4, 5, 6, 7, 8])
        await store.topics.trim('t', { events: 5, bytes: 1_000_000, ageMs: 500 })
        expect(await dataOf(store, 't')).toEqual([7, 8])
      })

      test('trims thousands of events exactly, and goes on', async () => {
        const lengths = Array.from({ length: 40 }, (_, i) => 100 + i * 7)
        let number = 0
        for (const length of lengths)
          await append(
            't',
            Array.from({ length }, () => number++),
          )
        const kept = sizeBody(text(number - 1)).bytes * 1_000
        expect(await store.topics.trim('t', { ...KEEP, bytes: kept })).toMatchObject({ head: number })
        const { first, bytes, events } = (await store.topics.info('t')) ?? { first: 0, bytes: 0, events: 0 }
        expect([first, bytes, events]).toEqual([number - 999, kept, 1_000])
        expect(await dataOf(store, 't')).toEqual(Array.from({ length: 1_000 }, (_, i) => number - 1_000 + i))
        await append('t', ['more'], { events: 10 })
        expect((await dataOf(store, 't')).length).toBe(10)
      })

      test('a trim that keeps nothing leaves head and lineage', async () => {
        const { epoch } = await publish(store, 't', 'a', 'b')
        const trimmed = await store.topics.trim('t', { ...KEEP, bytes: 0 })
        expect(trimmed).toMatchObject({ epoch, first: 3, head: 2 })
        expect(await store.topics.read('t', 0, ALL)).toEqual({ ...trimmed, events: [] })
        expect(await store.topics.info('t')).toMatchObject({ events: 0, bytes: 0 })
        expect((await publish(store, 't', 'c')).offsets).toEqual([3])
        expect(await dataOf(store, 't')).toEqual(['c'])
      })

      test('a trim of an unborn topic leaves it unborn', async () => {
        expect(await store.topics.trim('t', { ...KEEP, events: 0 })).toMatchObject({ first: 1, head: 0 })
        expect(await store.topics.info('t')).toBeUndefined()
      })

      test('an append that keeps nothing still has its offset', async () => {
        expect((await append('t', ['a'], { events: 0 })).offsets).toEqual([1])
        expect(await store.topics.read('t', 0, ALL)).toMatchObject({ first: 2, head: 1, events: [] })
      })
    })

    describe('read', () => {
      test('reads behind an offset, up to the bound', async () => {
        await append('t', [1, 2, 3, 4, 5])
        await append('t', [6, 7])
        const size = sizeBody(text(1)).bytes
        const read = async (after: number, events: number, bytes: number): Promise<unknown[]> =>
          (await store.topics.read('t', after, { events, bytes })).events.map(dataIn)
        expect(await read(2, 3, 1e9)).toEqual([3, 4, 5])
        expect(await read(4, 3, 1e9)).toEqual([5, 6, 7])
        expect(await read(0, 100, size * 2)).toEqual([1, 2])
        expect(await read(0, 100, size * 2 + 1)).toEqual([1, 2])
        expect(await read(0, 100, 0)).toEqual([1])
        expect(await read(7, 100, 1e9)).toEqual([])
        expect(await read(70, 100, 1e9)).toEqual([])
      })

      test('begins at the first kept event where the offset lies below', async () => {
        await append('t', [1, 2, 3, 4, 5], { events: 2 })
        const page = await store.topics.read('t', 1, ALL)
        expect(page.events.map(({ offset }) => offset)).toEqual([4, 5])
      })

      test('shows nothing that is not acknowledged with the same head', async () => {
        for (let round = 0; round < 20; round++) {
          let acknowledged = 0
          const appending = publish(store, 't', round).then(({ offsets }) => {
            acknowledged = offsets[0] ?? 0
          })
          const page = await store.topics.read('t', 0, ALL)
          expect(page.events.length).toBe(page.head)
          expect(page.head).toBeLessThanOrEqual(round + 1)
          await appending
          expect((await store.topics.read('t', 0, ALL)).head).toBe(acknowledged)
        }
      })

      test('seek finds the last event before a time', async () => {
        for (let i = 0; i < 50; i++) {
          await append('t', [i, i])
          engine.clock.now += 100
        }
        expect(await store.topics.seek('t', START - 1)).toBe(0)
        expect(await store.topics.seek('t', START)).toBe(0)
        expect(await store.topics.seek('t', START + 1)).toBe(2)
        expect(await store.topics.seek('t', START + 2_000)).toBe(40)
        expect(await store.topics.seek('t', START + 1e9)).toBe(100)
        await store.topics.trim('t', { ...KEEP, events: 10 })
        expect(await store.topics.seek('t', START)).toBe(90)
        expect(await store.topics.seek('t', START + 4_600)).toBe(92)
        expect(await store.topics.seek('unborn', START)).toBe(0)
      })
    })

    describe('topics', () => {
      test('lists born topics in the order of their bytes, a page at a time', async () => {
        const names = ['b', 'a', 'B', 'a.b', 'ab', 'a-b', 'a:b', 'Z', '0', 'a_b']
        for (const topic of names) await publish(store, topic, topic)
        const sorted = [...names].sort((x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y)))
        const seen: string[] = []
        for (let after: string | undefined; ; ) {
          const page = await store.topics.list({ limit: 3, ...(after !== undefined && { after }) })
          seen.push(...page.map(({ topic }) => topic))
          after = page.at(-1)?.topic
          if (page.length < 3) break
        }
        expect(seen).toEqual(sorted)
        expect((await store.topics.list({ limit: 1 }))[0]).toEqual(await store.topics.info('0'))
      })

      test('drop makes a topic unborn: events, ids and producers are gone', async () => {
        await withIds(['x'])
        await produce(1, 2)
        expect(await store.topics.drop('t')).toBe(true)
        expect(await store.topics.drop('t')).toBe(false)
        expect(await store.topics.info('t')).toBeUndefined()
        expect(await store.topics.list({ limit: 10 })).toEqual([])
        expect(await store.topics.read('t', 0, ALL)).toMatchObject({ first: 1, head: 0, events: [] })
        expect(await withIds(['x'])).toMatchObject({ offsets: [1], duplicates: 0 })
        await expect(produce(3, 1)).rejects.toMatchObject({ code: 'conflict' })
      })

      test('no position in a dropped log fits the one born after it', async () => {
        const old = (await publish(store, 't', 'a', 'b', 'c')).epoch
        await store.topics.drop('t')
        const unborn = await store.topics.read('t', 0, ALL)
        expect(unborn.epoch).not.toBe(old)
        await publish(store, 't', 'd', 'e', 'f', 'g')
        const { lineage, epoch } = await store.topics.read('t', 0, ALL)
        expect(epoch).not.toBe(old)
        const index = lineage.findIndex((entry) => entry.epoch === old)
        expect(lineage[index + 1]?.startsAfter).toBe(0)
      })

      test('drop, append and drop in one turn happen in their order', async () => {
        await publish(store, 't', 'a')
        const [, dropped, second, again, third] = await Promise.all([
          publish(store, 't', 'b'),
          store.topics.drop('t'),
          publish(store, 't', 'c'),
          store.topics.drop('t'),
          publish(store, 't', 'd', 'e'),
        ])
        expect([dropped, second.offsets, again, third.offsets]).toEqual([true, [1], true, [1, 2]])
        expect(second.epoch).not.toBe(third.epoch)
        expect(await dataOf(store, 't')).toEqual(['d', 'e'])
      })
    })

    describe('watch', () => {
      const watched = async (topic: string): Promise<{ told: Notification[]; stop: () => void }> => {
        const told: Notification[] = []
        return { told, stop: await store.topics.watch(topic, (notification) => told.push(notification)) }
      }

      test('tells what became durable in the order of the offsets, with the bodies', async () => {
        const { told } = await watched('t')
        await Promise.all(Array.from({ length: 50 }, (_, i) => publish(store, 't', i, i)))
        await publish(store, 'other', 'x')
        const appended = told.filter((notification) => notification.kind === 'appended')
        expect(appended.length).toBe(told.length)
        const events = appended.flatMap((notification) => notification.events)
        expect(events).toEqual((await store.topics.read('t', 0, ALL)).events)
        expect(appended.at(-1)?.head).toBe(100)
        for (const { head, events } of appended) expect(events.at(-1)?.offset).toBe(head)
      })

      test('tells nothing before it can be read', async () => {
        const reads: Promise<boolean>[] = []
        await store.topics.watch('t', (notification) => {
          if (notification.kind !== 'appended') return
          reads.push(store.topics.read('t', 0, ALL).then(({ head }) => head >= notification.head))
        })
        for (let i = 0; i < 10; i++) await publish(store, 't', i)
        expect(await Promise.all(reads)).toEqual(Array(10).fill(true))
      })

      test('tells of a drop and of a new session', async () => {
        await publish(store, 't', 'a')
        const { told } = await watched('t')
        const owner = { subject: 'ann', client: 'phone' }
        const { session } = await store.cursors.open('t', owner, 'end')
        await store.topics.drop('t')
        expect(told).toEqual([{ kind: 'session', owner, session }, { kind: 'changed' }])
      })

      test('a stopped watch is told nothing more, others are', async () => {
        const first = await watched('t')
        const second = await watched('t')
        await publish(store, 't', 'a')
        const appending = publish(store, 't', 'b')
        first.stop()
        first.stop()
        await appending
        expect([first.told.length, second.told.length]).toEqual([1, 2])
      })

      test('a duplicate is not told', async () => {
        const { told } = await watched('t')
        await withIds(['x'])
        await withIds(['x'])
        expect(told.length).toBe(1)
      })
    })

    describeCursors(() => ({ engine, store, reopen }))
    describeStoreItself(() => ({ engine, store, reopen }))
  })
}
