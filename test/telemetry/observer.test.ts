/** What the console is told before the store has been looked at. */

import { expect, it } from 'vitest'
import { Counts } from '../../server/telemetry/counts.ts'
import type { Sample } from '../../server/telemetry/sampler.ts'
import { HubObserver, type ObserverContext } from '../../server/telemetry/seeing/observer.ts'
import type { Summary } from '../../shared/console/protocol.ts'
import { until } from '../support/until.ts'

it('does not call a store empty that it has not looked at', async () => {
  const sample: Sample = {
    at: 7,
    topics: { each: new Map() },
    queues: { each: new Map() },
    names: { topics: 3, queues: 0 },
    rows: undefined,
  } as unknown as Sample
  let looked: Sample | undefined
  const opened = {
    told: { node: 'n', version: '1' },
    now: () => 1,
    nodes: async () => [],
    subscriptions: () => [],
    connections: () => 0,
    health: () => ({ ready: true }),
    store: { durability: 'fsync' },
  }
  const sampler = { keepRows: () => {}, look: async () => looked }
  const context = { counts: new Counts(), activity: { newest: 0 }, sampler, opened }
  const observer = new HubObserver(context as unknown as ObserverContext)
  const told: Summary[] = []
  observer.watch((summary) => told.push(summary))
  await until(() => told.length > 0, { what: 'a summary' })
  expect(told[0]?.whole?.lookedAt).toBeUndefined()
  looked = sample
  await until(() => told.at(-1)?.whole?.gauges.topics === 3, { what: 'the look' })
  expect(told.at(-1)?.whole?.lookedAt).toBe(7)
  observer.close()
})
