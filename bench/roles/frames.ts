/** The limit of the wire: a WebSocket server that gives each message of its publisher to all others, unread, in one frame. */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import { serveCalls } from '../role.ts'

/** Where the publisher comes in. */
export const PUBLISH_PATH = '/publish'
const LONG = 127

const calls = {
  async start(): Promise<string> {
    const http = createServer()
    const server = new WebSocketServer({ server: http, perMessageDeflate: false })
    const subscribers = new Set<{ write(frame: Buffer): void }>()
    server.on('connection', (socket: WebSocket, request) => {
      if (request.url === PUBLISH_PATH) {
        socket.on('message', (message: Buffer) => {
          const frame = frameOf(message)
          for (const subscriber of subscribers) subscriber.write(frame)
          socket.send('')
        })
        return
      }
      subscribers.add(request.socket)
      socket.on('close', () => subscribers.delete(request.socket))
    })
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  },
}

/** A text message in one frame, with the length in its longest form. */
function frameOf(message: Buffer): Buffer {
  const head = Buffer.alloc(10)
  head[0] = 0x81
  head[1] = LONG
  head.writeUInt32BE(message.length, 6)
  return Buffer.concat([head, message])
}

export type FramesCalls = typeof calls

serveCalls(calls)
