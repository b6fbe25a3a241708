/** Many connections to NATS that get one subject, in a process of their own, and count every event. */

import { serveCalls } from '../role.ts'
import { Countdown } from '../scenes/countdown.ts'
import { Counter } from '../scenes/counting.ts'
import { NatsLink } from '../scenes/natsLink.ts'

const ZERO = 48
/** Where the number of an event stands: behind `{"n":`. */
const NUMBER_AT = 5

const counters: Counter[] = []
let expected = 0
let ended = new Countdown(0)

const calls = {
  /** `stream`: each with a consumer of its own of this stream, which gives it what is stored; otherwise the subject alone. */
  async open({ port, subject, count, stream }: { port: number; subject: string; count: number; stream?: string }) {
    const opening = Array.from({ length: count }, async (_, i) => {
      const counter = new Counter()
      counters.push(counter)
      const link = await NatsLink.open(port)
      const from = stream === undefined ? subject : `deliver.${i}`
      link.subscribe(from, (chunk, start) => counter.take(numberAt(chunk, start + NUMBER_AT), 1, true))
      await link.settled()
      if (stream === undefined) return
      await link.request(`$JS.API.CONSUMER.CREATE.${stream}`, {
        stream_name: stream,
        config: { deliver_subject: from, deliver_policy: 'new', ack_policy: 'none', replay_policy: 'instant' },
      })
    })
    await Promise.all(opening)
  },

  /** Counts from now on, until every connection has got `total` events. */
  arm({ total }: { total: number }): void {
    expected = total
    ended = new Countdown(counters.length)
    for (const counter of counters) counter.reset(total, ended.one)
  },

  /** Resolves when all have got everything, with the moment of the last one. Rejects when an event was missing, twice or out of order. */
  async arrived() {
    const endedAt = await ended.at
    const faults = counters.reduce((sum, counter) => sum + counter.faults, 0)
    if (faults > 0 || counters.some(({ events }) => events !== expected))
      throw new Error(`events were missing, twice or out of order: ${faults} faults`)
    return { endedAt, deliveries: counters.length * expected }
  },
}

function numberAt(chunk: Buffer, at: number): number {
  let value = 0
  for (let i = at; ; i++) {
    const digit = (chunk[i] ?? 0) - ZERO
    if (digit < 0 || digit > 9) return value
    value = value * 10 + digit
  }
}

export type NatsReadersCalls = typeof calls

serveCalls(calls)
