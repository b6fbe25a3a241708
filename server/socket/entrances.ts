/**
 * How many namespaces a connection is in, or about to enter. Socket.IO knows a socket only when its handshake has been
 * judged, so the entrances of one burst would all find room: here they are counted before anything waits.
 */

import type { Namespace, Socket } from 'socket.io'

type Client = Socket['client']
type Entered = (socket: Socket) => void

/** What Socket.IO has and does not declare. */
interface RawNamespace {
  readonly name: string
  readonly sockets: ReadonlyMap<string, Socket>
  _add(client: Client, auth: unknown, entered?: Entered): Promise<void>
  run(socket: Socket, done: (error?: Error) => void): void
}

interface RawClient {
  readonly nsps: ReadonlyMap<string, Socket>
}

export interface EntranceRules {
  /** Namespaces of one connection. */
  readonly max: number
  /** Answers one that is over it, the `count`th of its connection. */
  tooMany(client: Client, namespace: Namespace, count: number): void
}

export class Entrances {
  readonly #rules: EntranceRules
  /** Names of namespaces that a connection is about to enter. */
  readonly #pending = new WeakMap<Client, Set<string>>()
  readonly #refused = new WeakMap<Client, number>()

  constructor(rules: EntranceRules) {
    this.#rules = rules
  }

  /** Whether the connection is in a namespace or about to enter one. */
  isUsed(client: Client): boolean {
    return this.#count(client) > 0
  }

  /** Counts whoever enters this namespace from now on. */
  watch(namespace: Namespace): void {
    const raw = namespace as unknown as RawNamespace
    const { _add: add, run } = raw
    raw._add = async (client, auth, entered) => {
      let pending = this.#pending.get(client)
      // A client that asks again while it is on its way in gets one answer, and has one place.
      if (pending?.has(raw.name)) return
      if (this.#count(client) >= this.#rules.max) {
        const count = (this.#refused.get(client) ?? 0) + 1
        this.#refused.set(client, count)
        this.#rules.tooMany(client, namespace, count)
        return
      }
      if (pending === undefined) {
        pending = new Set()
        this.#pending.set(client, pending)
      }
      pending.add(raw.name)
      await add.call(raw, client, auth, (socket) => {
        this.#settle(client, raw.name)
        entered?.(socket)
      })
    }
    raw.run = (socket, done) => {
      run.call(raw, socket, (error) => {
        if (error) this.#settle(socket.client, raw.name)
        done(error)
      })
    }
  }

  #settle(client: Client, name: string): void {
    this.#pending.get(client)?.delete(name)
  }

  #count(client: Client): number {
    return (client as unknown as RawClient).nsps.size + (this.#pending.get(client)?.size ?? 0)
  }
}
