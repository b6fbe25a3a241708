/** The writer of the LMDB store: what waits for a turn of the event loop, and what does not. */

import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import type { Store, StoredDraft } from '../../../server/store/contract/store.ts'
import { Environment } from '../../../server/store/lmdb/engine/environment.ts'
import { openStore } from '../../../server/store/open.ts'
import { tempFolder } from '../../support/temp.ts'

let store: Store

beforeAll(async () => {
  store = await openStore(`${await tempFolder()}/data`, {})
})

afterAll(() => store.close())

const drafts: StoredDraft[] = [{ body: { json: '{"data":1}' } }]
const append = () =>
  store.topics.append('t', { subject: 'ann', drafts, retain: { events: 100, bytes: 1e6, ageMs: 1e9 } })

/** What happens first: the commit of what `call` asks for, or another turn of the event loop. */
async function first(call: () => Promise<unknown>): Promise<string[]> {
  // Whatever was done before is over, and nobody works.
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve))
  const order: string[] = []
  const { commit } = Environment.prototype
  const spy = vi.spyOn(Environment.prototype, 'commit').mockImplementation(function (this: Environment, writes) {
    order.push('commit')
    return commit.call(this, writes)
  })
  await new Promise((resolve) => setImmediate(resolve))
  setImmediate(() => order.push('turn'))
  await call()
  spy.mockRestore()
  return order
}

it('commits a single publish in the turn in which it came, with all that came with it', async () => {
  await append()
  expect(await first(append)).toEqual(['commit', 'turn'])
  expect(await first(() => Promise.all([append(), append(), append()]))).toEqual(['commit', 'turn'])
})

it('lets an acknowledgement wait for those of others', async () => {
  const owner = { subject: 'ann', client: 'phone' }
  const { position, session } = await store.cursors.open('t', owner, 'start')
  expect(await first(() => store.cursors.commit('t', owner, session, position))).toEqual(['turn', 'commit'])
})
