/** Publishes over the wire: to a hub through the SDK, to a plain Socket.IO server with a reply to every packet. */

import { setTimeout as sleep } from 'node:timers/promises'
import { io, type Socket } from 'socket.io-client'
import type { Hub } from '../../client/index.ts'
import { importClient } from '../client.ts'
import { chosenProduct, serveCalls } from '../role.ts'
import { keepOutstanding, loadOf, sharedNowMs } from '../scenes/load.ts'
import { percentile } from '../series.ts'
import type { Packing } from './plain.ts'

let hub: Hub | undefined
let plain: Socket | undefined

const calls = {
  async open({ url, to, token }: { url: string; to: 'hub' | 'plain'; token?: string }): Promise<void> {
    if (to === 'hub') {
      const { connect } = await importClient(chosenProduct())
      hub = connect(url, { transports: ['websocket'], ...(token === undefined ? {} : { token }) })
      return
    }
    const socket = io(url, { transports: ['websocket'], forceNew: true, reconnection: false })
    plain = socket
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('connect_error', reject)
    })
  },

  /** Publishes `count` events, `outstanding` at a time, each with its own promise. Answers when it began and how long it took. */
  async toHub({ topic, count, outstanding }: { topic: string; count: number; outstanding: number }) {
    const handle = theHub().topic(topic)
    let last = (await handle.publish(loadOf(0))).offset
    const startedAt = sharedNowMs()
    await keepOutstanding(count, outstanding, async (n) => {
      const { offset } = await handle.publish(loadOf(n))
      if (offset <= last) throw new Error(`event ${last} was followed by ${offset}`)
      last = offset
    })
    return { startedAt, ms: sharedNowMs() - startedAt }
  },

  /** Publishes `perSecond` events a second, whatever came of those before. Answers how long it took until the last reply, in ms. */
  async paced({ topic, count, perSecond }: { topic: string; count: number; perSecond: number }): Promise<number> {
    const handle = theHub().topic(topic)
    const started = performance.now()
    const replies: Promise<unknown>[] = []
    while (replies.length < count) {
      const due = Math.min(count, Math.ceil(((performance.now() - started) * perSecond) / 1_000))
      while (replies.length < due) replies.push(handle.publish(loadOf(replies.length)))
      await sleep(1)
    }
    await Promise.all(replies)
    return performance.now() - started
  },

  /** The same number of events in packets of `together` events, with as many events outstanding. */
  async toPlain(params: { room: string; count: number; outstanding: number; together: number; packing: Packing }) {
    const { room, count, outstanding, together, packing } = params
    const socket = thePlain()
    const packets = Math.ceil(count / together)
    const startedAt = sharedNowMs()
    await keepOutstanding(packets, Math.max(1, Math.round(outstanding / together)), async (packet) => {
      const from = (packet - 1) * together
      const drafts = Array.from({ length: Math.min(together, count - from) }, (_, i) => ({ data: loadOf(from + i) }))
      await socket.emitWithAck('publish', room, drafts, packing)
    })
    return { startedAt, ms: sharedNowMs() - startedAt }
  },

  /** One event after the other, each when the one before has its reply: the median of how long one takes, in ms. */
  async oneAtATime({ to, topic, count }: { to: 'hub' | 'plain'; topic: string; count: number }) {
    const took: number[] = []
    for (let n = 0; n < count; n++) {
      const started = performance.now()
      if (to === 'hub') await theHub().topic(topic).publish(loadOf(n))
      else await thePlain().emitWithAck('publish', topic, [{ data: loadOf(n) }], 'each' satisfies Packing)
      took.push(performance.now() - started)
    }
    return percentile(took, 50)
  },

  /** Spreads events over topics. */
  async spread({ topics, each }: { topics: readonly string[]; each: number }): Promise<void> {
    const handles = topics.map((topic) => theHub().topic(topic))
    await keepOutstanding(each * handles.length, 4_000, async (n) => handles[n % handles.length]?.publish(loadOf(n)))
  },
}

function theHub(): Hub {
  if (hub === undefined) throw new Error('not connected to a hub')
  return hub
}

function thePlain(): Socket {
  if (plain === undefined) throw new Error('not connected to a plain server')
  return plain
}

export type PublisherCalls = typeof calls

serveCalls(calls)
