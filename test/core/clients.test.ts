/** Who is connected, without connections: one is found by its id, and not by looking through the others. */

import { expect, it } from 'vitest'
import { anonymous, type Caller } from '../../server/core/access.ts'
import type { Connected } from '../../server/core/seeing/clientRow.ts'
import { Clients } from '../../server/core/seeing/clients.ts'
import { SILENT } from '../support/core/silent.ts'

const all = anonymous()
const nobody: Caller = { ...all, access: { grants: [], ended: undefined, may: () => false } }

it('one that a caller does not see costs what one costs that is not there', async () => {
  const there = new Map<object, Connected>()
  for (let i = 0; i < 3; i++) {
    const key = {}
    const parts = () => [{ caller: anonymous(`c${i}`), since: i }]
    there.set(key, { key, transport: 'websocket', address: undefined, parts, disconnect: () => there.delete(key) })
  }
  let looks = 0
  const clients = new Clients({ node: 'n', telemetry: SILENT })
  clients.from({
    all() {
      looks += 1
      return there.values()
    },
    one: (key) => there.get(key),
  })
  const { rows } = await clients.list(all, {}, new AbortController().signal)
  const [first, second] = rows.map(({ id }) => id)
  const absent = `${first}9`
  const refused = async (id = '', by = nobody) =>
    await clients.one(by, id).then(
      () => 'seen',
      ({ message }) => message.replace(id, 'it'),
    )
  expect(await refused(first)).toBe(await refused(absent))
  expect(await clients.one(all, second ?? '')).toMatchObject({ client: { clients: ['c1'] } })
  clients.disconnect(all, second ?? '')
  expect(await refused(second, all)).toBe(await refused(absent))
  expect(looks).toBe(1)
})
