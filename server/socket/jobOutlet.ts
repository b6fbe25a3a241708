/** A consumer's way out over Socket.IO: one client in the namespace of the queues. */

import type { Socket } from 'socket.io'
import type { WireError } from '../../shared/errors.ts'
import type { JobOutlet } from '../core/queues/delivery/outlet.ts'
import type { JobsPacket } from '../core/queues/delivery/packet.ts'
import { isOverfull } from './transport/flow.ts'
import { presence, whenHeard } from './transport/presence.ts'

/** A queue's consumers on this node; the prefix keeps it apart from the ids of sockets, which are rooms, too. */
export function roomOf(queue: string): string {
  return `queue:${queue}`
}

export class SocketJobOutlet implements JobOutlet {
  readonly #socket: Socket

  constructor(socket: Socket) {
    this.#socket = socket
  }

  jobs(packet: JobsPacket): void {
    // Text where there is one; binary data is taken apart by Socket.IO itself.
    this.#socket.emit('jobs', packet.queue, packet.binary ? packet.toJSON() : packet)
  }

  lost(queue: string, ids: readonly string[]): void {
    this.#socket.emit('lost', queue, ids)
  }

  end(queue: string, error: WireError, wasLast: boolean): void {
    this.#socket.emit('error', { ...error, queue })
    if (wasLast) this.#socket.disconnect()
    else void this.#socket.leave(roomOf(queue))
  }

  whenHeard(listener: () => void): void {
    whenHeard(this.#socket.conn, listener)
  }

  /** A heartbeat beside the regular ones: any client answers it by itself. */
  ask(): void {
    void this.present()
  }

  present(): Promise<void> {
    return presence(this.#socket.conn)
  }

  get overfull(): boolean {
    return isOverfull(this.#socket.conn)
  }
}
