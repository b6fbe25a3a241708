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
const DRAINED_PACKETS = 256
/** A transport that is replaced by an upgrade tells of no drain. */
const LOOK_AGAIN_MS = 200

/** What waits in a connection's own buffer. Kept as it changes: to sum it up for each of many topics costs their square. */
interface Account {
  bytes: number
  packets: number
}

const accounts = new WeakMap<Connection, Account>()

function accountOf(connection: Connection): Account {
  const known = accounts.get(connection)
  if (known !== undefined) return known
  const account: Account = { bytes: 0, packets: 0 }
  const add = ({ data }: { readonly data?: string | Buffer }) => {
    account.bytes += data?.length ?? 0
    account.packets += 1
  }
  for (const packet of (connection as unknown as { writeBuffer: readonly { data?: string | Buffer }[] }).writeBuffer) {
    add(packet)
  }
  connection.on('packetCreate', add)
  // All of it goes to the transport at once.
  connection.on('flush', () => {
    account.bytes = 0
    account.packets = 0
  })
  accounts.set(connection, account)
  return account
}

/** Bytes that were handed to the connection and not yet to the system. */
export function waitingBytes(connection: Connection): number {
  return accountOf(connection).bytes + ((connection.transport as unknown as RawTransport).socket?.bufferedAmount ?? 0)
}

export function isOverfull(connection: Connection): boolean {
  return accountOf(connection).packets > OVERFULL_PACKETS || waitingBytes(connection) > OVERFULL_BYTES
}

/** Whether it may be given more. */
function isDrained(connection: Connection): boolean {
  return accountOf(connection).packets <= DRAINED_PACKETS && waitingBytes(connection) <= DRAINED_BYTES
}

const waiting = new WeakMap<Connection, Set<() => void>>()

/** Calls `resume` once, when the connection has drained; the result calls it off. */
export function whenDrained(connection: Connection, resume: () => void): () => void {
  if (isDrained(connection)) {
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
      if (!closed && waiters.size > 0 && !isDrained(connection)) return look(connection, waiters)
      waiting.delete(connection)
      for (const resume of waiters) resume()
    })
  }
  const timer = setTimeout(again, LOOK_AGAIN_MS)
  timer.unref()
  transport.on('drain', again)
}
