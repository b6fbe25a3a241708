/** The least that a Socket.IO server is: it listens and does nothing. Ready when it listens. */

import { createServer } from 'node:http'
import { Server } from 'socket.io'
import { serveCalls } from '../role.ts'

const calls = {
  rss: () => process.memoryUsage.rss(),
}

export type BareCalls = typeof calls

const http = createServer()
new Server(http, { serveClient: false })
http.listen(0, '127.0.0.1', () => serveCalls(calls))
