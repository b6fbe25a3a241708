/** The peer: a plain Socket.IO server that gives events to a room, with nothing kept and the settings that suit it best. */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdapter } from '@socket.io/redis-streams-adapter'
import { Redis } from 'ioredis'
import { Server } from 'socket.io'
import { io as connect } from 'socket.io-client'
import { serveCalls } from '../role.ts'
import { loadOf } from '../scenes/load.ts'

/** How published events go out: one packet each, or one packet for what came together. */
export type Packing = 'each' | 'together'

interface Draft {
  readonly data: unknown
}

/** More than any question emits: what is trimmed could not be recovered. */
const MOST_EVENTS = 10_000_000

let io: Server | undefined
let address = ''
const heads = new Map<string, number>()

function eventsOf(room: string, drafts: readonly Draft[]) {
  let head = heads.get(room) ?? 0
  const at = Date.now()
  const events = drafts.map(({ data }) => {
    head += 1
    return { offset: head, at, data }
  })
  heads.set(room, head)
  return events
}

const calls = {
  /** `recovery`: with Socket.IO's own connection state recovery; `redis`: over this Redis. Answers the server's address. */
  async start({ recovery, redis }: { recovery: boolean; redis?: string }): Promise<string> {
    const http = createServer()
    const server = new Server(http, {
      transports: ['websocket'],
      serveClient: false,
      ...(recovery ? { connectionStateRecovery: { maxDisconnectionDuration: 10 * 60_000 } } : {}),
      ...(redis === undefined ? {} : { adapter: createAdapter(new Redis(redis), { maxLen: MOST_EVENTS }) }),
    })
    io = server
    server.on('connection', (socket) => {
      socket.on('subscribe', (room: string, done: () => void) => {
        void socket.join(room)
        done()
      })
      socket.on('publish', (room: string, drafts: readonly Draft[], packing: Packing, done: () => void) => {
        const events = eventsOf(room, drafts)
        if (packing === 'each') for (const event of events) server.to(room).emit('events', event)
        else server.to(room).emit('events', { epoch: 'plain', events })
        done()
      })
    })
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
    address = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
    return address
  },

  /** Emits so many events to rooms of nobody, or of those who are away. */
  async fill({ rooms, each }: { rooms: readonly string[]; each: number }): Promise<void> {
    for (let n = 1; n <= each; n++) {
      for (const room of rooms) {
        for (const event of eventsOf(room, [{ data: loadOf(n) }])) io?.to(room).emit('events', event)
      }
      if (n % 500 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
  },

  /** Resolves when everything that was emitted before has been given out, which takes a while where it goes by Redis. */
  async settled(): Promise<void> {
    const socket = connect(address, { transports: ['websocket'], forceNew: true })
    await new Promise<void>((resolve) => socket.once('connect', resolve))
    await socket.emitWithAck('subscribe', 'settled')
    const last = new Promise<void>((resolve) => socket.once('settled', () => resolve()))
    io?.to('settled').emit('settled')
    await last
    socket.disconnect()
  },

  memory(): NodeJS.MemoryUsage {
    globalThis.gc?.()
    globalThis.gc?.()
    return process.memoryUsage()
  },
}

export type PlainCalls = typeof calls

serveCalls(calls)
