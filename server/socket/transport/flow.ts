/** What waits to be written on a connection: how much, when it has drained, what leaves together. Many topics share one. */

import type { IncomingMessage } from 'node:http'
import type { Server, Socket } from 'socket.io'
import { OVERFULL_BYTES } from '../../core/topics/outlet.ts'
import { sendPrepared } from '../prepared.ts'

type Connection = Socket['conn']

/** What engine.io and ws have and do not declare. */
interface RawConnection {
  flush(): void
  readonly writeBuffer: readonly { readonly data?: string | Buffer }[]
  readonly transport: {
    readonly socket?: {
      readonly bufferedAmount?: number
      readonly _socket?: { cork(): void; uncork(): void } | null
    }
  }
}

function rawOf(connection: Connection): RawConnection {
  return connection as unknown as RawConnection
}

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
  for (const packet of rawOf(connection).writeBuffer) add(packet)
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
  return accountOf(connection).bytes + (rawOf(connection).transport.socket?.bufferedAmount ?? 0)
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

/** A larger packet does not wait: whoever sends it looks at once how much of it is taken. */
const LARGE = DRAINED_BYTES

/**
 * What one turn of the event loop sends on a connection leaves together: packets are small, and each write is a call of the
 * system, or the answer to a poll.
 */
export function gatherWrites(engine: Server['engine']): void {
  // Of a new connection that is the answer to its upgrade, and Engine.IO's first packet.
  engine.on('headers', (_headers: unknown, { socket, headers }: IncomingMessage) => {
    if (headers.upgrade === undefined) return
    socket.cork()
    atTurnEnd(() => atTurnEnd(() => socket.uncork()))
  })
  engine.on('connection', (connection: Connection) => {
    sendPrepared(connection)
    const raw = rawOf(connection)
    const flush = raw.flush.bind(raw)
    let waits = false
    const write = () => {
      waits = false
      const socket = raw.transport.socket?._socket
      socket?.cork()
      flush()
      socket?.uncork()
    }
    raw.flush = () => {
      // Engine.IO looks after each write whether there is more.
      if (raw.writeBuffer.length === 0) return
      if ((raw.writeBuffer.at(-1)?.data?.length ?? 0) > LARGE) write()
      else if (!waits) {
        waits = true
        atTurnEnd(write)
      }
    }
  })
}

let gathered: (() => void)[] = []

function atTurnEnd(write: () => void): void {
  if (gathered.push(write) > 1) return
  // Behind the microtasks of this turn, which come after what is next where it began.
  queueMicrotask(() =>
    process.nextTick(() => {
      const writes = gathered
      gathered = []
      for (const write of writes) write()
    }),
  )
}
