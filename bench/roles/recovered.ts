/** The peer of a client that comes back: Socket.IO's own connection state recovery. */

import { io, type Socket } from 'socket.io-client'
import { serveCalls } from '../role.ts'

const sockets = new Map<string, Socket>()

const calls = {
  /** One connection for each room, subscribed. */
  async attach({ url, rooms }: { url: string; rooms: readonly string[] }): Promise<void> {
    const attaching = rooms.map(async (room) => {
      const socket = io(url, { transports: ['websocket'], forceNew: true, reconnection: false })
      sockets.set(room, socket)
      await new Promise<void>((resolve) => {
        socket.once('connect', () => socket.emit('subscribe', room, resolve))
      })
      // Recovery works only for who has had an event.
      const first = new Promise<void>((resolve) => socket.once('events', () => resolve()))
      await socket.emitWithAck('publish', room, [{ data: 'first' }], 'each')
      await first
    })
    await Promise.all(attaching)
  },

  cut(): void {
    for (const socket of sockets.values()) socket.io.engine.close()
  },

  /** The time from opening the transport to the last of the missed events, in ms; rejects when it was not recovered. */
  async resume({ room, missed }: { room: string; missed: number }): Promise<number> {
    const socket = sockets.get(room)
    if (socket === undefined) throw new Error(`nobody is attached to ${room}`)
    let left = missed
    const started = performance.now()
    const ended = new Promise<number>((resolve, reject) => {
      socket.on('events', () => {
        left -= 1
        if (left === 0) resolve(performance.now() - started)
      })
      socket.once('connect', () => {
        if (!socket.recovered) reject(new Error('the session was not recovered'))
      })
    })
    socket.connect()
    return await ended
  },
}

export type RecoveredCalls = typeof calls

serveCalls(calls)
