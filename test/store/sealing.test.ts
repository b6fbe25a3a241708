/** Payloads at rest: what the files of a store hold, with which keys a store opens, and what cannot pass for another. */

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { Store } from '../../server/store/contract/store.ts'
import { openLmdb } from '../../server/store/lmdb/store.ts'
import { openStore } from '../../server/store/open.ts'
import { openRedis } from '../../server/store/redis/store.ts'
import { type Encryption, Keyring } from '../../server/store/sealing/keyring.ts'
import { admitKeys } from '../../server/store/sealing/keys.ts'
import { sealedStore } from '../../server/store/sealing/sealedStore.ts'
import { atEnd } from '../support/ending.ts'
import { describeStores } from '../support/hub/stores.ts'
import { dataOf, KEEP, publish, text } from './conformance/fixture.ts'
import { fill, MARK, readAgain } from './payloads.ts'
import { opened as openMoving } from './rotating.ts'

const K1 = Buffer.alloc(32, 1)
const K2 = Buffer.alloc(32, 2)
const under1: Encryption = { current: 'k1', keys: new Map([['k1', K1]]) }

async function opened(location: string, encryption?: Encryption): Promise<Store> {
  const store = await openStore(location, encryption && { encryption })
  atEnd(() => store.close())
  return store
}

/** All bytes of the files in a folder and those below. */
async function bytesIn(folder: string): Promise<Buffer> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  return Buffer.concat(await Promise.all(files.map(({ parentPath, name }) => readFile(join(parentPath, name)))))
}

