/**
 * Requests that a client sends without waiting for answers: one of a connection is served at a time, the next one when
 * the answer before it is taken. What nobody reads is not made.
 */

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { whenOver } from './ending.ts'

/** Requests that wait on a connection; with more the connection is cut. */
const MAX_WAITING = 1_000

interface Waiting {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly serve: () => void
}

/** Those that wait, of each connection that has a request under way. */
const lines = new WeakMap<Socket, Waiting[]>()

export function inTurn(request: IncomingMessage, response: ServerResponse, serve: () => void): void {
  const { socket, httpVersionMajor } = request
  // Later versions have flows of their own for requests that are under way together.
  if (httpVersionMajor !== 1) {
    serve()
    return
  }
  const line = lines.get(socket)
  if (line === undefined) {
    lines.set(socket, [])
    begin({ request, response, serve })
  } else if (line.length < MAX_WAITING) line.push({ request, response, serve })
  else socket.destroy()
}

function begin({ request, response, serve }: Waiting): void {
  const { socket } = request
  whenOver(request, response, () => {
    const next = socket.destroyed ? undefined : lines.get(socket)?.shift()
    if (next === undefined) lines.delete(socket)
    // A turn later, so that a line of small ones is no single piece of work.
    else setImmediate(() => begin(next))
  })
  serve()
}
