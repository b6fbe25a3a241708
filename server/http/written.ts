/** Whether an answer was written, or its connection was gone before. */

import type { IncomingMessage, ServerResponse } from 'node:http'

/** Calls one of the two, once. */
export function whenWritten(
  request: IncomingMessage,
  response: ServerResponse,
  written: () => void,
  lost: () => void,
): void {
  if (response.destroyed) {
    lost()
    return
  }
  const { socket } = request
  let finished = false
  response.once('finish', () => {
    // It is told of an answer that is dropped with its connection, too.
    finished = !socket.destroyed
  })
  response.once('close', () => {
    if (finished) written()
    else lost()
  })
}
