/** Payloads that are put under another key while the store is used: all of them, in their places, whatever comes between. */

import { expect, it } from 'vitest'
import type { Body, PayloadChange } from '../../server/store/contract/store.ts'
import { passIn } from '../../server/store/sealing/keys.ts'
import { describeStores } from '../support/hub/stores.ts'
import { runSeed, seededRandom } from '../support/seed.ts'
import { until } from '../support/until.ts'
import { ALL, dataOf, KEEP, publish } from './conformance/fixture.ts'
import { movesAll, movesOnce, numbers, only2, opened, to2, under1 } from './rotating.ts'

describeStores('payloads on $name that are put under another key', (kind) => {
  it('are all that there is: events, jobs, dead letters, histories and answers', async () => {
    const { location } = await kind.place()
    await movesAll(location)
  })

  it.runIf(kind.name === 'redis')('are moved once, by one of two nodes that begin at once', async () => {
    const { location } = await kind.place()
    await movesOnce(location)
  })

  it('are all moved, also where somebody goes on from a place that is not good any more', async () => {
    const { location } = await kind.place()
    const { store } = await opened(location)
    await publish(store, 't', ...numbers(0, 600))
    const moved = ({ json }: Body) => (json.includes('moved') ? undefined : { json: json.replace('}', ',"moved":1}') })
    const change: PayloadChange = { body: moved, text: () => undefined }
    const part = (from: string) => store.rewrite({ topic: 't' }, from, change)
    /** From one place to the next, until there is none. */
    const all = async (from: string | undefined) => {
      for (let at = from; at !== undefined; ) at = (await part(at)).next
    }
    const first: string[] = ['']
    while (first.length < 4) first.push((await part(first.at(-1) ?? '')).next ?? '')
    if (kind.name === 'redis') {
      // Two parts are copied. The first one of them is not done again, nor left out by one that was ahead.
      const [, start = '', behind = '', ahead = ''] = first
      expect(await part(behind)).toEqual({ next: ahead, seen: 0, changed: 0 })
      expect((await part(start)).next).toBe(behind)
      expect(await part(ahead)).toEqual({ next: behind, seen: 0, changed: 0 })
    }
    await all(first.at(-1))
    const { events } = await store.topics.read('t', 0, ALL)
    const expected = numbers(0, 600).map((data) => JSON.stringify({ data, moved: 1 }))
    expect(events.map((event) => 'body' in event && event.body.json)).toEqual(expected)
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
