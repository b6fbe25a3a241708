/** Whether a connection is read: not while those who take what comes have too much of it. */

import { EventEmitter } from 'node:events'
import type { Socket } from 'socket.io'

export type Connection = Socket['conn']

/** What engine.io's WebSocket transport has and does not declare. */
interface RawTransport {
  readonly socket?: { pause?(): void; resume?(): void }
}

/** In place of a frame with nothing in it, which engine.io tells as nothing: no packet of Socket.IO's either. */
const NO_PACKET = '-'

const readings = new WeakMap<object, Reading>()

export function readingOf(connection: Connection): Reading {
  return readings.get(connection) ?? new Reading(connection)
}

/** The same where somebody has asked for it before. */
export function knownReading(connection: object): Reading | undefined {
  return readings.get(connection)
}

/** Its packets are told by `data`, one by one. */
export class Reading extends EventEmitter<{ data: [data: string | Buffer] }> {
  readonly connection: Connection
  #paused = false
  #whenRead: (() => void)[] = []

  constructor(connection: Connection) {
    super()
    this.connection = connection
    readings.set(connection, this)
    connection.on('data', (data: string | Buffer | undefined) => this.came(data ?? NO_PACKET))
    connection.on('upgrade', () => {
      if (this.#paused) this.#transport?.pause?.()
    })
    connection.once('close', () => this.close())
  }

  protected came(data: string | Buffer): void {
    this.emit('data', data)
  }

  protected close(): void {
    this.read()
  }

  /** Nothing more is to come. */
  pause(): void {
    this.unread()
  }

  resume(): void {
    this.read()
  }

  /** Whether the connection is not read at the moment. */
  get isUnread(): boolean {
    return this.#paused
  }

  /** Whether so much waits that not even the rest of what has come is taken. The connection is not read then. */
  get crowded(): boolean {
    return false
  }

  /** Resolves when the connection is read again, or gone. */
  whenRead(): Promise<void> {
    return new Promise((resolve) => this.#whenRead.push(resolve))
  }

  protected unread(): void {
    if (this.#paused) return
    this.#paused = true
    this.#transport?.pause?.()
  }

  protected read(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#transport?.resume?.()
    for (const resolve of this.#whenRead.splice(0)) resolve()
  }

  get #transport(): RawTransport['socket'] {
    return (this.connection.transport as unknown as RawTransport).socket
  }
}
