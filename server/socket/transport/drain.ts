/** The end of serving: transports are closed rather than namespaces, so that clients come back by themselves. */

import type { Server } from 'socket.io'
import { stateOf } from '../calls.ts'

/** Between two groups of connections that are closed: their coming back is spread a little too. */
const GROUP = 500

/** Resolves when every connection that carries the hub's namespaces is closed. `own`: the whole server is the hub's. */
export async function closeConnections(io: Server, own: boolean): Promise<void> {
  const connections = new Set<{ close(discard?: boolean): void }>()
  for (const namespace of io._nsps.values()) {
    for (const socket of namespace.sockets.values()) {
      if (own || stateOf(socket) !== undefined) connections.add(socket.conn)
    }
  }
  let closed = 0
  for (const connection of connections) {
    connection.close()
    closed += 1
    if (closed % GROUP === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  if (own) io.engine.close()
}
