/** The transaction of the LMDB store: what it loads of a queue is kept for the next one only when it is durable. */

import { expect, it } from 'vitest'
import { Damage } from '../../../server/store/damage.ts'
import { Environment } from '../../../server/store/lmdb/engine/environment.ts'
import { STORE_KEY, TABLES, type Table } from '../../../server/store/lmdb/engine/tables.ts'
import { Transaction } from '../../../server/store/lmdb/engine/transaction.ts'
import { QueueCache } from '../../../server/store/lmdb/queues/storage/cache.ts'
import { atEnd } from '../../support/ending.ts'
import { tempFolder } from '../../support/temp.ts'

it('reads a queue again that was changed for a commit that never came, and no other', async () => {
  const environment = await Environment.open(await tempFolder(), new Damage(() => {}))
  atEnd(() => environment.close())
  environment.openTables()
  const record = { epochs: ['a'], opening: '', lastTopicNumber: 0, lastSession: 0 }
  const bytes = TABLES.store.encode(record)
  await environment.commit([{ table: TABLES.store as Table<unknown>, key: STORE_KEY, bytes }])
  const cache = new QueueCache()
  const begin = () => new Transaction(environment, cache, { now: 1, opening: 'a', hasRoom: true })
  const made = begin()
  for (const name of ['changed', 'untouched']) made.plan((transaction) => transaction.queueMade(name))
  await environment.commit(made.writes())
  made.keepQueues()

  const failed = begin()
  const { value: lost } = failed.plan((transaction) => transaction.queueMade('changed'))
  lost.main.counters.paused = true
  failed.writes()

  const next = begin()
  expect(next.queue('changed')?.main.counters.paused).toBe(false)
  expect(next.queue('untouched')).toBe(made.queue('untouched'))
})
