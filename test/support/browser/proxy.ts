/** A proxy as some companies have it: HTTP passes, WebSocket does not. */

import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { atEnd } from '../ending.ts'

export interface Proxy {
  readonly url: string
  /** Upgrades that were refused. */
  readonly refused: number
}

export async function startProxy(target: string): Promise<Proxy> {
  const { hostname, port } = new URL(target)
  let refused = 0
  const server = createServer((incoming, answer) => {
    const { method, url: path, headers } = incoming
    const onward = request({ hostname, port, method, path, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers)
      response.pipe(answer)
    })
    onward.on('error', () => answer.destroy())
    answer.on('close', () => onward.destroy())
    incoming.pipe(onward)
  })
  server.on('upgrade', (_request, socket) => {
    refused++
    socket.end('HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get refused() {
      return refused
    },
  }
}
