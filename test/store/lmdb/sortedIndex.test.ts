/** Sorted pairs of the LMDB store: what a commit has changed is there for the rest of it, whatever leaves the memory. */

import { expect, it } from 'vitest'
import { Damage } from '../../../server/store/damage.ts'
import { Changes } from '../../../server/store/lmdb/engine/changes.ts'
import { Environment } from '../../../server/store/lmdb/engine/environment.ts'
import { SortedIndex } from '../../../server/store/lmdb/queues/storage/sortedIndex.ts'
import { atEnd } from '../../support/ending.ts'
import { tempFolder } from '../../support/temp.ts'

it('keeps pairs that are planned and not yet stored, however many blocks came and went before', async () => {
  const environment = await Environment.open(await tempFolder(), new Damage(() => {}))
  atEnd(() => environment.close())
  environment.openTables()
  const changes = new Changes(environment, { now: 1, opening: 'a', hasRoom: true })
  const pairs = new SortedIndex(environment, Buffer.from('pairs'), 'work')
  for (let n = 1; n <= 40; n++) {
    pairs.add(n, n)
    pairs.flush(changes)
    expect(pairs.first()).toEqual({ a: n, b: n })
    expect(pairs.lowest).toBe(n)
    pairs.remove(n, n)
    pairs.flush(changes)
    expect(pairs.first()).toBeUndefined()
  }
})
