/** The contract's append, sentence by sentence: order, ids, producers, epochs. */

import { describe, expect, test } from 'vitest'
import type { Body } from '../../../server/store/contract/store.ts'
import { infoOf, maintain } from './calls.ts'
import type { Case } from './cursors.ts'
import { ALL, dataOf, drafts, KEEP, publish, START, text } from './fixture.ts'

const MINUTE = 60_000
const DAY = 86_400_000

export function describeAppend(given: () => Case): void {
  const withIds = (ids: (string | undefined)[], subject = 'ann', topic = 't') =>
    given().store.topics.append(topic, {
      subject,
      drafts: ids.map((id, i) => ({ body: text(i), ...(id !== undefined && { id }) })),
      retain: KEEP,
    })

  const produce = (seq: number, count: number, producer = 'p', subject = 'ann', topic = 't') =>
    given().store.topics.append(topic, {
      subject,
      drafts: drafts(...Array.from({ length: count }, (_, i) => seq + i)),
      producer: { name: producer, seq },
      retain: KEEP,
    })

  describe('append', () => {
    test('gives consecutive offsets from 1 and names the durability', async () => {
      const { store } = given()
      expect(await publish(store, 't', 'a', 'b')).toMatchObject({
        offsets: [1, 2],
        duplicates: 0,
        durability: store.durability,
      })
      expect((await publish(store, 't', 'c')).offsets).toEqual([3])
      expect(await dataOf(store, 't')).toEqual(['a', 'b', 'c'])
    })

    test('keeps topics apart', async () => {
      const { store } = given()
      await publish(store, 't', 'a')
      expect((await publish(store, 'u', 'b')).offsets).toEqual([1])
      expect(await dataOf(store, 'u')).toEqual(['b'])
    })

    test('keeps the calls of one turn in their order, each whole', async () => {
      const { store } = given()
      const calls = Array.from({ length: 200 }, (_, i) => publish(store, 't', [i, 0], [i, 1], [i, 2]))
      const offsets = (await Promise.all(calls)).flatMap((appended) => appended.offsets)
      expect(offsets).toEqual(Array.from({ length: 600 }, (_, i) => i + 1))
      const expected = Array.from({ length: 600 }, (_, i) => [Math.floor(i / 3), i % 3])
      expect(await dataOf(store, 't')).toEqual(expected)
    })

    test('gives every event of a call the same time, never before that of the event before', async () => {
      const { engine, store } = given()
      await publish(store, 't', 'a', 'b')
      engine.clock.now -= 5_000
      await publish(store, 't', 'c')
      engine.clock.now += 6_000
      await publish(store, 't', 'd')
      const { events } = await store.topics.read('t', 0, ALL)
      expect(events.map((event) => 'at' in event && event.at)).toEqual([START, START, START, START + 1_000])
    })

    test('keeps bodies to the byte: Unicode, binaries, large ones', async () => {
      let { store } = given()
      const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => i % 251)
      const bodies = [
        text('ä\0😀\ud800'.slice(0, 4)),
        { json: '{"data":null}', binaries: [{ path: [], bytes }] },
        { json: '{"data":{"a":[1,null]}}', binaries: [{ path: ['a', 1], bytes: new Uint8Array(0) }] },
        text('x'.repeat(200_000)),
        text(null),
      ]
      await store.topics.append('t', { subject: 'ann', drafts: bodies.map((body) => ({ body })), retain: KEEP })
      store = await given().reopen()
      const { events } = await store.topics.read('t', 0, ALL)
      // Compared as text: to compare arrays of bytes takes seconds.
      const shown = ({ json, binaries }: Body) => [
        json,
        binaries?.map(({ path, bytes }) => [path, Buffer.from(bytes).toString('hex')]),
      ]
      expect(events.map((event) => 'body' in event && shown(event.body))).toEqual(bodies.map(shown))
    })
  })

  describe('ids', () => {
    test('a repeated id is not stored and answers the first offset', async () => {
      const { store } = given()
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
      const { engine, store } = given()
      await withIds(['x'])
      engine.clock.now += 5 * MINUTE - 1
      expect(await withIds(['x'])).toMatchObject({ offsets: [1], duplicates: 1 })
      engine.clock.now += 1
      expect(await withIds(['x'])).toMatchObject({ offsets: [2], duplicates: 0 })
      await maintain(store)
      expect(await withIds(['x'])).toMatchObject({ offsets: [2], duplicates: 1 })
    })

    test('is remembered by a store that was opened anew', async () => {
      await withIds(['x'])
      await given().reopen()
      expect(await withIds(['x'])).toMatchObject({ offsets: [1], duplicates: 1 })
    })
  })

  describe('producers', () => {
    test('numbers below the next one are duplicates with their offsets, the rest is new', async () => {
      const { store } = given()
      await produce(1, 3)
      await publish(store, 't', 'between')
      expect(await produce(1, 3)).toMatchObject({ offsets: [1, 2, 3], duplicates: 3 })
      expect(await produce(2, 4)).toMatchObject({ offsets: [2, 3, 5, 6], duplicates: 2 })
      expect(await produce(6, 1)).toMatchObject({ offsets: [7], duplicates: 0 })
      expect(await dataOf(store, 't')).toEqual([1, 2, 3, 'between', 4, 5, 6])
    })

    test('numbers that come again in other cuts get what they got, and the next one stays', async () => {
      const { store } = given()
      const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)
      await produce(1, 10)
      await publish(store, 't', 'between')
      expect(await produce(5, 11)).toMatchObject({ offsets: [...range(5, 10), ...range(12, 16)], duplicates: 6 })
      expect(await produce(1, 3)).toMatchObject({ offsets: [1, 2, 3], duplicates: 3 })
      expect(await produce(9, 4)).toMatchObject({ offsets: [9, 10, 12, 13], duplicates: 4 })
      await expect(produce(17, 1)).rejects.toMatchObject({ code: 'conflict' })
      expect(await produce(16, 1)).toMatchObject({ offsets: [17], duplicates: 0 })
      expect(await produce(1, 17)).toMatchObject({ offsets: [...range(1, 10), ...range(12, 18)], duplicates: 16 })
      expect(await dataOf(store, 't')).toEqual([...range(1, 10), 'between', ...range(11, 17)])
    })

    test('a number that is used again stands for its first draft, whatever comes under it', async () => {
      const { store } = given()
      const send = (id: string, seq?: number) =>
        store.topics.append('t', {
          subject: 'ann',
          drafts: [{ body: text(id), id }],
          retain: KEEP,
          ...(seq !== undefined && { producer: { name: 'p', seq } }),
        })
      expect(await send('a', 1)).toMatchObject({ offsets: [1], duplicates: 0 })
      expect(await send('b', 1)).toMatchObject({ offsets: [1], duplicates: 1 })
      expect(await send('b', 2)).toMatchObject({ offsets: [2], duplicates: 0 })
      expect(await send('c', 1)).toMatchObject({ offsets: [1], duplicates: 1 })
      expect(await send('c')).toMatchObject({ offsets: [3], duplicates: 0 })
      expect(await dataOf(store, 't')).toEqual(['a', 'b', 'c'])
    })

    test('a number above the next one is a conflict, and takes nothing', async () => {
      await produce(1, 2)
      await expect(produce(4, 1)).rejects.toMatchObject({ code: 'conflict' })
      expect((await produce(3, 1)).offsets).toEqual([3])
    })

    test('a producer that is not known starts at 0 or 1', async () => {
      const { store } = given()
      await expect(produce(2, 1)).rejects.toMatchObject({ code: 'conflict' })
      expect(await infoOf(store.topics, 't')).toBeUndefined()
      expect((await produce(0, 1, 'zero')).offsets).toEqual([1])
      expect((await produce(1, 1, 'one')).offsets).toEqual([2])
      expect((await produce(1, 1, 'zero')).offsets).toEqual([3])
      const message = 'producer "one" began with 1: there was no draft 0'
      await expect(produce(0, 1, 'one')).rejects.toMatchObject({ code: 'conflict', message })
    })

    test('is one per topic, subject and name', async () => {
      await produce(1, 2)
      expect((await produce(1, 1, 'q')).offsets).toEqual([3])
      expect((await produce(1, 1, 'p', 'bob')).offsets).toEqual([4])
      expect((await produce(1, 1, 'p', 'ann', 'u')).offsets).toEqual([1])
      await expect(produce(3, 1, 'q')).rejects.toMatchObject({ code: 'conflict' })
    })

    test('offsets of the last 1,024 drafts are kept, also where the row was interrupted', async () => {
      const { store } = given()
      const offsets: number[] = []
      for (let seq = 1; seq <= 1_400; seq += 100) {
        offsets.push(...(await produce(seq, 100)).offsets)
        await publish(store, 't', 'between')
      }
      expect((await produce(1_400 - 1_023, 1_024)).offsets).toEqual(offsets.slice(-1_024))
      const message = 'draft 1 of producer "p" was taken, but its offset is no longer kept'
      await expect(produce(1, 1)).rejects.toMatchObject({ code: 'conflict', message })
      expect((await produce(1_401, 1)).duplicates).toBe(0)
    })

    test('is forgotten 7 days after its last use, swept or not', async () => {
      const { engine, store } = given()
      await produce(1, 2)
      engine.clock.now += 7 * DAY - 1
      expect((await produce(1, 2)).duplicates).toBe(2)
      engine.clock.now += 7 * DAY
      await expect(produce(3, 1)).rejects.toMatchObject({ code: 'conflict' })
      expect(await produce(1, 1)).toMatchObject({ offsets: [3], duplicates: 0 })
      await maintain(store)
      expect(await produce(1, 2)).toMatchObject({ offsets: [3, 4], duplicates: 1 })
    })

    test('is known to a store that was opened anew', async () => {
      await produce(1, 300)
      await given().reopen()
      expect(await produce(200, 102)).toMatchObject({ duplicates: 101 })
    })

    test('a draft that is a duplicate by its id takes its number', async () => {
      const { store } = given()
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
      const { store } = given()
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
      const { store } = given()
      const unborn = await store.topics.read('t', 0, ALL)
      expect(unborn).toMatchObject({ first: 1, head: 0, events: [] })
      expect(unborn.lineage).toEqual([{ epoch: unborn.epoch, startsAfter: 0 }])
      expect(await store.topics.read('u', 7, ALL)).toEqual(unborn)
      expect(await infoOf(store.topics, 't')).toBeUndefined()
      expect(await store.topics.list({ limit: 10 })).toEqual([])
    })

    test('a topic is born under the present epoch of the store, its lineage begins with those before', async () => {
      const { store } = given()
      const unborn = await store.topics.read('t', 0, ALL)
      const { epoch } = await publish(store, 't', 'a')
      const { lineage } = await store.topics.read('t', 0, ALL)
      expect(lineage).toEqual([...unborn.lineage, { epoch, startsAfter: 0 }])
      expect((await publish(store, 'u', 'a')).epoch).toBe(epoch)
      expect((await store.topics.read('v', 0, ALL)).epoch).toBe(epoch)
    })

    test('the first birth after the store was opened begins a new epoch of the store', async () => {
      let { store } = given()
      const before = (await publish(store, 't', 'a')).epoch
      store = await given().reopen()
      expect((await store.topics.read('u', 0, ALL)).epoch).toBe(before)
      const after = (await publish(store, 'u', 'a')).epoch
      expect(after).not.toBe(before)
      expect((await store.topics.read('u', 0, ALL)).lineage.map(({ epoch }) => epoch)).toContain(before)
    })

    test('the first append after the store was opened begins a new epoch behind the head', async () => {
      let { store } = given()
      const before = await publish(store, 't', 'a', 'b')
      store = await given().reopen()
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
}
