/** Stores of other versions of the format. */

import { open as openLmdb } from 'lmdb'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { dataOf, type LmdbEngine, lmdbEngine, publish } from '../conformance/fixture.ts'
import { deskOf, named } from '../conformance/queueDesk.ts'

describe('the format of the LMDB store', () => {
  let engine: LmdbEngine

  beforeEach(async () => {
    engine = await lmdbEngine()
  })

  afterEach(async () => {
    await engine.destroy()
  })

  test('a store of the version before, whose records have no checksums, is taken over whole', async () => {
    const store = await engine.open()
    await publish(store, 't', 1, 2)
    const ann = { subject: 'ann', client: 'phone' }
    await store.cursors.open('t', ann, 'start')
    await deskOf(store).send([named('a'), named('b', { key: 'k' }), named('c', { key: 'k' })])
    await store.close()
    const raw = { encoding: 'binary', keyEncoding: 'binary' } as const
    const open = () =>
      openLmdb<Buffer, Buffer>({ path: engine.folder, noSubdir: false, overlappingSync: false, maxDbs: 48, ...raw })
    const before = open()
    for (const name of [
      'store',
      'topics',
      'lineages',
      'cursors',
      'queues',
      'jobs',
      'pairs',
      'job-ids',
      'id-owners',
      'ids',
      'id-log',
    ]) {
      const table = before.openDB<Buffer, Buffer>({ name, ...raw })
      for (const key of Array.from(table.getKeys({}), (one) => Buffer.from(one))) {
        const value = table.get(key)
        if (value !== undefined) await table.put(key, Buffer.from(value.subarray(0, value.length - 5)))
      }
    }
    const schema = { name: 'schema', ...raw }
    await before.openDB<Buffer, Buffer>(schema).put(Buffer.from('version'), Buffer.from('1'))
    await before.close()
    const told: string[] = []
    const again = await engine.open({ warn: (message) => told.push(message) })
    expect(await dataOf(again, 't')).toEqual([1, 2])
    expect((await again.cursors.open('t', ann, 'end')).created).toBe(false)
    expect(await deskOf(again).ids('w')).toEqual(['a', 'b'])
    expect((await deskOf(again).send([named('a')])).duplicates).toBe(1)
    expect(told).toEqual([])
    await again.close()
    const after = open()
    expect(String(after.openDB<Buffer, Buffer>(schema).get(Buffer.from('version')))).toBe('2')
    await after.close()
  })
})
