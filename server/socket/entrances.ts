/**
 * How many namespaces a connection is in or about to enter. Socket.IO knows a socket only when its handshake has been
 * judged, so all entrances of one burst would find room: here each is counted before anything waits.
 */

import type { Namespace, Socket } from 'socket.io'
import type { RepriseError } from '../../shared/errors.ts'

type Client = Socket['client']
type Connection = Socket['conn']

/** What Socket.IO has and does not declare. */
interface RawNamespace {
  _add(client: Client, auth: unknown, entered?: (socket: Socket) => void): Promise<void>
  run(socket: Socket, done: (error?: Error) => void): void
}

interface Entering {
  /** The namespaces that the connection is in, by name. */
  readonly inside: ReadonlyMap<string, Socket>
  /** Names of those that it is about to enter. */
  readonly pending: Set<string>
  /** Entrances that found no room since the last one that did. */
  refused: number
}

export interface EntranceRules {
  /** Why nobody enters now, wherever there is room. */
  refusal(client: Client): RepriseError | undefined
  /** Namespaces of one connection. */
  readonly max: number
  /** Answers an entrance, by default one that found no room. `untouched`: nobody has ever entered the namespace. */
  refuse(client: Client, namespace: Namespace, refused: number, untouched: boolean, why?: RepriseError): void
}

export class Entrances {
  readonly #rules: EntranceRules
  readonly #connections = new WeakMap<Connection, Entering>()

  constructor(rules: EntranceRules) {
    this.#rules = rules
  }

  /** Whether the connection is in a namespace of the hub or about to enter one. */
  isUsed(connection: Connection): boolean {
    const entering = this.#connections.get(connection)
    if (entering === undefined) return false
    const { inside, pending } = entering
    return inside.size + pending.size > (inside.has('/') ? 1 : 0) + (pending.has('/') ? 1 : 0)
  }

  isInside(connection: Connection, namespace: string): boolean {
    return this.namespacesOf(connection)?.has(namespace) ?? false
  }

  /** Those that it is in, by name; `undefined` where it has never asked for one. */
  namespacesOf(connection: Connection): ReadonlyMap<string, Socket> | undefined {
    return this.#connections.get(connection)?.inside
  }

  /** Counts whoever enters this namespace from now on. */
  watch(namespace: Namespace): void {
    const { name } = namespace
    const raw = namespace as unknown as RawNamespace
    const { _add: add, run } = raw
    let untouched = true
    raw._add = async (client, auth, entered) => {
      const entering = this.#of(client)
      const { inside, pending } = entering
      // Who asks again on the way in has one place and gets one answer.
      if (pending.has(name)) return
      const why = this.#rules.refusal(client)
      if (why !== undefined) return this.#rules.refuse(client, namespace, 0, untouched, why)
      if (inside.size + pending.size >= this.#rules.max) {
        entering.refused += 1
        this.#rules.refuse(client, namespace, entering.refused, untouched)
        return
      }
      untouched = false
      entering.refused = 0
      pending.add(name)
      await add.call(raw, client, auth, (socket) => {
        pending.delete(name)
        entered?.(socket)
      })
    }
    raw.run = (socket, done) => {
      run.call(raw, socket, (error) => {
        if (error) this.#of(socket.client).pending.delete(name)
        done(error)
      })
    }
  }

  #of(client: Client): Entering {
    let entering = this.#connections.get(client.conn)
    if (entering === undefined) {
      const { nsps: inside } = client as unknown as { readonly nsps: ReadonlyMap<string, Socket> }
      entering = { inside, pending: new Set(), refused: 0 }
      this.#connections.set(client.conn, entering)
    }
    return entering
  }
}
