/** A client that reads a little every second: a bare TCP connection, as every library reads ahead. */

import { connect, type Socket } from 'node:net'
import { serveCalls } from '../role.ts'

const TOPIC = 'bench'
const PONG_EVERY_MS = 10_000

let socket: Socket | undefined

const calls = {
  /** Resolves when it is subscribed; from then on it is slow. */
  async come({ url, to, bytesPerSecond }: { url: string; to: 'hub' | 'plain'; bytesPerSecond: number }) {
    const { hostname, port } = new URL(url)
    const opened = connect(Number(port), hostname)
    socket = opened
    opened.write(
      [
        'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1',
        `Host: ${hostname}:${port}`,
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==',
        '',
        '',
      ].join('\r\n'),
    )
    if (to === 'hub') {
      await heard(opened, '0{')
      opened.write(frame(`40/topics/${TOPIC},`))
      await heard(opened, '["live"')
    } else {
      await heard(opened, '0{')
      opened.write(frame('40'))
      await heard(opened, '40{')
      opened.write(frame(`420["subscribe","${TOPIC}"]`))
      await heard(opened, '430[')
    }
    setInterval(() => opened.read(Math.min(bytesPerSecond, opened.readableLength)), 1_000)
    // It reads no pings in time: it says by itself that it is there.
    setInterval(() => opened.write(frame('3')), PONG_EVERY_MS)
  },

  /** Whether it is still connected, as far as it has read. */
  here(): boolean {
    return socket?.closed === false && !socket.readableEnded
  },
}

/** Reads until the server has said this. */
async function heard(opened: Socket, what: string): Promise<void> {
  let text = ''
  while (!text.includes(what)) {
    const chunk: Buffer | null = opened.read()
    if (chunk !== null) text += chunk.toString('latin1')
    else if (opened.closed) throw new Error(`the connection ended before it said ${what}`)
    else await new Promise<void>((resolve) => opened.once('readable', resolve).once('close', resolve))
  }
}

/** A short text, masked with zeros. */
function frame(text: string): Buffer {
  const body = Buffer.from(text)
  return Buffer.concat([Buffer.from([0x81, 0x80 | body.length, 0, 0, 0, 0]), body])
}

export type SlowCalls = typeof calls

serveCalls(calls)