describeStores('payloads at rest on $name', (kind) => {
  it('are found in no file, and read again as they were', async () => {
    const { location, files } = await kind.place()
    const plain = await opened(location)
    await fill(plain)
    const expected = await readAgain(plain)
    await plain.close()
    // As the search has to find what is there.
    expect((await bytesIn(files)).includes(MARK)).toBe(true)

    const other = await kind.place()
    const store = await opened(other.location, under1)
    const told: unknown[] = []
    await store.topics.watch('t', (notification) => told.push(notification))
    await fill(store)
    expect(await readAgain(store)).toEqual(expected)
    await expect.poll(() => JSON.stringify(told)).toContain(MARK)
    await store.close()
    expect(await readAgain(await opened(other.location, under1))).toEqual(expected)
    const bytes = await bytesIn(other.files)
    expect(bytes.includes(MARK)).toBe(false)
    expect(bytes.includes(Buffer.from(MARK).toString('base64').slice(0, 20))).toBe(false)
    // Names are.
    expect(bytes.includes('waiting')).toBe(true)
  })

  it('are refused to a hub with another key, with none, or without the one that some are under', async () => {
    const { location } = await kind.place()
    const store = await opened(location, under1)
    await publish(store, 't', 1, 2)
    if (kind.name === 'lmdb') await store.close()
    const refusal = (encryption?: Encryption) => opened(location, encryption).then(() => '', String)
    const other = { current: 'k1', keys: new Map([['k1', K2]]) }
    expect(await refusal(other)).toMatch(/encryption\.keys\.k1: is another key than the one that the store's/)
    const missing = /encryption\.keys\.k1: is missing, and up to 2 of the store's events and jobs are encrypted with it/
    expect(await refusal()).toMatch(missing)
    expect(await refusal({ current: 'k2', keys: new Map([['k2', K2]]) })).toMatch(missing)
  })

  it('of two hubs that begin at once with different keys, are under the key of one, and the other does not start', async () => {
    const engine = await opened((await kind.place()).location)
    const begin = (key: Buffer) => admitKeys(engine, new Keyring({ current: 'k1', keys: new Map([['k1', key]]) }))
    const outcomes = await Promise.allSettled([begin(K1), begin(K2)])
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
  })

  it.runIf(kind.name === 'redis')('are unavailable to a hub that runs on without keys, and do it no harm', async () => {
    const { location } = await kind.place()
    const plain = await opened(location)
    const told: unknown[] = []
    await plain.topics.watch('t', (notification) => told.push(notification))
    const store = await opened(location, under1)
    await publish(store, 't', 1)
    await expect.poll(() => told).toMatchObject([{ kind: 'appended', head: 1, events: [] }])
    await expect(dataOf(plain, 't')).rejects.toMatchObject({ code: 'unavailable' })
    // What it writes itself is read by both.
    expect((await publish(plain, 'u', 2)).offsets).toEqual([1])
    expect([await dataOf(plain, 'u'), await dataOf(store, 'u')]).toEqual([[2], [2]])
  })

  it('stay readable when encryption comes, when the key changes, and when it goes with the keys still given', async () => {
    const { location } = await kind.place()
    const write = async (data: string, encryption?: Encryption) => {
      const store = await opened(location, encryption)
      await publish(store, 't', data)
      const all = await dataOf(store, 't')
      const [{ bytes = 0 } = {}] = await store.topics.list({ names: ['t'] })
      await store.close()
      return { all, bytes }
    }
    const both = new Map([
      ['k1', K1],
      ['k2', K2],
    ]) // prettier-ignore
    const first = await write('a')
    await write('b', under1)
    await write('c', { current: 'k2', keys: both })
    // Retention counts what was published.
    expect(await write('d', { keys: both })).toEqual({ all: ['a', 'b', 'c', 'd'], bytes: 4 * first.bytes })
  })

  it('that begin like encrypted ones come back as they were, whenever they came in, and hold no pass up', async () => {
    const { location } = await kind.place()
    const forged = (key: string) =>
      `sealed:${Buffer.concat([Buffer.from(key.padEnd(16, '\0')), K2]).toString('base64')}`
    const errors = [
      'sealed:',
      'sealed: the lid is stuck',
      `sealed:${K1.toString('base64')}`,
      forged('k1'),
      forged('k9'),
    ]
    const fail = async (store: Store) => {
      const drafts = errors.map((error) => ({
        body: text(1),
        priority: 4,
        ttlMs: 1e6,
        dead: { reason: 'gap' as const, error },
      }))
      await store.queues.enqueue('q', { subject: 'ann', drafts, limit: { jobs: 100, bytes: 1e6 } })
    }
    const told = async (store: Store) => {
      const letters = await store.queues.jobs('q/dead', { state: 'ready', limit: 100 })
      return letters.map(({ dead, history }) => [dead?.error, history.at(-1)?.why])
    }
    const plain = await opened(location)
    await fail(plain)
    const expected = await told(plain)
    expect(expected.map(([error]) => error)).toEqual(errors)
    await plain.close()
    for (const encryption of [under1, { current: 'k2', keys: new Map([...under1.keys, ['k2', K2]]) }]) {
      const { store, ended } = await openMoving(location, encryption)
      await ended()
      expect(await told(store)).toEqual(expected)
      await fail(store)
      expected.push(...expected.slice(0, errors.length))
      expect(await told(store)).toEqual(expected)
      await store.close()
    }
    expect(await told(await opened(location, { current: 'k2', keys: new Map([['k2', K2]]) }))).toEqual(expected)
  })

  it('that were put in the place of others are damaged, and a key that is missing later is not damage', async () => {
    const { location } = await kind.place()
    const engine = kind.name === 'redis' ? await openRedis(location) : await openLmdb(location)
    atEnd(() => engine.close())
    const sealed = (encryption: Encryption) => sealedStore(engine, new Keyring(encryption))
    const store = sealed(under1)
    await publish(store, 't', 'a')
    const { events } = await engine.topics.read('t', 0, { events: 1, bytes: 1 })
    const bodies = events.flatMap((event) => ('body' in event ? [event.body] : []))
    await engine.topics.append('other', { subject: 'ann', drafts: bodies.map((body) => ({ body })), retain: KEEP })
    expect(await dataOf(store, 'other')).toEqual(['damaged'])
    await expect(dataOf(sealed({ keys: new Map([['k9', K2]]) }), 't')).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('the key k1, which this hub does not have'),
    })
  })
})
