/** Many connections that subscribe to one topic, in a process of their own, and count every event. */

import { io } from 'socket.io-client'
import { serveCalls } from '../role.ts'
import { Countdown, type Where } from '../scenes/countdown.ts'
import { Counter, countingParser, SharedPackets } from '../scenes/counting.ts'

const counters: Counter[] = []
let fellBehind = 0
let expected = 0
let ended = new Countdown(0)

const calls = {
  /** Resolves when all are subscribed. The hub's subscribers are plain Socket.IO clients, too. */
  async open({ url, to, topic, count, token }: Where & { to: 'hub' | 'plain'; token?: string }) {
    const namespace = to === 'hub' ? `/topics/${topic}` : '/'
    const packets = new SharedPackets(count)
    const opening = Array.from({ length: count }, async () => {
      const counter = new Counter()
      counters.push(counter)
      const socket = io(url + namespace, {
        transports: ['websocket'],
        auth: token === undefined ? {} : { token },
        forceNew: true,
        reconnection: false,
        parser: countingParser(namespace, counter, packets),
      })
      await new Promise<void>((resolve, reject) => {
        socket.once('connect_error', reject)
        if (to === 'hub') socket.once('live', () => resolve())
        else socket.once('connect', () => socket.emit('subscribe', topic, resolve))
      })
      socket.on('behind', () => {
        fellBehind += 1
      })
    })
    await Promise.all(opening)
  },

  /** Counts from now on, until every connection has got `total` events. */
  arm({ total }: { total: number }): void {
    fellBehind = 0
    expected = total
    ended = new Countdown(counters.length)
    for (const counter of counters) counter.reset(total, ended.one)
  },

  /** Resolves when all have got everything, with the moment of the last one. Rejects when an event was missing, twice or out of order. */
  async arrived() {
    const endedAt = await ended.at
    const faults = counters.reduce((sum, counter) => sum + counter.faults, 0)
    const exact = counters.every(({ events }) => events === expected)
    if (faults > 0 || !exact) throw new Error(`events were missing, twice or out of order: ${faults} faults`)
    const packets = counters.reduce((sum, counter) => sum + counter.packets, 0)
    return { endedAt, packets, deliveries: counters.length * expected, fellBehind }
  },
}

export type SubscriberCalls = typeof calls

serveCalls(calls)
