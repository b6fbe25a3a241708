/** The peer: a plain Socket.IO server that gives events to a room, with nothing kept and the settings that suit it best. */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Server } from 'socket.io'
import { loadOf } from '../load.ts'
import { serveCalls } from '../role.ts'

/** How published events go out: one packet each, or one packet for what came together. */
export type Packing = 'each' | 'together'

interface Draft {
  readonly data: unknown
}

let io: Server | undefined
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
  /** `recovery`: with Socket.IO's own connection state recovery. Answers the server's address. */
  async start({ recovery }: { recovery: boolean }): Promise<string> {
    const http = createServer()
    const server = new Server(http, {
      transports: ['websocket'],
      serveClient: false,
      ...(recovery ? { connectionStateRecovery: { maxDisconnectionDuration: 10 * 60_000 } } : {}),
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
    return `http://127.0.0.1:${(http.address() as AddressInfo).port}`
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

  memory(): NodeJS.MemoryUsage {
    globalThis.gc?.()
    globalThis.gc?.()
    return process.memoryUsage()
  },
}

export type PlainCalls = typeof calls

serveCalls(calls)
