/**
 * How a request ends: whether its answer was written, or its connection was gone before. Node tells a response of its end,
 * but not one that still waits behind others of its connection; so the connection is heard, too.
 */

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** One listener of Node's for all requests of a connection. */
const ears = new WeakMap<Socket, Set<() => void>>()

/** Calls one of the two, once. */
export function whenWritten(
  request: IncomingMessage,
  response: ServerResponse,
  written: () => void,
  lost: () => void,
): void {
  const { socket } = request
  let finished = false
  response.once('finish', () => {
    // It is told of an answer that is dropped with its connection, too.
    finished = !socket.destroyed
  })
  whenOver(request, response, () => {
    if (finished) written()
    else lost()
  })
}

/** Fires when the answer is written or never will be. */
export function goneSignal(request: IncomingMessage, response: ServerResponse): AbortSignal {
  const gone = new AbortController()
  whenOver(request, response, () => gone.abort())
  return gone.signal
}

/**
 * Fires with the first of these, which are heard until then. For a request, `gone` is one of them and fires at its end:
 * `AbortSignal.any` would leave something of each request with a signal that outlives them all.
 */
export function firstOf(signals: readonly AbortSignal[]): AbortSignal {
  const first = new AbortController()
  const fire = () => {
    for (const signal of signals) signal.removeEventListener('abort', fire)
    first.abort()
  }
  if (signals.some(({ aborted }) => aborted)) first.abort()
  else for (const signal of signals) signal.addEventListener('abort', fire)
  return first.signal
}

/** Calls `over` once: when the answer is written, or never will be. */
export function whenOver({ socket }: IncomingMessage, response: ServerResponse, over: () => void): void {
  if (response.destroyed || socket.destroyed) {
    over()
    return
  }
  const known = ears.get(socket)
  const here = known ?? new Set()
  if (known === undefined) {
    ears.set(socket, here)
    socket.once('close', () => {
      for (const listener of here) listener()
    })
  }
  const once = () => {
    if (here.delete(once)) over()
  }
  here.add(once)
  response.once('close', once)
}
