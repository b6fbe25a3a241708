/**
 * What connections may leave unfinished, and for how long: one that is in no namespace, a packet whose binary parts do
 * not come, an upgrade that is only asked for. One look a second for all connections of a server.
 */

import type { IncomingMessage } from 'node:http'
import type { Server, Socket } from 'socket.io'
import { type Addresses, networkOf } from '../../core/guards/addresses.ts'
import { Places } from '../../core/guards/places.ts'
import type { Held, Unfinished } from '../../core/guards/unfinished.ts'
import type { Refused } from './requests.ts'

type Connection = Socket['conn']

export interface ConnectionRules {
  readonly addresses: Addresses
  /** Connections of one address. */
  readonly perAddress: number
  /** How long a connection may be in no namespace, and a packet may wait for its binary parts. */
  readonly connectTimeoutMs: number
  /** Bytes of a packet with its binary parts. */
  readonly maxPacketBytes: number
  readonly unfinished: Unfinished
  isUsed(connection: Connection): boolean
}

interface State {
  /** When it was last seen in a namespace. */
  usedAt: number
  /** Binary parts that have been announced and have not come. */
  missing: number
  bytes: number
  announcedAt: number
  readonly held: Held
}

const LOOK_MS = 1_000
const CUTS_A_TURN = 100
const RETRY_AFTER_S = '5'
/** A client asks once whether an upgrade works. */
const MAX_PROBES = 10
/** Socket.IO's packets with binary parts: an event, a reply. */
const BINARY = /^[56](\d{1,3})-/

export class Connections {
  readonly #rules: ConnectionRules
  readonly #places: Places
  readonly #states = new Map<Connection, State>()
  #timer: NodeJS.Timeout | undefined

  constructor(engine: Server['engine'], rules: ConnectionRules) {
    this.#rules = rules
    this.#places = new Places(rules.perAddress)
    engine.on('connection', (connection: Connection) => this.#open(connection))
  }

  /** What speaks against one more. */
  admit(request: IncomingMessage): Refused | undefined {
    const address = this.#rules.addresses.of(request)
    if (this.#places.hasRoom(networkOf(address))) return undefined
    const message = `${address} has ${this.#rules.perAddress} connections, which is the limit (limits.connectionsPerAddress)`
    return { status: 429, message, headers: { 'Retry-After': RETRY_AFTER_S } }
  }

  #open(connection: Connection): void {
    const held = this.#rules.unfinished.hold(() => cut(connection))
    const state: State = { usedAt: performance.now(), missing: 0, bytes: 0, announcedAt: 0, held }
    this.#states.set(connection, state)
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref()
    const leave = this.#places.take(networkOf(this.#rules.addresses.of(connection.request)))
    connection.once('close', () => {
      this.#states.delete(connection)
      held.end()
      leave()
    })
    connection.on('data', (data: unknown) => {
      if (!this.#count(state, data)) cut(connection)
    })
    let probes = 0
    connection.on('upgrading', (transport) => {
      probes += 1
      if (probes > MAX_PROBES) terminate(transport)
    })
  }

  /** Whether the packet that this is of is still within its bytes. */
  #count(state: State, data: unknown): boolean {
    if (typeof data === 'string') {
      const announced = data.charCodeAt(0) > 52 ? BINARY.exec(data) : null
      if (announced === null) return true
      state.missing = Number(announced[1])
      state.bytes = data.length
      state.announcedAt = performance.now()
      return true
    }
    // A packet with nothing in it is told as nothing, and is no binary part.
    if (state.missing === 0 || data === undefined) return true
    state.missing -= 1
    state.bytes += (data as { readonly byteLength?: number }).byteLength ?? 0
    // Whole, it is handed on in this turn.
    state.held.set(state.missing === 0 ? 0 : state.bytes)
    return state.bytes <= this.#rules.maxPacketBytes
  }

  #look(): void {
    const { connectTimeoutMs, isUsed } = this.#rules
    if (this.#states.size === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
    }
    const now = performance.now()
    const over: Connection[] = []
    for (const [connection, state] of this.#states) {
      if (isUsed(connection)) state.usedAt = now
      state.held.set((state.missing === 0 ? 0 : state.bytes) + frameBytes(connection))
      const late = now - state.usedAt > connectTimeoutMs
      if (late || (state.missing > 0 && now - state.announcedAt > connectTimeoutMs)) over.push(connection)
    }
    cutAll(over)
  }
}

/** So many a turn of the event loop: what very many take is no single piece of work. */
function cutAll(connections: Connection[]): void {
  for (const connection of connections.splice(0, CUTS_A_TURN)) cut(connection)
  if (connections.length > 0) setImmediate(() => cutAll(connections))
}

/** What ws keeps and does not declare: what has come of a message whose end has not. */
interface RawTransport {
  readonly socket?: { readonly _receiver?: { readonly _bufferedBytes?: number; readonly _messageLength?: number } }
}

function frameBytes({ transport }: Connection): number {
  const receiver = (transport as unknown as RawTransport).socket?._receiver
  return (receiver?._bufferedBytes ?? 0) + (receiver?._messageLength ?? 0)
}

/** Ends a connection now, whatever it has not read. */
export function cut(connection: Connection): void {
  const { transport } = connection
  connection.close(true)
  terminate(transport)
}

/** A WebSocket that is closed waits for the other end's word. */
function terminate(transport: Connection['transport']): void {
  const { socket } = transport as unknown as { readonly socket?: { terminate?(): void } }
  if (socket?.terminate === undefined) transport.close()
  else socket.terminate()
}
