/**
 * The demo's namespace: live events as any Socket.IO server would send them, to whoever is there at that moment. Nothing is
 * kept for anybody, and nothing comes again. It is there to be compared with a topic. Loaded for the first one that comes.
 */

import type { Socket } from 'socket.io'
import type { Channel, Outlet } from '../core/topics/outlet.ts'
import type { Packet } from '../core/topics/packet.ts'
import type { Subscription } from '../core/topics/subscription.ts'
import { type SocketState, serving } from './calls.ts'
import { payload } from './outlet.ts'
import { isOverfull } from './transport/flow.ts'

const serveDemo = serving({})

export function enterDemo(socket: Socket, state: SocketState, topic: string): Subscription {
  // Under a client name the hub would keep a place for it.
  const { client: _, ...caller } = state.caller
  const subscription = state.core.subscription(caller, topic, new ForgetfulOutlet(socket))
  // Whoever looks at who is connected sees it as a subscription.
  socket.data = { ...state, caller, topic, subscription }
  serveDemo(socket)
  return subscription
}

/** Sends what comes while it is live. What does not leave at once is not sent at all. */
class ForgetfulOutlet implements Outlet {
  readonly channel: Channel
  /** It is never sent what it was too slow for, so it is never too slow. */
  readonly overfull = false
  readonly #socket: Socket
  #isLive = false

  constructor(socket: Socket) {
    this.#socket = socket
    this.channel = { broadcast: (packet) => this.#send(packet) }
  }

  live(offset: number): void {
    this.#isLive = true
    this.#socket.emit('live', { offset })
  }

  leave(): void {
    this.#isLive = false
  }

  end(error: Parameters<Outlet['end']>[0]): void {
    this.#socket.emit('error', error)
    this.#socket.disconnect()
  }

  // What stands in the log before it is live, and what is told of the log, is not for it.
  subscribed(): void {}
  gap(): void {}
  push(): void {}
  behind(): void {}

  async page(): Promise<void> {}
  async drained(): Promise<void> {}

  #send(packet: Packet): void {
    if (this.#isLive && !isOverfull(this.#socket.conn)) this.#socket.emit('events', payload(packet))
  }
}
