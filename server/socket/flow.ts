/** How much waits to be written on a connection, and when it has drained. Many topics share one connection. */

import type { Socket } from 'socket.io'

type Connection = Socket['conn']

/** What engine.io's WebSocket transport has and does not declare. */
interface RawTransport {
  readonly socket?: { readonly bufferedAmount?: number }
}

/** A live client with more than this waiting goes back to reading. */
export const OVERFULL_BYTES = 1_048_576
const OVERFULL_PACKETS = 4_096
/** A reader gets its next page when less than this waits. */
const DRAINED_BYTES = 65_536
/** A transport that is replaced by an upgrade tells of no drain. */
const LOOK_AGAIN_MS = 200

/** Bytes that were handed to the connection and not yet to the system. */
export function waitingBytes(connection: Connection): number {
  const raw = (connection.transport as unknown as RawTransport).socket?.bufferedAmount ?? 0
  const buffer = (connection as unknown as { writeBuffer: readonly { data?: string | Buffer }[] }).writeBuffer
  let bytes = raw
  for (const packet of buffer) bytes += packet.data?.length ?? 0
  return bytes
}

export function isOverfull(connection: Connection): boolean {
  const { length } = (connection as unknown as { writeBuffer: readonly unknown[] }).writeBuffer
  // Nothing waits in nearly all cases; only then the sum is worth its price.
  return length > OVERFULL_PACKETS || waitingBytes(connection) > OVERFULL_BYTES
}

const waiting = new WeakMap<Connection, Set<() => void>>()

/** Calls `resume` once, when the connection has drained; the result calls it off. */
export function whenDrained(connection: Connection, resume: () => void): () => void {
  if (waitingBytes(connection) <= DRAINED_BYTES) {
    resume()
    return () => {}
  }
  let waiters = waiting.get(connection)
  if (waiters === undefined) {
    waiters = new Set()
    waiting.set(connection, waiters)
    look(connection, waiters)
  }
  waiters.add(resume)
  return () => waiters.delete(resume)
}

/** One look for all that wait on a connection. */
function look(connection: Connection, waiters: Set<() => void>): void {
  const { transport } = connection
  const again = () => {
    clearTimeout(timer)
    transport.off('drain', again)
    // The transport tells before it takes what waits behind it.
    setImmediate(() => {
      const closed = connection.readyState === 'closed'
      if (!closed && waiters.size > 0 && waitingBytes(connection) > DRAINED_BYTES) return look(connection, waiters)
      waiting.delete(connection)
      for (const resume of waiters) resume()
    })
  }
  const timer = setTimeout(again, LOOK_AGAIN_MS)
  timer.unref()
  transport.on('drain', again)
}
