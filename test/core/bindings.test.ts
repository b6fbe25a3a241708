/** Many bindings of one topic: they read its pages together, and what they have on its way to the store is bounded. */

import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { Bindings } from '../../server/core/queues/bindings.ts'
import { openQueueSettings } from '../../server/core/queues/settings.ts'
import type { Store } from '../../server/store/contract/store.ts'
import { openStore } from '../../server/store/open.ts'
import { infoOf } from '../store/conformance/calls.ts'
import { hubOn } from '../support/core/bare.ts'
import { tempFolder } from '../support/temp.ts'
import { until } from '../support/until.ts'

const QUEUES = 40
const EVENTS = 200

let store: Store

beforeAll(async () => {
  store = await openStore(`${await tempFolder()}/data`, {})
})

afterAll(() => store.close())

it('copy a topic into many queues a few jobs at a time, so that nobody waits for all of them', async () => {
  const { log, context, publish } = await hubOn(store)
  let [jobs, most, steps] = [0, 0, 0]
  const { enqueue } = store.queues
  const counting = vi.spyOn(store.queues, 'enqueue').mockImplementation(async (queue, given) => {
    jobs += given.drafts.length
    steps += 1
    most = Math.max(most, jobs)
    try {
      return await enqueue(queue, given)
    } finally {
      jobs -= given.drafts.length
    }
  })
  const reading = vi.spyOn(log, 'step')
  const names = Array.from({ length: QUEUES }, (_, i) => `q${i}`)
  const file = Object.fromEntries(names.map((name) => [name, { from: [{ topic: 't', from: 'end' as const }] }]))
  const settings = await openQueueSettings({ store: store.settings, file })
  const bindings = new Bindings({ ...context, settings })
  const infos = () => Promise.all(names.map((name) => infoOf(store.queues, name)))
  try {
    bindings.start()
    await until(async () => (await infos()).every((info) => info?.bindings.length === 1), { what: 'the bindings' })
    await until(() => reading.mock.calls.length > 0)
    const readBefore = reading.mock.calls.length
    await publish('t', [0])
    await until(async () => (await infos()).every((info) => info?.counts.ready === 1), { what: 'one job in each' })
    // Once to copy and once to see that there is no more; those that look by themselves in between may add some.
    expect(reading.mock.calls.length - readBefore).toBeLessThan(QUEUES)
    await publish(
      't',
      Array.from({ length: EVENTS }, (_, i) => i),
    )
    await until(async () => (await infos()).every((info) => info?.counts.ready === EVENTS + 1), {
      what: 'all jobs in each',
      deadlineMs: 30_000,
    })
    expect(most).toBeGreaterThan(0)
    expect(most).toBeLessThanOrEqual(2_000)
    expect(steps).toBeGreaterThanOrEqual(QUEUES * 2)
  } finally {
    await bindings.stop()
    settings.close()
    counting.mockRestore()
  }
})
