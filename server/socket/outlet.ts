/** A subscription's way out over Socket.IO: one client in a topic's namespace, and the room of those that are live. */

import type { Namespace, Socket } from 'socket.io'
import type { WireError } from '../../shared/errors.ts'
import type { Gap, Limits, Subscribed } from '../../shared/protocol.ts'
import type { Channel, Outlet } from '../core/topics/outlet.ts'
import type { Packet } from '../core/topics/packet.ts'
import { isOverfull, whenDrained } from './transport/flow.ts'
import { presence } from './transport/presence.ts'

const LIVE = 'live'

/** The room `live` of a namespace. */
export class RoomChannel implements Channel {
  readonly #namespace: Namespace

  constructor(namespace: Namespace) {
    this.#namespace = namespace
  }

  broadcast(packet: Packet): void {
    this.#namespace.to(LIVE).emit('events', payload(packet))
  }
}

export class SocketOutlet implements Outlet {
  readonly channel: Channel
  readonly #socket: Socket
  readonly #paced: boolean
  readonly #limits: Limits
  #resume: (() => void) | undefined

  constructor(socket: Socket, channel: Channel, paced: boolean, limits: Limits) {
    this.#socket = socket
    this.channel = channel
    this.#paced = paced
    this.#limits = limits
  }

  subscribed(info: Omit<Subscribed, 'limits'>): void {
    this.#socket.emit('subscribed', { ...info, limits: this.#limits })
  }

  gap(gap: Gap): void {
    this.#socket.emit('gap', gap)
  }

  page(packet: Packet): Promise<void> {
    const socket = this.#socket
    this.letGo()
    if (!socket.connected) return Promise.resolve()
    return new Promise((resolve) => {
      if (this.#paced) {
        const done = () => resolve()
        socket.emit('events', payload(packet), done)
        this.#resume = () => {
          forgetCallback(socket, done)
          resolve()
        }
        return
      }
      socket.emit('events', payload(packet))
      this.#await(resolve)
    })
  }

  drained(): Promise<void> {
    this.letGo()
    if (!this.#socket.connected) return Promise.resolve()
    return new Promise((resolve) => this.#await(resolve))
  }

  push(packet: Packet): void {
    this.#socket.emit('events', payload(packet))
  }

  live(offset: number): void {
    this.letGo()
    this.#socket.emit('live', { offset })
    void this.#socket.join(LIVE)
  }

  leave(): void {
    void this.#socket.leave(LIVE)
  }

  behind(offset: number): void {
    this.#socket.emit('behind', { offset })
  }

  end(error: WireError): void {
    this.#socket.emit('error', error)
    this.#socket.disconnect()
  }

  present(): Promise<void> {
    return presence(this.#socket.conn)
  }

  /** Nobody waits for what was sent any more: the client is gone, or the subscription has begun anew. */
  letGo(): void {
    this.#resume?.()
    this.#resume = undefined
  }

  get overfull(): boolean {
    return isOverfull(this.#socket.conn)
  }

  #await(resolve: () => void): void {
    const callOff = whenDrained(this.#socket.conn, resolve)
    this.#resume = () => {
      callOff()
      resolve()
    }
  }
}

/** Socket.IO keeps it until it is called, with all that it holds. */
function forgetCallback(socket: Socket, callback: () => void): void {
  const { acks } = socket as unknown as { readonly acks: Map<number, () => void> }
  for (const [id, kept] of acks) if (kept === callback) acks.delete(id)
}

/** Text where there is one; binary data is taken apart by Socket.IO itself. */
export function payload(packet: Packet) {
  return packet.binary ? packet.toJSON() : packet
}
