/** The contract's retention, reading, listing and watching, sentence by sentence. */

import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { sizeBody } from '../../../server/store/codec.ts'
import type { Notification, Retention } from '../../../server/store/contract/store.ts'
import { placeIn } from '../../../shared/positions.ts'
import { until } from '../../support/until.ts'
import { infoOf, trim } from './calls.ts'
import type { Case } from './cursors.ts'
import { ALL, dataIn, dataOf, drafts, KEEP, plain, publish, START, text } from './fixture.ts'

export function describeLog(given: () => Case): void {
  const append = (topic: string, data: unknown[], retain: Partial<Retention> = {}) =>
    given().store.topics.append(topic, { subject: 'ann', drafts: drafts(...data), retain: { ...KEEP, ...retain } })

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

  describe('retention', () => {
    test('keeps the last events, exactly', async () => {
      const { store } = given()
      await append('t', [1, 2, 3, 4, 5], { events: 3 })
      expect(await store.topics.read('t', 0, ALL)).toMatchObject({ first: 3, head: 5 })
      await append('t', [6], { events: 3 })
      expect(await dataOf(store, 't')).toEqual([4, 5, 6])
      expect(await infoOf(store.topics, 't')).toMatchObject({ first: 4, head: 6, events: 3 })
    })

    test('keeps what fits in bytes of bodies, but never trims the last event for its own', async () => {
      const { store } = given()
      const size = sizeBody(text('x')).bytes
      await append('t', ['a', 'b', 'c', 'd'], { bytes: size * 2 })
      expect(await dataOf(store, 't')).toEqual(['c', 'd'])
      expect(await infoOf(store.topics, 't')).toMatchObject({ bytes: size * 2 })
      await append('t', ['e', 'f'], { bytes: 1 })
      expect(await dataOf(store, 't')).toEqual(['f'])
      expect(await infoOf(store.topics, 't')).toMatchObject({ bytes: size, events: 1 })
    })

    test('keeps what is young enough', async () => {
      const { engine, store } = given()
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
      const { engine, store } = given()
      await append('t', [1, 2, 3, 4, 5, 6])
      engine.clock.now += 1_000
      await append('t', [7, 8])
      await trim(store.topics, 't', { events: 5, bytes: 1_000_000, ageMs: 5_000 })
      expect(await dataOf(store, 't')).toEqual([4, 5, 6, 7, 8])
      await trim(store.topics, 't', { events: 5, bytes: 1_000_000, ageMs: 500 })
      expect(await dataOf(store, 't')).toEqual([7, 8])
    })

    test('trims thousands of events exactly, and goes on', async () => {
      const { store } = given()
      const lengths = Array.from({ length: 40 }, (_, i) => 100 + i * 7)
      let number = 0
      for (const length of lengths)
        await append(
          't',
          Array.from({ length }, () => number++),
        )
      const kept = sizeBody(text(number - 1)).bytes * 1_000
      expect(await trim(store.topics, 't', { ...KEEP, bytes: kept })).toMatchObject({ head: number })
      const { first, bytes, events } = (await infoOf(store.topics, 't')) ?? { first: 0, bytes: 0, events: 0 }
      expect([first, bytes, events]).toEqual([number - 999, kept, 1_000])
      expect(await dataOf(store, 't')).toEqual(Array.from({ length: 1_000 }, (_, i) => number - 1_000 + i))
      await append('t', ['more'], { events: 10 })
      expect((await dataOf(store, 't')).length).toBe(10)
    })

    test('a trim that keeps nothing leaves head and lineage', async () => {
      const { store } = given()
      const { epoch } = await publish(store, 't', 'a', 'b')
      const trimmed = await trim(store.topics, 't', { ...KEEP, bytes: 0 })
      expect(trimmed).toMatchObject({ epoch, first: 3, head: 2 })
      expect(await store.topics.read('t', 0, ALL)).toEqual({ ...trimmed, events: [] })
      expect(await infoOf(store.topics, 't')).toMatchObject({ events: 0, bytes: 0 })
      expect((await publish(store, 't', 'c')).offsets).toEqual([3])
      expect(await dataOf(store, 't')).toEqual(['c'])
    })

    test('a trim of an unborn topic leaves it unborn', async () => {
      const { store } = given()
      expect(await trim(store.topics, 't', { ...KEEP, events: 0 })).toMatchObject({ first: 1, head: 0 })
      expect(await infoOf(store.topics, 't')).toBeUndefined()
    })

    test('an append that keeps nothing still has its offset', async () => {
      const { store } = given()
      expect((await append('t', ['a'], { events: 0 })).offsets).toEqual([1])
      expect(await store.topics.read('t', 0, ALL)).toMatchObject({ first: 2, head: 1, events: [] })
    })
  })

  describe('read', () => {
    test('reads behind an offset, up to the bound', async () => {
      const { store } = given()
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

    test('gives exactly as much from every place, however many events came in one call', async () => {
      const { store } = given()
      const all = Array.from({ length: 331 }, (_, i) => `${i}`.padStart(3))
      let begun = 0
      for (const count of [1, 1, 4, 1, 200, 1, 3, 100, 2, 2, 2, 14]) {
        await append('t', all.slice(begun, begun + count), { events: 329 })
        begun += count
      }
      const size = sizeBody(text('000')).bytes
      for (let after = 0; after <= all.length; after += after < 12 || after > 300 ? 1 : 23) {
        for (const events of [1, 2, 3, 5, 40, 150]) {
          const expected = all.slice(Math.max(2, after), Math.max(2, after) + events)
          const read = async (bound: { events: number; bytes: number }): Promise<unknown[]> =>
            (await store.topics.read('t', after, bound)).events.map(dataIn)
          expect(await read({ events, bytes: 1e9 })).toEqual(expected)
          expect(await read({ events: 1_000, bytes: size * events })).toEqual(expected)
        }
      }
    })

    test('begins at the first kept event where the offset lies below', async () => {
      const { store } = given()
      await append('t', [1, 2, 3, 4, 5], { events: 2 })
      const page = await store.topics.read('t', 1, ALL)
      expect(page.events.map(({ offset }) => offset)).toEqual([4, 5])
    })

    test('shows nothing that is not acknowledged with the same head', async () => {
      const { store } = given()
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
      const { engine, store } = given()
      for (let i = 0; i < 50; i++) {
        await append('t', [i, i])
        engine.clock.now += 100
      }
      expect(await store.topics.seek('t', START - 1)).toBe(0)
      expect(await store.topics.seek('t', START)).toBe(0)
      expect(await store.topics.seek('t', START + 1)).toBe(2)
      expect(await store.topics.seek('t', START + 2_000)).toBe(40)
      expect(await store.topics.seek('t', START + 1e9)).toBe(100)
      await trim(store.topics, 't', { ...KEEP, events: 10 })
      expect(await store.topics.seek('t', START)).toBe(90)
      expect(await store.topics.seek('t', START + 4_600)).toBe(92)
      expect(await store.topics.seek('unborn', START)).toBe(0)
    })
  })

  describe('topics', () => {
    test('lists born topics in the order of their bytes, a page at a time', async () => {
      const { store } = given()
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
      expect((await store.topics.list({ limit: 1 }))[0]).toEqual(await infoOf(store.topics, '0'))
    })

    test('so many ids of a subject are remembered, and the answer says how many others were forgotten before their time', async () => {
      const { engine, store } = given()
      await store.close()
      const small = await engine.open({ maxIds: 3 })
      const give = (...ids: string[]) =>
        small.topics.append('t', { subject: 'ann', retain: KEEP, drafts: ids.map((id) => ({ body: text(0), id })) })
      expect((await give('a', 'b', 'c')).forgottenIds).toBeUndefined()
      expect(await give('c', 'd', 'e')).toMatchObject({ offsets: [3, 4, 5], duplicates: 1, forgottenIds: 2 })
      expect(await give('a', 'e')).toMatchObject({ offsets: [6, 5], duplicates: 1, forgottenIds: 1 })
      engine.clock.now += 5 * 60_000
      expect((await give('f', 'g', 'h')).forgottenIds).toBeUndefined()
    })

    test('drop makes a topic unborn: events, ids and producers are gone', async () => {
      const { store } = given()
      await withIds(['x'])
      await produce(1, 2)
      expect(await store.topics.drop('t')).toBe(true)
      expect(await store.topics.drop('t')).toBe(false)
      expect(await infoOf(store.topics, 't')).toBeUndefined()
      expect(await store.topics.list({ limit: 10 })).toEqual([])
      expect(await store.topics.read('t', 0, ALL)).toMatchObject({ first: 1, head: 0, events: [] })
      expect(await withIds(['x'])).toMatchObject({ offsets: [1], duplicates: 0 })
      await expect(produce(3, 1)).rejects.toMatchObject({ code: 'conflict' })
    })

    test('a dropped log is remembered: no epoch of it is one of the next log, and its readers know how far it went', async () => {
      const { store, reopen } = given()
      const unborn = await store.topics.read('t', 0, ALL)
      await publish(store, 't', 'a', 'b', 'c')
      let now = await reopen()
      await publish(now, 't', 'd', 'e')
      const first = await now.topics.read('t', 0, ALL)
      expect(first.dropped).toBeUndefined()
      await now.topics.drop('t')
      now = await reopen()
      const dropped = [{ lineage: first.lineage, head: 5 }]
      const between = await now.topics.read('t', 0, ALL)
      expect(between).toMatchObject({ first: 1, head: 0, dropped })
      await publish(now, 't', 'f', 'g')
      const second = await now.topics.read('t', 0, ALL)
      expect(second).toMatchObject({ head: 2, dropped })
      expect(await infoOf(now.topics, 't')).toMatchObject({ head: 2, dropped })
      await now.topics.drop('t')
      expect(await now.topics.drop('t')).toBe(false)
      const third = await publish(now, 't', 'h')
      expect(third.offsets).toEqual([1])
      const page = await now.topics.read('t', 0, ALL)
      expect(page.dropped).toEqual([...dropped, { lineage: second.lineage, head: 2 }])
      const logs = [...(page.dropped ?? []), page].map(({ lineage }) => lineage.map(({ epoch }) => epoch))
      expect(new Set(logs.flat()).size).toBe(logs.flat().length)
      // Whoever looked before a birth has a place before its first event.
      expect(placeIn(page, { epoch: unborn.epoch, offset: 0 })).toMatchObject({ log: 0, offset: 0 })
      expect(placeIn(page, { epoch: between.epoch, offset: 0 })).toMatchObject({ log: 1, offset: 0 })
      expect(placeIn(page, { epoch: third.epoch, offset: 1 })).toMatchObject({ log: 2, offset: 1 })
    })

    test('of many dropped logs the last 100 epochs are remembered', async () => {
      const { store } = given()
      const epochs: string[] = []
      for (let i = 0; i < 103; i++) {
        epochs.push((await publish(store, 't', i)).epoch)
        await store.topics.drop('t')
      }
      const page = await store.topics.read('t', 0, ALL)
      const known = page.dropped?.flatMap(({ lineage }) => lineage) ?? []
      expect(known).toHaveLength(100)
      expect(known.at(-1)).toEqual({ epoch: epochs.at(-1), startsAfter: 0 })
      expect(placeIn(page, { epoch: epochs[0] ?? '', offset: 1 })).toBeUndefined()
      expect(placeIn(page, { epoch: epochs[50] ?? '', offset: 0 })).toMatchObject({ offset: 0, end: 1 })
    })

    test('drop, append and drop in one turn happen in their order', async () => {
      const { store } = given()
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
      return { told, stop: await given().store.topics.watch(topic, (notification) => told.push(notification)) }
    }

    test('tells what became durable in the order of the offsets, with the bodies', async () => {
      const { store } = given()
      const { told } = await watched('t')
      await Promise.all(Array.from({ length: 50 }, (_, i) => publish(store, 't', i, i)))
      await publish(store, 'other', 'x')
      const appended = told.filter((notification) => notification.kind === 'appended')
      expect(appended.length).toBe(told.length)
      const events = appended.flatMap((notification) => notification.events)
      expect(plain(events)).toEqual(plain((await store.topics.read('t', 0, ALL)).events))
      expect(appended.at(-1)?.head).toBe(100)
      for (const { head, events } of appended) expect(events.at(-1)?.offset).toBe(head)
    })

    test('tells nothing before it can be read', async () => {
      const { store } = given()
      const reads: Promise<boolean>[] = []
      await store.topics.watch('t', (notification) => {
        if (notification.kind !== 'appended') return
        reads.push(store.topics.read('t', 0, ALL).then(({ head }) => head >= notification.head))
      })
      for (let i = 0; i < 10; i++) await publish(store, 't', i)
      expect(await Promise.all(reads)).toEqual(Array(10).fill(true))
    })

    test('tells of what its first reader does not see yet, whenever it begins', async () => {
      const { store } = given()
      for (let turns = 0; turns < 30; turns++) {
        const topic = `t${turns}`
        await publish(store, topic, 'a')
        const appending = publish(store, topic, 'b')
        for (let i = 0; i < turns; i++) await setImmediate()
        const { told } = await watched(topic)
        const { head } = await store.topics.read(topic, 0, ALL)
        await appending
        const isTold = () => told.some((one) => one.kind === 'appended' && one.head === 2)
        await until(() => head === 2 || isTold(), { what: `the second event, when ${turns} turns have passed` })
      }
    })

    test('tells of a drop and of a new session', async () => {
      const { store } = given()
      await publish(store, 't', 'a')
      const { told } = await watched('t')
      const owner = { subject: 'ann', client: 'phone' }
      const { session } = await store.cursors.open('t', owner, 'end')
      await store.topics.drop('t')
      expect(told).toEqual([{ kind: 'session', owner, session }, { kind: 'changed' }])
    })

    test('a stopped watch is told nothing more, others are', async () => {
      const { store } = given()
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
}
