/** Stores whose payloads are put under another key: how tests open them, and what holds on every kind of store. */

import { expect } from 'vitest'
import type { Store } from '../../server/store/contract/store.ts'
import { openStore } from '../../server/store/open.ts'
import type { Encryption } from '../../server/store/sealing/keyring.ts'
import { knownKeys, type Pass, passIn } from '../../server/store/sealing/keys.ts'
import { atEnd } from '../support/ending.ts'
import { until } from '../support/until.ts'
import { dataOf, publish, text } from './conformance/fixture.ts'
import { childrenIn, errands, errandsOf, family, fill, lifeOf, live, MARK, readAgain } from './payloads.ts'

const K1 = Buffer.alloc(32, 1)
const K2 = Buffer.alloc(32, 2)
export const under1: Encryption = { current: 'k1', keys: new Map([['k1', K1]]) }
export const both = new Map([
  ['k1', K1],
  ['k2', K2],
]) // prettier-ignore
export const to2: Encryption = { current: 'k2', keys: both }
export const only2: Encryption = { current: 'k2', keys: new Map([['k2', K2]]) }

export interface Opened {
  readonly store: Store
  /** What its log would say of passes. */
  readonly told: readonly string[]
  /** Resolves when everything is under the present key. */
  ended(): Promise<Pass | undefined>
}

export async function opened(location: string, encryption?: Encryption, rotates = true): Promise<Opened> {
  const failures: unknown[] = []
  const told: string[] = []
  const rotation = {
    told: (what: string) => void told.push(what),
    failed: (cause: unknown) => failures.push(cause),
    lookMs: 20,
  }
  const store = await openStore(location, { ...(encryption && { encryption }), ...(rotates && { rotation }) })
  atEnd(() => store.close())
  const others = async () =>
    [...(await knownKeys(store.settings))].filter(([name, { used }]) => used && name !== (encryption?.current ?? ''))
  return {
    store,
    told,
    async ended() {
      await until(async () => (await others()).length === 0 && (await passIn(store.settings))?.done === true, {
        what: 'all payloads to be under one key',
      })
      expect(failures).toEqual([])
      return await passIn(store.settings)
    },
  }
}

const DRAFT = { body: text(MARK), priority: 4, ttlMs: 3_600_000 }
const LEFT = { ...DRAFT, children: { drafts: [DRAFT], onDead: 'skip', bytes: 1e6 } }

export const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

/** All that a store can keep is encrypted, put under another key, and back as it was in the end. */
export async function movesAll(location: string): Promise<void> {
  const plain = await opened(location)
  await fill(plain.store)
  const expected = await readAgain(plain.store)
  const counts = await plain.store.queues.list({ limit: 100 })
  await plain.store.close()
  for (const [encryption, refused] of [
    [under1, undefined],
    [to2, under1],
    [{ keys: both }, only2],
  ] as const) {
    const { store, ended } = await opened(location, encryption)
    await ended()
    expect(await readAgain(store)).toEqual(expected)
    if (encryption === under1) {
      await live(store, 'under k1')
      await family(store, 'family under k1')
      await errands(store, 'errands under k1')
      expect(await errandsOf(store, 'errands under k1')).toMatchObject([LEFT, { state: 'done' }, { state: 'dead' }])
    }
    await store.close()
    // What comes under the first key is under the second one then, alone.
    if (refused !== undefined && encryption === to2) {
      const { store } = await opened(location, only2, false)
      expect(await lifeOf(store, 'under k1')).toEqual(await lifeOf(store, 'told'))
      const told = [{ state: 'done', result: text(MARK) }, { state: 'dead', error: MARK }, { state: 'removed' }]
      expect(await errandsOf(store, 'errands under k1')).toEqual([
        LEFT,
        { id: '', state: 'done', result: text(MARK) },
        { id: '', state: 'dead', error: MARK },
      ])
      expect(await childrenIn(store, 'family under k1')).toEqual([[text(MARK).json, told]])
      await store.close()
    }
    if (refused === undefined) await expect(opened(location)).rejects.toThrow(/encryption\.keys\.k1: is missing/)
  }
  // Nothing is under a key any more.
  const again = await opened(location)
  expect(await readAgain(again.store)).toEqual(expected)
  const others = (await again.store.queues.list({ limit: 100 })).filter(({ queue }) => !queue.endsWith('under k1'))
  expect(others).toEqual(counts)
}

/** Two nodes that begin at once: one of them does it, each payload once, and says rightly how much that was. */
export async function movesOnce(location: string): Promise<void> {
  const { store: before } = await opened(location, under1, false)
  for (const topic of ['a', 'b']) await publish(before, topic, ...numbers(0, 700))
  const drafts = numbers(0, 100).map((n) => ({ body: text(n), priority: 4, ttlMs: 3_600_000 }))
  await before.queues.enqueue('q', { subject: 'ann', drafts, limit: { jobs: 1e3, bytes: 1e6 } })
  await before.close()
  const nodes = await Promise.all([opened(location, to2), opened(location, to2)])
  const passes = await Promise.all(nodes.map(({ ended }) => ended()))
  expect(passes[0]).toMatchObject({ to: 'k2', total: 1_500, seen: 1_500, changed: 1_500 })
  expect(nodes.flatMap(({ told }) => told)).toEqual(['began', 'ended'])
  for (const { store } of nodes) await store.close()
  const { store } = await opened(location, only2)
  for (const topic of ['a', 'b']) expect(await dataOf(store, topic)).toEqual(numbers(0, 700))
  const jobs = await store.queues.jobs('q', { state: 'ready', limit: 1_000 })
  expect(jobs.map(({ body }) => body)).toEqual(drafts.map(({ body }) => body))
}
