/** Whether somebody is at the other end of a connection: one that was cut without a word looks like one that is idle. */

interface Connection {
  readonly readyState: string
  once(name: 'heartbeat' | 'packet' | 'close', listener: () => void): void
  off(name: 'heartbeat' | 'close', listener: () => void): void
  sendPacket(type: 'ping'): void
}

/** What is asked and not answered yet: one heartbeat is for all namespaces of a connection that ask. */
const asked = new WeakMap<Connection, Promise<void>>()

/** Resolves at the answer to a heartbeat beside the regular ones, which any client gives by itself, or at the close. */
export async function presence(connection: unknown): Promise<void> {
  const conn = connection as Connection
  if (conn.readyState !== 'open') return
  const answer = asked.get(conn) ?? ask(conn)
  asked.set(conn, answer)
  await answer
}

function ask(conn: Connection): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      asked.delete(conn)
      conn.off('heartbeat', end)
      conn.off('close', end)
      resolve()
    }
    conn.once('heartbeat', end)
    conn.once('close', end)
    conn.sendPacket('ping')
  })
}

/** Who waits for the next packet of a connection: one listener for all of its namespaces. */
const waiting = new WeakMap<Connection, Set<() => void>>()

/** Calls `listener` once, at the next packet. */
export function whenHeard(connection: unknown, listener: () => void): void {
  const conn = connection as Connection
  const known = waiting.get(conn)
  if (known !== undefined) {
    known.add(listener)
    return
  }
  const listeners = new Set([listener])
  waiting.set(conn, listeners)
  conn.once('packet', () => {
    waiting.delete(conn)
    for (const one of listeners) one()
  })
}
