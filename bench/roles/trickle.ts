/** A publisher and many subscribers in one process, so that one clock tells how long an event was on its way. */

import { io, type Socket } from 'socket.io-client'
import { importClient } from '../client.ts'
import { chosenProduct, serveCalls } from '../role.ts'
import { loadOf } from '../scenes/load.ts'
import { percentile } from '../series.ts'
import type { Packing } from './plain.ts'

interface Packet {
  readonly events: readonly { readonly data: { readonly n: number } }[]
}

let publish: (n: number) => Promise<unknown> = () => Promise.reject(new Error('not open'))
let received: (n: number) => void = () => {}
let subscribers = 0

const calls = {
  /** The hub's subscribers are plain Socket.IO clients, too; its publisher is the SDK. */
  async open({ url, to, topic, count }: { url: string; to: 'hub' | 'plain'; topic: string; count: number }) {
    subscribers = count
    await Promise.all(Array.from({ length: count }, () => subscribe(url, to, topic)))
    if (to === 'hub') {
      const { connect } = await importClient(chosenProduct())
      const handle = connect(url, { transports: ['websocket'] }).topic(topic)
      publish = (n) => handle.publish(loadOf(n))
    } else {
      const socket = await connected(url, 'connect')
      publish = (n) => socket.emitWithAck('publish', topic, [{ data: loadOf(n) }], 'together' satisfies Packing)
    }
    await publish(0)
  },

  /** Publishes at a steady pace and waits for the last one. Times from the call of publish to the subscriber, in ms. */
  async run({ events, everyMs }: { events: number; everyMs: number }) {
    const sentAt = new Float64Array(events + 1)
    const took: number[] = []
    await new Promise<void>((resolve, reject) => {
      received = (n) => {
        // What a former run has left does not count.
        if (n === 0) return
        took.push(performance.now() - (sentAt[n] ?? 0))
        if (took.length === events * subscribers) resolve()
      }
      const started = performance.now()
      let n = 0
      const next = () => {
        n += 1
        sentAt[n] = performance.now()
        publish(n).catch(reject)
        if (n < events) setTimeout(next, Math.max(0, started + n * everyMs - performance.now()))
      }
      next()
    })
    return { median: percentile(took, 50), p99: percentile(took, 99) }
  },
}

async function subscribe(url: string, to: 'hub' | 'plain', topic: string): Promise<void> {
  const socket = await connected(url + (to === 'hub' ? `/topics/${topic}` : ''), to === 'hub' ? 'live' : 'connect')
  if (to === 'plain') await socket.emitWithAck('subscribe', topic)
  socket.on('events', ({ events }: Packet) => {
    for (const { data } of events) received(data.n)
  })
}

/** Resolves at the packet that is waited for, which may come right behind the connection. */
async function connected(url: string, until: 'connect' | 'live'): Promise<Socket> {
  const socket = io(url, { transports: ['websocket'], forceNew: true, reconnection: false })
  await new Promise<void>((resolve, reject) => {
    socket.once(until, () => resolve())
    socket.once('connect_error', reject)
  })
  return socket
}

export type TrickleCalls = typeof calls

serveCalls(calls)
