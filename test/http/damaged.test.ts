import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { CallerLimits } from '../../server/core/guards/callers.ts'
import { Log } from '../../server/core/topics/log.ts'
import { createApp } from '../../server/http/app.ts'
import { LIMIT_DEFAULTS } from '../../server/options/limits.ts'
import type { Page, Store } from '../../server/store/contract/store.ts'
import { DEFAULT_LIMITS } from '../../shared/protocol.ts'
import { asking } from '../support/clients/ask.ts'
import { SILENT } from '../support/core/silent.ts'
import { atEnd } from '../support/ending.ts'
import { appContext } from '../support/hub/appContext.ts'

const kept = (offset: number) => ({ offset, at: 1, body: { json: `{"data":${offset}}` } })

it('a page names the records whose checksums do not fit, in one gap for each run of them', async () => {
  const page: Page = {
    epoch: 'e',
    lineage: [{ epoch: 'e', startsAfter: 0 }],
    first: 1,
    head: 5,
    events: [
      kept(1),
      { offset: 2, damaged: true },
      { offset: 3, damaged: true },
      kept(4),
      { offset: 5, damaged: true },
    ],
  }
  const store = { topics: { read: async () => page } } as unknown as Store
  const log = new Log(store, {} as never, DEFAULT_LIMITS, new CallerLimits(LIMIT_DEFAULTS), SILENT)
  const server = createServer(createApp(appContext({ log }))).listen(0, '127.0.0.1')
  atEnd(() => {
    server.close()
    server.closeAllConnections()
  })
  await once(server, 'listening')
  const ask = asking(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const { body } = await ask('GET', '/v1/topics/t/events?waitMs=20000')
  const damaged = (from: number, to: number) => ({
    epoch: 'e',
    from,
    to,
    count: to - from + 1,
    reason: 'damaged',
    position: { epoch: 'e', offset: to },
  })
  expect(body).toEqual({
    epoch: 'e',
    first: 1,
    last: 5,
    events: [
      { offset: 1, at: 1, data: 1 },
      { offset: 4, at: 1, data: 4 },
    ],
    gaps: [damaged(2, 3), damaged(5, 5)],
  })
})
