/** Many connections that do nothing but be there. */

import { Manager, type Socket } from 'socket.io-client'
import { serveCalls } from '../role.ts'

interface Place {
  readonly url: string
  readonly to: 'hub' | 'plain'
}

const managers: Manager[] = []
const sockets: Socket[] = []
const AT_ONCE = 50

const calls = {
  /** `client`: each has a name, for which the hub keeps a cursor. */
  async come({ url, to, topic, count, client }: Place & { topic: string; count: number; client: boolean }) {
    await inGroups(count, async (i) => {
      const manager = new Manager(url, { transports: ['websocket'], reconnection: false, autoConnect: false })
      managers.push(manager)
      await join(manager, to, topic, client ? { client: `client-${i}` } : {})
    })
  },

  /** Everyone subscribes to further topics, the same for all or its own. */
  async further({ topics, shared }: { topics: number; shared: boolean }): Promise<void> {
    await inGroups(managers.length, async (i) => {
      const manager = managers[i]
      for (let n = 0; n < topics; n++) {
        if (manager !== undefined) await join(manager, 'hub', shared ? `shared-${n}` : `own-${i}-${n}`, {})
      }
    })
  },

  async leave(): Promise<void> {
    for (const socket of sockets) socket.disconnect()
    managers.length = 0
    sockets.length = 0
  },
}

async function join(manager: Manager, to: 'hub' | 'plain', topic: string, auth: object): Promise<void> {
  const socket = manager.socket(to === 'hub' ? `/topics/${topic}` : '/', { auth: { ...auth } })
  sockets.push(socket)
  await new Promise<void>((resolve, reject) => {
    socket.once('connect_error', reject)
    if (to === 'hub') socket.once('live', () => resolve())
    else socket.once('connect', () => socket.emit('subscribe', topic, resolve))
    socket.connect()
  })
}

async function inGroups(count: number, one: (i: number) => Promise<void>): Promise<void> {
  for (let from = 0; from < count; from += AT_ONCE) {
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, i) => one(from + i)))
  }
}

export type CrowdCalls = typeof calls

serveCalls(calls)
