/** The contract's cursors, sentence by sentence. */

import { describe, expect, test } from 'vitest'
import { FORGET_MS } from '../../../server/store/contract/basics.ts'
import type { Owner, Store } from '../../../server/store/contract/store.ts'
import { infoOf, maintain, trim } from './calls.ts'
import { type Engine, KEEP, publish } from './fixture.ts'

const DAY = 86_400_000

export interface Case {
  readonly engine: Engine
  readonly store: Store
  reopen(): Promise<Store>
}

export function describeCursors(given: () => Case): void {
  const ann: Owner = { subject: 'ann', client: 'phone' }

  describe('cursors', () => {
    test('open makes a cursor at the end or the start of the moment, or at a position', async () => {
      const { store } = given()
      const { epoch } = await publish(store, 't', 1, 2, 3)
      await trim(store.topics, 't', { ...KEEP, events: 2 })
      const open = (client: string, start: Parameters<Store['cursors']['open']>[2]) =>
        store.cursors.open('t', { subject: 'ann', client }, start)
      expect(await open('a', 'end')).toMatchObject({ position: { epoch, offset: 3 }, created: true, expired: false })
      expect(await open('b', 'start')).toMatchObject({ position: { epoch, offset: 1 }, first: 2, head: 3 })
      const position = { epoch: 'elsewhere', offset: 70 }
      expect(await open('c', position)).toMatchObject({ position })
      const [again, appended] = await Promise.all([open('d', 'end'), publish(store, 't', 4)])
      expect([again.position.offset, appended.offsets]).toEqual([3, [4]])
    })

    test('open of a known cursor keeps its position and begins a higher session', async () => {
      const { store, reopen } = given()
      await publish(store, 't', 1, 2)
      const first = await store.cursors.open('t', ann, 'start')
      const second = await store.cursors.open('t', ann, 'end')
      expect(second).toMatchObject({ position: first.position, created: false, expired: false })
      expect(second.session).toBeGreaterThan(first.session)
      const third = await (await reopen()).cursors.open('t', ann, 'end')
      expect(third).toMatchObject({ position: first.position, created: false })
      expect(third.session).toBeGreaterThan(second.session)
    })

    test('open leaves an unborn topic unborn, and the cursor sees what comes', async () => {
      const { store } = given()
      const { position, session, epoch } = await store.cursors.open('t', ann, 'end')
      expect(position).toEqual({ epoch, offset: 0 })
      expect(await infoOf(store.topics, 't')).toBeUndefined()
      const born = await publish(store, 't', 1, 2)
      expect(await store.cursors.list('t', { limit: 10 })).toMatchObject([{ ...ann, position, session, lag: 2 }])
      const moved = { epoch: born.epoch, offset: 2 }
      expect(await store.cursors.commit('t', ann, session, moved)).toEqual(moved)
    })

    test('commit moves forward only, and is durable', async () => {
      const { store, reopen } = given()
      const { epoch } = await publish(store, 't', 1, 2, 3)
      const { session } = await store.cursors.open('t', ann, 'start')
      const commit = (offset: number) => store.cursors.commit('t', ann, session, { epoch, offset })
      expect(await commit(2)).toEqual({ epoch, offset: 2 })
      expect(await commit(1)).toEqual({ epoch, offset: 2 })
      expect(await commit(0)).toEqual({ epoch, offset: 2 })
      expect(await commit(3)).toEqual({ epoch, offset: 3 })
      const opened = await (await reopen()).cursors.open('t', ann, 'start')
      expect(opened.position).toEqual({ epoch, offset: 3 })
    })

    test('commits of one turn leave the furthest', async () => {
      const { store } = given()
      const { epoch } = await publish(store, 't', 1, 2, 3, 4)
      const { session } = await store.cursors.open('t', ann, 'start')
      const offsets = [1, 4, 2, 3]
      const moved = await Promise.all(
        offsets.map((offset) => store.cursors.commit('t', ann, session, { epoch, offset })),
      )
      expect(moved.map(({ offset }) => offset)).toEqual([4, 4, 4, 4])
    })

    test('of commits of one turn only those are refused that are wrong', async () => {
      const { store } = given()
      const { epoch } = await publish(store, 't', 1, 2, 3)
      const { session } = await store.cursors.open('t', ann, 'start')
      const positions = [
        { epoch, offset: 2 },
        { epoch, offset: 99 },
        { epoch: 'elsewhere', offset: 1 },
        { epoch, offset: 1 },
      ]
      const moved = await Promise.allSettled(
        positions.map((position) => store.cursors.commit('t', ann, session, position)),
      )
      expect(moved).toMatchObject([
        { value: { epoch, offset: 2 } },
        { reason: { code: 'bad_request' } },
        { reason: { code: 'stale_epoch' } },
        { status: 'fulfilled' },
      ])
      expect(await store.cursors.list('t', { limit: 1 })).toMatchObject([{ position: { epoch, offset: 2 } }])
    })

    test('a commit that came before the next session of its client counts for it', async () => {
      const { store } = given()
      const { epoch } = await publish(store, 't', 1, 2)
      const { session } = await store.cursors.open('t', ann, 'start')
      const [moved, opened] = await Promise.all([
        store.cursors.commit('t', ann, session, { epoch, offset: 2 }),
        store.cursors.open('t', ann, 'start'),
        publish(store, 't', 3),
      ])
      expect([moved.offset, opened.position.offset]).toEqual([2, 2])
    })

    test('an append does not wait for all the commits that came before it', async () => {
      const { store } = given()
      const { epoch } = await publish(store, 't', 1)
      const owners = Array.from({ length: 400 }, (_, i) => ({ subject: 'ann', client: `c${i}` }))
      const opened = await Promise.all(owners.map((owner) => store.cursors.open('t', owner, 'start')))
      const answers: string[] = []
      const commits = owners.map(async (owner, i) => {
        await store.cursors.commit('t', owner, opened[i]?.session ?? 0, { epoch, offset: 1 })
        answers.push('commit')
      })
      const appended = publish(store, 't', 2).then(() => answers.push('append'))
      await Promise.all([...commits, appended])
      expect(answers.at(-1)).toBe('commit')
    })

    test('an older session answers taken_over and moves nothing', async () => {
      const { store } = given()
      const { epoch } = await publish(store, 't', 1, 2)
      const old = await store.cursors.open('t', ann, 'start')
      const [, late] = await Promise.all([
        store.cursors.open('t', ann, 'start'),
        store.cursors.commit('t', ann, old.session, { epoch, offset: 2 }).catch((error: unknown) => error),
      ])
      expect(late).toMatchObject({ code: 'taken_over' })
      expect(await store.cursors.list('t', { limit: 1 })).toMatchObject([{ position: { offset: 0 } }])
    })

    test('a session begins only while no other one began since, where that is asked', async () => {
      const { store } = given()
      await publish(store, 't', 1)
      expect(await store.cursors.session('t', ann)).toBe(0)
      const first = await store.cursors.open('t', ann, 'start', 0)
      expect(await store.cursors.session('t', ann)).toBe(first.session)
      await expect(store.cursors.open('t', ann, 'start', 0)).rejects.toMatchObject({ code: 'conflict' })
      const [second, late] = await Promise.all([
        store.cursors.open('t', ann, 'start', first.session),
        store.cursors.open('t', ann, 'start', first.session).catch((error: unknown) => error),
      ])
      expect(late).toMatchObject({ code: 'conflict' })
      expect(await store.cursors.session('t', ann)).toBe(second.session)
      expect(second.session).toBeGreaterThan(first.session)
    })

    test('a session above the known one was forgotten by the store: it goes on, and fences older ones', async () => {
      const { store } = given()
      const { epoch } = await publish(store, 't', 1, 2, 3)
      const known = await store.cursors.open('t', ann, 'start')
      const forgotten = known.session + 5
      expect(await store.cursors.commit('t', ann, forgotten, { epoch, offset: 1 })).toEqual({ epoch, offset: 1 })
      const older = store.cursors.commit('t', ann, known.session, { epoch, offset: 2 })
      await expect(older).rejects.toMatchObject({ code: 'taken_over' })
      const next = await store.cursors.open('t', ann, 'start')
      expect(next.session).toBeGreaterThan(forgotten)
      const late = store.cursors.commit('t', ann, forgotten, { epoch, offset: 2 })
      await expect(late).rejects.toMatchObject({ code: 'taken_over' })
      expect(await store.cursors.list('t', { limit: 1 })).toMatchObject([{ position: { offset: 1 } }])
    })

    test('a cursor that was forgotten with its session is made again by what is acknowledged', async () => {
      const { store } = given()
      const { epoch } = await publish(store, 't', 1, 2, 3)
      const { session } = await store.cursors.open('t', ann, 'start')
      const bob = { subject: 'bob', client: 'phone' }
      const beyond = store.cursors.commit('t', bob, session + 5, { epoch, offset: 4 })
      await expect(beyond).rejects.toMatchObject({ code: 'bad_request' })
      expect(await store.cursors.commit('t', bob, session + 5, { epoch, offset: 2 })).toEqual({ epoch, offset: 2 })
      expect(await store.cursors.list('t', { limit: 2, after: ann })).toMatchObject([
        { client: 'phone', subject: 'bob', position: { epoch, offset: 2 }, lag: 1, session: session + 5 },
      ])
      const again = await store.cursors.open('t', bob, 'end')
      expect(again).toMatchObject({ created: false, position: { epoch, offset: 2 } })
      expect(again.session).toBeGreaterThan(session + 5)
      expect(await store.cursors.forget('t', bob)).toBe(true)
      const late = store.cursors.commit('t', bob, again.session, { epoch, offset: 3 })
      await expect(late).rejects.toMatchObject({ code: 'not_found' })
    })

    test('commit refuses a strange epoch, an offset beyond the end of its epoch, an unknown cursor', async () => {
      const { store, reopen } = given()
      const old = (await publish(store, 't', 1, 2)).epoch
      await store.cursors.open('t', ann, 'start')
      const now = await reopen()
      const { epoch } = await publish(now, 't', 3)
      const { session } = await now.cursors.open('t', ann, 'start')
      const commit = (position: { epoch: string; offset: number }, client = 'phone') =>
        now.cursors.commit('t', { subject: 'ann', client }, session, position)
      const message = 'the epoch "strange\\ud800" is not one of this topic\'s log'
      const strange = commit({ epoch: 'strange\ud800', offset: 1 })
      await expect(strange).rejects.toMatchObject({ code: 'stale_epoch', message })
      const beyond = 'the offset 3 lies beyond the end of its epoch, 2'
      await expect(commit({ epoch: old, offset: 3 })).rejects.toMatchObject({ code: 'bad_request', message: beyond })
      await expect(commit({ epoch, offset: 4 })).rejects.toMatchObject({ code: 'bad_request' })
      await expect(commit({ epoch, offset: 1 }, 'nobody')).rejects.toMatchObject({ code: 'not_found' })
      expect(await commit({ epoch: old, offset: 2 })).toEqual({ epoch: old, offset: 2 })
      expect(await commit({ epoch, offset: 3 })).toEqual({ epoch, offset: 3 })
    })

    test('a cursor whose tail was lost moves on from the end of its epoch', async () => {
      const { store, reopen } = given()
      const old = (await publish(store, 't', 1, 2)).epoch
      const opened = await store.cursors.open('t', ann, { epoch: old, offset: 9 })
      const now = await reopen()
      const { epoch } = await publish(now, 't', 3)
      expect(await now.cursors.list('t', { limit: 1 })).toMatchObject([{ lag: 1 }])
      const told = { epoch, offset: 2 }
      expect(await now.cursors.commit('t', ann, opened.session, told)).toEqual(told)
      expect(await now.cursors.commit('t', ann, opened.session, { epoch: old, offset: 2 })).toEqual(told)
      const position = { epoch, offset: 3 }
      expect(await now.cursors.commit('t', ann, opened.session, position)).toEqual(position)
    })

    test('a cursor of an unknown epoch moves to any position that can be', async () => {
      const { store } = given()
      const { epoch } = await publish(store, 't', 1)
      const { session } = await store.cursors.open('t', ann, { epoch: 'elsewhere', offset: 70 })
      const position = { epoch, offset: 0 }
      expect(await store.cursors.commit('t', ann, session, position)).toEqual(position)
    })

    test('place moves back and forth as a new session, or makes the cursor', async () => {
      const { store } = given()
      const { epoch } = await publish(store, 't', 1, 2, 3)
      const { session } = await store.cursors.open('t', ann, 'end')
      const placed = await store.cursors.open('t', ann, { place: { epoch, offset: 1 } })
      expect(placed).toMatchObject({ position: { epoch, offset: 1 }, created: false })
      expect(placed.session).toBeGreaterThan(session)
      const late = store.cursors.commit('t', ann, session, { epoch, offset: 3 })
      await expect(late).rejects.toMatchObject({ code: 'taken_over' })
      const bob = { subject: 'bob', client: 'phone' }
      expect(await store.cursors.open('t', bob, { place: { epoch, offset: 2 } })).toMatchObject({ created: true })
      const place = (position: { epoch: string; offset: number }) => store.cursors.open('t', ann, { place: position })
      await expect(place({ epoch: 'strange', offset: 1 })).rejects.toMatchObject({ code: 'stale_epoch' })
      const beyond = 'the offset 4 lies beyond the end of its epoch, 3'
      await expect(place({ epoch, offset: 4 })).rejects.toMatchObject({ code: 'bad_request', message: beyond })
      expect(await store.cursors.open('t', ann, 'end')).toMatchObject({ position: { epoch, offset: 1 } })
    })

    test('list is ordered by subject and client, pages, and tells the lag', async () => {
      const { store } = given()
      const { epoch } = await publish(store, 't', 1, 2, 3)
      const owners = [
        { subject: '', client: 'z' },
        { subject: 'a', client: 'b' },
        { subject: 'a', client: 'c' },
        { subject: 'a\0', client: 'a' },
        { subject: 'a\0\u0001', client: 'a' },
        { subject: 'ab', client: 'a' },
        { subject: 'b', client: 'a' },
        { subject: 'ä😀', client: 'a' },
      ]
      for (const [i, owner] of [...owners].reverse().entries()) {
        await store.cursors.open('t', owner, { epoch, offset: i % 4 })
      }
      await store.cursors.open('t2', ann, 'end')
      const seen: Owner[] = []
      for (let after: Owner | undefined; ; ) {
        const page = await store.cursors.list('t', { limit: 3, ...(after !== undefined && { after }) })
        for (const { subject, client, position, lag } of page) {
          expect(lag).toBe(3 - position.offset)
          seen.push({ subject, client })
        }
        after = seen.at(-1)
        if (page.length < 3) break
      }
      expect(seen).toEqual(owners)
      const behind = await store.cursors.list('t', { limit: 10, behind: 2 })
      expect(behind.map(({ lag }) => lag)).toEqual([2, 3, 2, 3])
      expect(await store.cursors.list('t', { limit: 1, behind: 3 })).toHaveLength(1)
    })

    test('the lag of a cursor with an unknown epoch is 0', async () => {
      const { store } = given()
      await publish(store, 't', 1)
      await store.cursors.open('t', ann, { epoch: 'elsewhere', offset: 0 })
      expect(await store.cursors.list('t', { limit: 1 })).toMatchObject([{ lag: 0 }])
    })

    test('forget removes a cursor without a note; a later session is higher all the same', async () => {
      const { store } = given()
      const { epoch } = await publish(store, 't', 1)
      const { session } = await store.cursors.open('t', ann, 'start')
      expect(await store.cursors.forget('t', ann)).toBe(true)
      expect(await store.cursors.forget('t', ann)).toBe(false)
      const late = store.cursors.commit('t', ann, session, { epoch, offset: 1 })
      await expect(late).rejects.toMatchObject({ code: 'not_found' })
      const again = await store.cursors.open('t', ann, 'end')
      expect(again).toMatchObject({ created: true, expired: false, position: { offset: 1 } })
      expect(again.session).toBeGreaterThan(session)
    })

    test('a cursor expires 30 days after its last use, and the next opening is told once', async () => {
      const { store, engine } = given()
      const { epoch } = await publish(store, 't', 1, 2)
      const { session } = await store.cursors.open('t', ann, 'start')
      engine.clock.now += 30 * DAY - 1
      expect(await maintain(store)).toMatchObject({ cursors: 0 })
      await store.cursors.commit('t', ann, session, { epoch, offset: 1 })
      engine.clock.now += 30 * DAY - 1
      await maintain(store)
      expect(await store.cursors.list('t', { limit: 1 })).toHaveLength(1)
      engine.clock.now += 1
      expect(await store.cursors.list('t', { limit: 1 })).toEqual([])
      const late = store.cursors.commit('t', ann, session, { epoch, offset: 2 })
      await expect(late).rejects.toMatchObject({ code: 'not_found' })
      engine.clock.now += FORGET_MS
      expect(await maintain(store)).toMatchObject({ cursors: 1, more: false })
      const opened = await store.cursors.open('t', ann, 'end')
      expect(opened).toMatchObject({ created: true, expired: true, position: { offset: 2 } })
      expect(opened.session).toBeGreaterThan(session)
      expect(await store.cursors.open('t', ann, 'end')).toMatchObject({ created: false, expired: false })
    })

    test('a cursor that expired and was not swept yet is told as expired, too', async () => {
      const { store, engine } = given()
      await publish(store, 't', 1)
      await store.cursors.open('t', ann, 'start')
      engine.clock.now += 30 * DAY
      expect(await store.cursors.open('t', ann, 'end')).toMatchObject({ created: true, expired: true })
      await maintain(store)
      expect(await store.cursors.open('t', ann, 'end')).toMatchObject({ created: false, position: { offset: 1 } })
    })

    test('the note of an expired cursor stays for a year', async () => {
      const { store, engine } = given()
      const bob = { subject: 'bob', client: 'phone' }
      await store.cursors.open('t', ann, 'start')
      await store.cursors.open('t', bob, 'start')
      engine.clock.now += 30 * DAY
      await maintain(store)
      engine.clock.now += 365 * DAY - 1
      await maintain(store)
      expect(await store.cursors.open('t', ann, 'end')).toMatchObject({ created: true, expired: true })
      engine.clock.now += 1
      expect(await store.cursors.open('t', bob, 'end')).toMatchObject({ created: true, expired: false })
    })

    test('cursors stay when a topic is dropped, count what was seen of it, and lack all of the next log', async () => {
      const { store } = given()
      const { epoch } = await publish(store, 't', 1, 2, 3)
      const { session } = await store.cursors.open('t', ann, 'start')
      const at = (offset: number) => ({ epoch, offset })
      await store.cursors.commit('t', ann, session, at(1))
      await store.topics.drop('t')
      expect(await store.cursors.list('t', { limit: 1 })).toMatchObject([{ position: at(1), lag: 0 }])
      // An acknowledgement that was under way.
      expect(await store.cursors.commit('t', ann, session, at(2))).toEqual(at(2))
      await expect(store.cursors.commit('t', ann, session, at(4))).rejects.toMatchObject({ code: 'bad_request' })
      const born = await publish(store, 't', 4, 5)
      expect(await store.cursors.list('t', { limit: 1 })).toMatchObject([{ position: at(2), lag: 2 }])
      expect(await store.cursors.list('t', { limit: 1, behind: 3 })).toEqual([])
      expect(await store.cursors.commit('t', ann, session, at(3))).toEqual(at(3))
      const next = { epoch: born.epoch, offset: 0 }
      expect(await store.cursors.commit('t', ann, session, next)).toEqual(next)
      expect(await store.cursors.commit('t', ann, session, at(3))).toEqual(next)
      expect(await store.cursors.open('t', ann, 'end')).toMatchObject({ position: next, first: 1, head: 2 })
      expect(await store.cursors.open('t', ann, { place: at(2) })).toMatchObject({ position: at(2) })
    })
  })
}
