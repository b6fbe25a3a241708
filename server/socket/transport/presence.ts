/** Whether somebody is at the other end of a connection: one that was cut without a word looks like one that is idle. */

interface Connection {
  readonly readyState: string
  once(name: 'heartbeat' | 'close', listener: () => void): void
  off(name: 'heartbeat' | 'close', listener: () => void): void
  sendPacket(type: 'ping'): void
}

/** Resolves at the answer to a heartbeat beside the regular ones, which any client gives by itself, or at the close. */
export function presence(connection: unknown): Promise<void> {
  const conn = connection as Connection
  return new Promise((resolve) => {
    const end = (): void => {
      conn.off('heartbeat', end)
      conn.off('close', end)
      resolve()
    }
    conn.once('heartbeat', end)
    conn.once('close', end)
    if (conn.readyState === 'open') conn.sendPacket('ping')
    else end()
  })
}
