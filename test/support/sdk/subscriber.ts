/** A subscription to try things on, with what its handler got and what it reported. */

import type { ConnectOptions, Received, Status, SubscribeOptions } from '../../../client/index.ts'
import { until } from '../until.ts'
import { startFakeHub } from './fakeHub.ts'
import { open } from './handles.ts'

/** A position of the epoch a. */
export const start = (offset: number, epoch = 'a') => ({ epoch, offset })

/** A subscription on a scripted hub, and all that it tells, in order. */
export async function subscriber(
  options: SubscribeOptions = {},
  connection: ConnectOptions = {},
  handler: (event: Received) => unknown = () => {},
) {
  const fake = await startFakeHub()
  const hub = open(fake.url, connection)
  const topic = hub.topic('orders')
  const got: number[] = []
  const log: string[] = []
  const sub = topic.subscribe((event) => {
    got.push(event.offset)
    log.push(`event ${event.offset}`)
    return handler(event)
  }, options)
  const statuses: Status[] = []
  sub.onStatus((status) => {
    statuses.push(status)
    log.push(status.state)
  })
  return { fake, hub, topic, sub, got, log, statuses }
}

export const seen = (got: readonly number[], count: number) =>
  until(() => got.length >= count, { what: `${count} events`, seen: () => got })
