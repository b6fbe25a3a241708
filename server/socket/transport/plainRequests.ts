/**
 * Requests that offer to go on in HTTP/2 (`Upgrade: h2c`), as Java's HttpClient and `curl --http2` make them. Node answers
 * them like any other, but not where somebody listens to upgrades, as every Socket.IO server does.
 */

import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

const OFFER = ['upgrade', 'http2-settings']

/** Whether the request is such a one and goes to the server once more, without the offer. */
export function servePlainly(http: HttpServer, request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
  // Somebody else may want it, or end it.
  if (request.headers.upgrade?.toLowerCase() !== 'h2c' || http.listenerCount('upgrade') > 1) return false
  const { method, url, httpVersion, rawHeaders } = request
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const [name = '', value = ''] = rawHeaders.slice(i, i + 2)
    if (OFFER.includes(name.toLowerCase())) continue
    const kept = name.toLowerCase() === 'connection' ? withoutOffer(value) : value
    if (kept !== '') lines.push(`${name}: ${kept}`)
  }
  const again = Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head])
  afterReplies(socket, () => {
    socket.unshift(again)
    http.emit('encrypted' in socket ? 'secureConnection' : 'connection', socket)
  })
  return true
}

/**
 * Calls when the requests before it on this connection are answered. To Node the connection is a new one then: replies of
 * both at once would come in the wrong order, and end the process (an assertion of Node's).
 */
function afterReplies(socket: Duplex & { readonly _httpMessage?: ServerResponse | null }, then: () => void): void {
  const reply = socket._httpMessage
  if (reply) reply.once('close', () => afterReplies(socket, then))
  else if (socket.writable) then()
}

function withoutOffer(connection: string): string {
  const words = connection.split(',').map((word) => word.trim())
  return words.filter((word) => !OFFER.includes(word.toLowerCase())).join(', ')
}
