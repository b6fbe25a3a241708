/** Requests that wait: their cost while nothing happens, and their end when nobody waits any more. */

import { getEventListeners } from 'node:events'
import { expect, it } from 'vitest'
import type { StoreClock } from '../../server/core/clock.ts'
import { Requests } from '../../server/core/queues/requests.ts'
import type { Answer, Queues } from '../../server/store/contract/store.ts'
import { until } from '../support/until.ts'

const WAITING = 300

it('a request ends when who asked is gone, and those that wait are looked for a few at a time', async () => {
  let looks = 0
  const answer = async (): Promise<Answer> => {
    looks += 1
    return { state: 'waiting', replyBy: Date.now() + 3_600_000 }
  }
  const queues = { watch: async () => () => {}, answer } as unknown as Queues
  const clock = {
    get now() {
      return Date.now()
    },
  } as StoreClock
  const requests = new Requests(queues, clock, new AbortController().signal)
  const client = new AbortController()
  let waiting = 0
  const asker = { gone: client.signal, willWait: () => () => (waiting += 1) }
  const ended = Array.from({ length: WAITING }, (_, i) =>
    requests
      .ask(`queue-${i % 3}`, async () => `id-${i}`, asker)
      .then(
        () => 'answered',
        (error: { readonly code: string }) => error.code,
      ),
  )
  await until(() => waiting === WAITING && looks === WAITING)
  // Two rounds of looking: the first that waited are not the only ones.
  await until(() => looks > WAITING, { what: 'a look' })
  await until(() => looks > WAITING + 50, { what: 'the next look' })
  expect(looks).toBeLessThanOrEqual(WAITING + 100)
  client.abort()
  expect(await Promise.all(ended)).toEqual(ended.map(() => 'unavailable'))
})

it('a request whose answer cannot be read is waited for no longer', async () => {
  const answer = async (): Promise<Answer> => {
    throw new Error('damaged')
  }
  const queues = { watch: async () => () => {}, answer } as unknown as Queues
  const { signal } = new AbortController()
  const requests = new Requests(queues, { now: 0 } as StoreClock, signal)
  const asker = { gone: signal, willWait: () => () => {} }
  await expect(requests.ask('orders', async () => '1', asker)).rejects.toThrow('damaged')
  expect(getEventListeners(signal, 'abort')).toEqual([])
})
