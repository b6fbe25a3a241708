/** Many bare WebSocket clients in a process of their own, which count every event. They cost the least that a client can. */

import { WebSocket } from 'ws'
import { serveCalls } from '../role.ts'
import { Countdown, type Where } from '../scenes/countdown.ts'
import { Counter, SharedBytes } from '../scenes/counting.ts'

const counters: Counter[] = []
let expected = 0
let ended = new Countdown(0)

const calls = {
  /** Resolves when all are subscribed: with a hub, when they are live. */
  async open({ url, to, topic, count }: Where & { to: 'hub' | 'ws' }): Promise<void> {
    const prefix = Buffer.from(`42/topics/${topic},["events",`)
    const bytes = new SharedBytes(count, prefix.length)
    const address = `${url.replace('http', 'ws')}${to === 'hub' ? '/socket.io/?EIO=4&transport=websocket' : '/'}`
    const opening = Array.from({ length: count }, async () => {
      const counter = new Counter()
      counters.push(counter)
      const socket = new WebSocket(address, { perMessageDeflate: false })
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject)
        if (to === 'ws') socket.once('open', () => resolve())
        socket.on('message', (message: Buffer) => {
          if (prefix.equals(message.subarray(0, prefix.length))) counter.take(...bytes.look(message))
          else greet(socket, message.toString(), topic, resolve)
        })
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
    const packets = counters.reduce((sum, counter) => sum + counter.packets, 0)
    return { endedAt, packets, deliveries: counters.length * expected }
  },
}

/** What Engine.IO and Socket.IO say beside events. */
function greet(socket: WebSocket, text: string, topic: string, live: () => void): void {
  if (text === '2') socket.send('3')
  else if (text.startsWith('0')) socket.send(`40/topics/${topic},`)
  else if (text.startsWith(`42/topics/${topic},["live"`)) live()
}

export type SocketsCalls = typeof calls

serveCalls(calls)
