/** Payloads that are put under another key while the store is used: all of them, in their places, whatever comes between. */

import { expect, it } from 'vitest'
import type { Store } from '../../server/store/contract/store.ts'
import { openStore } from '../../server/store/open.ts'
import type { Encryption } from '../../server/store/sealing/keyring.ts'
import { knownKeys, type Pass, passIn } from '../../server/store/sealing/keys.ts'
import { atEnd } from '../support/ending.ts'
import { describeStores } from '../support/hub/stores.ts'
import { runSeed, seededRandom } from '../support/seed.ts'
import { until } from '../support/until.ts'
import { dataOf, KEEP, publish } from './conformance/fixture.ts'
import { fill, readAgain } from './payloads.ts'

const K1 = Buffer.alloc(32, 1)
const K2 = Buffer.alloc(32, 2)
const under1: Encryption = { current: 'k1', keys: new Map([['k1', K1]]) }
const both = new Map([
  ['k1', K1],
  ['k2', K2],
]) // prettier-ignore
const to2: Encryption = { current: 'k2', keys: both }
const only2: Encryption = { current: 'k2', keys: new Map([['k2', K2]]) }

interface Opened {
  readonly store: Store
  /** Resolves when everything is under the present key. */
  ended(): Promise<Pass | undefined>
}

async function opened(location: string, encryption?: Encryption, rotates = true): Promise<Opened> {
  const failures: unknown[] = []
  const rotation = { told: () => {}, failed: (cause: unknown) => failures.push(cause), lookMs: 20 }
  const store = await openStore(location, { ...(encryption && { encryption }), ...(rotates && { rotation }) })
  atEnd(() => store.close())
  const others = async () =>
    [...(await knownKeys(store.settings))].filter(([name, { used }]) => used && name !== (encryption?.current ?? ''))
  return {
    store,
    async ended() {
      await until(async () => (await others()).length === 0 && (await passIn(store.settings))?.done === true, {
        what: 'all payloads to be under one key',
      })
      expect(failures).toEqual([])
      return await passIn(store.settings)
    },
  }
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

describeStores('payloads on $name that are put under another key', (kind) => {
  it('are all that there is: events, jobs, dead letters, histories and answers', async () => {
    const { location } = await kind.place()
    const plain = await opened(location)
    await fill(plain.store)
    const expected = await readAgain(plain.store)
    const counts = await plain.store.queues.list({ limit: 10 })
    await plain.store.close()
    for (const [encryption, refused] of [
      [under1, undefined],
      [to2, under1],
      [{ keys: both }, only2],
    ] as const) {
      const { store, ended } = await opened(location, encryption)
      await ended()
      expect(await readAgain(store)).toEqual(expected)
      await store.close()
      if (refused === undefined) await expect(opened(location)).rejects.toThrow(/encryption\.keys\.k1: is missing/)
    }
    // Nothing is under a key any more.
    const again = await opened(location)
    expect(await readAgain(again.store)).toEqual(expected)
    expect(await again.store.queues.list({ limit: 10 })).toEqual(counts)
  })

  it('are in their places, with what is published, trimmed and dropped meanwhile', async () => {
    const { location } = await kind.place()
    const first = await opened(location, under1)
    const { store: before } = first
    for (const topic of ['gone', 'kept', 'trimmed']) await publish(before, topic, ...numbers(0, 1_500))
    await first.store.close()
    const { store, ended } = await opened(location, to2)
    let next = 1_500
    let dropped = false
    const end = ended()
    let over = false
    void end.finally(() => {
      over = true
    })
    while (!over) {
      const data = numbers(next, next + 7)
      next += 7
      const retain = { ...KEEP, events: 400 }
      await store.topics.append('trimmed', { subject: 'ann', drafts: data.map(draft), retain })
      await publish(store, 'kept', ...data)
      if (!dropped && (await passIn(store.settings))?.seen) dropped = await store.topics.drop('gone')
      if (dropped) await publish(store, 'gone', 'new')
    }
    const pass = await end
    expect(pass?.seen).toBeGreaterThanOrEqual(1_500)
    await store.close()
    const after = await opened(location, only2)
    expect(await dataOf(after.store, 'kept')).toEqual(numbers(0, next))
    expect(await dataOf(after.store, 'trimmed')).toEqual(numbers(next - 400, next))
    expect(new Set(await dataOf(after.store, 'gone'))).toEqual(new Set(['new']))
    const [kept, trimmed] = await after.store.topics.list({ names: ['kept', 'trimmed'] })
    expect(kept).toMatchObject({ first: 1, head: next, events: next })
    expect(trimmed).toMatchObject({ first: next - 399, head: next, bytes: bytesOf(numbers(next - 400, next)) })
    // By bytes retention finds what it would have found without.
    const keep = bytesOf(numbers(next - 200, next))
    await after.store.topics.append('kept', { subject: 'ann', drafts: [], retain: { ...KEEP, bytes: keep } })
    expect((await after.store.topics.list({ names: ['kept'] }))[0]).toMatchObject({ first: next - 199, bytes: keep })
  })

  it('go on where they were left, however often that is', async () => {
    const { location } = await kind.place()
    const { store: before } = await opened(location, under1)
    for (const topic of ['a', 'b', 'c']) await publish(before, topic, ...numbers(0, 1_000))
    await before.close()
    const random = seededRandom(runSeed('closings'))
    for (let i = 0; i < 4; i++) {
      const { store } = await opened(location, to2)
      const parts = random.integer(1, 6)
      await until(async () => ((await passIn(store.settings))?.seen ?? 0) >= 0, { what: 'a pass to begin' })
      for (let part = 0; part < parts; part++) await store.ready()
      await publish(store, 'b', 1_000 + i)
      await store.close()
    }
    const { ended, store } = await opened(location, to2)
    await ended()
    await store.close()
    const after = (await opened(location, only2)).store
    expect(await dataOf(after, 'a')).toEqual(numbers(0, 1_000))
    expect(await dataOf(after, 'b')).toEqual(numbers(0, 1_004))
    expect(await dataOf(after, 'c')).toEqual(numbers(0, 1_000))
  })
})

function draft(data: number) {
  return { body: { json: JSON.stringify({ data }) } }
}

/** As retention counts them. */
function bytesOf(data: readonly number[]): number {
  return data.reduce((sum, one) => sum + 5 + draft(one).body.json.length, 0)
}
