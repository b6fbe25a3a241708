/** What is kept of requests that have waited, when they are over: nothing, however many there were. */

import { getEventListeners } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import type { Core } from '../../server/core/core.ts'
import { redrive } from '../../server/core/queues/redrive.ts'
import { createApp } from '../../server/http/app.ts'
import { atEnd } from '../support/ending.ts'
import { appContext } from '../support/hub/appContext.ts'
import { until } from '../support/until.ts'

it('a request that has waited leaves nothing with the signal of the drain', async () => {
  const core = {
    log: { read: async () => ({ epoch: 'a', first: 1, last: 0, events: [] }) },
    callers: { take: () => () => {} },
    subscription: () => ({ start: async () => {}, close() {} }),
  } as unknown as Core
  const context = appContext(core)
  const server = createServer(createApp(context)).listen(0, '127.0.0.1')
  atEnd(() => void server.close())
  await until(() => server.listening)
  const { port } = server.address() as AddressInfo
  for (let i = 0; i < 5; i++) {
    const answer = await fetch(`http://127.0.0.1:${port}/v1/topics/orders/events?waitMs=1`)
    expect(answer.status).toBe(200)
    await answer.text()
  }
  await until(() => keptBy(context.draining) === 0, { seen: () => keptBy(context.draining) })
})

/** Listeners, and what Node keeps of signals that were made of this one. */
function keptBy(signal: AbortSignal): number {
  const own = Object.getOwnPropertySymbols(signal).map((name) => (signal as never)[name] as unknown)
  // Of Node's own class, which is no Set to others.
  const sets = own.filter((value) => Object.prototype.toString.call(value) === '[object Set]')
  return (
    getEventListeners(signal, 'abort').length + sets.reduce((sum: number, set) => sum + (set as Set<unknown>).size, 0)
  )
}

it('a redrive that paces itself listens once to whether its client is gone', async () => {
  let left = 5
  const { signal } = new AbortController()
  const listening: number[] = []
  const queues = {
    jobs: async () => {
      listening.push(getEventListeners(signal, 'abort').length)
      return left-- > 0 ? [{ id: `${left}`, dead: { reason: 'rejected', at: 0 } }] : []
    },
    redrive: async () => 1,
  } as never
  const caller = { subject: 'ann', access: { ended: undefined, may: () => true, grants: [] } }
  const { moved } = await redrive(queues, caller, 'mails', { rate: 200 }, { now: 1, gone: signal })
  expect(moved).toBe(5)
  expect(listening).toEqual(listening.map(() => 0))
})
