/** The peer that promises what can be promised without a disk: plain Socket.IO that numbers events and keeps them in an array. */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Server } from 'socket.io'
import { serveCalls } from '../role.ts'

interface Logged {
  readonly offset: number
  readonly at: number
  readonly data: unknown
}

const log: Logged[] = []
/** As many as a page of the hub has. */
const MOST_IN_PACKET = 1_000

const calls = {
  async start(): Promise<string> {
    const http = createServer()
    const server = new Server(http, { transports: ['websocket'], serveClient: false })
    server.on('connection', (socket) => {
      const { after } = socket.handshake.auth as { after?: number }
      if (typeof after === 'number')
        for (let from = after; from < log.length; from += MOST_IN_PACKET)
          socket.emit('events', { events: log.slice(from, from + MOST_IN_PACKET) })
      // In the turn in which the log was read: nothing is missing between, and nothing comes twice.
      if (after !== undefined) void socket.join('all')
      socket.emit('live')
      socket.on('publish', (data: unknown, done: (offset: number) => void) => {
        const event = { offset: log.length + 1, at: Date.now(), data }
        log.push(event)
        server.to('all').emit('events', { events: [event] })
        done(event.offset)
      })
    })
    // As many as the hub has: with Node's 511 some of a storm would try again a second later.
    await new Promise<void>((resolve) => http.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, resolve))
    return `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  },

  cpu: () => process.cpuUsage(),
}

export type LoggedCalls = typeof calls

serveCalls(calls)
