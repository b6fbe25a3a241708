/**
 * Requests that a client sends without waiting for answers: a few of a connection are under way at a time, the next one
 * when the answer to one before it is taken. What nobody reads is not made.
 */

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { whenOver } from './ending.ts'

const MAX_UNDER_WAY = 8
/** Requests that wait on a connection; with more the connection is cut. */
const MAX_WAITING = 1_000

interface Waiting {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly serve: () => void
}

interface Line {
  underWay: number
  readonly waiting: Waiting[]
}

const lines = new WeakMap<Socket, Line>()

export function inTurn(request: IncomingMessage, response: ServerResponse, serve: () => void): void {
  const { socket, httpVersionMajor } = request
  // Later versions have flows of their own for requests that are under way together.
  if (httpVersionMajor !== 1) {
    serve()
    return
  }
  const line = lines.get(socket) ?? { underWay: 0, waiting: [] }
  lines.set(socket, line)
  if (line.underWay < MAX_UNDER_WAY) begin({ request, response, serve }, line)
  else if (line.waiting.length < MAX_WAITING) line.waiting.push({ request, response, serve })
  else socket.destroy()
}

function begin({ request, response, serve }: Waiting, line: Line): void {
  line.underWay += 1
  whenOver(request, response, () => {
    line.underWay -= 1
    if (request.socket.destroyed) return
    const next = line.waiting.shift()
    // A turn later, so that a line of small ones is no single piece of work.
    if (next !== undefined) setImmediate(() => begin(next, line))
  })
  serve()
}
