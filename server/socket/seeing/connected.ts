/** The connections of a Socket.IO server as whoever looks at them wants them: what each has open in the hub's namespaces. */

import type { Server, Socket } from 'socket.io'
import { CONSOLE_NAMESPACE } from '../../../shared/console/protocol.ts'
import type { Addresses } from '../../core/guards/addresses.ts'
import type { JobClient } from '../../core/queues/delivery/outlet.ts'
import type { Connected, Part } from '../../core/seeing/clientRow.ts'
import type { Source } from '../../core/seeing/clients.ts'
import { addressOf } from '../admission.ts'
import { type SocketState, stateOf } from '../calls.ts'
import type { Entrances } from '../entrances.ts'
import type { QueuesState } from '../queues.ts'
import type { TopicState } from '../topic.ts'
import { cut } from '../transport/connections.ts'

interface Rules {
  readonly addresses: Addresses
}

/** Those that are in a namespace; one of a program's own server may be in none of the hub's. */
export function connectionsOf(io: Server, entrances: Entrances, rules: Rules): Source {
  // A program's own server has no engine before it is attached to something.
  const known = (): Readonly<Record<string, Socket['conn']>> =>
    (io.engine as unknown as { readonly clients?: Readonly<Record<string, Socket['conn']>> } | undefined)?.clients ?? {}
  const seen = (connection: Socket['conn']): Connected | undefined => {
    const inside = entrances.namespacesOf(connection)
    return inside && new SocketConnection(connection, inside, rules)
  }
  return {
    *all() {
      for (const connection of Object.values(known())) {
        const connected = seen(connection)
        if (connected !== undefined) yield connected
      }
    },
    one(key) {
      const connection = known()[(key as { readonly id?: string }).id ?? '']
      return connection === key ? seen(connection) : undefined
    },
  }
}

class SocketConnection implements Connected {
  readonly key: Socket['conn']
  readonly #inside: ReadonlyMap<string, Socket>
  readonly #rules: Rules

  constructor(connection: Socket['conn'], inside: ReadonlyMap<string, Socket>, rules: Rules) {
    this.key = connection
    this.#inside = inside
    this.#rules = rules
  }

  get transport(): string {
    return this.key.transport.name
  }

  get address(): string | undefined {
    const [socket] = this.#inside.values()
    return socket && addressOf(socket, this.#rules)
  }

  *parts(): Generator<Part> {
    for (const socket of this.#inside.values()) {
      const state = stateOf(socket)
      if (state !== undefined) yield partOf(socket, state)
    }
  }

  /** At once, as it may be one that does not read. What is under way in it is sent again when its client is back. */
  disconnect(): void {
    cut(this.key)
  }
}

function partOf({ nsp, handshake }: Socket, state: SocketState): Part {
  const { core, caller } = state
  const since = handshake.issued
  const named = caller.client === undefined ? {} : { client: caller.client }
  if (isTopic(state)) {
    return { caller, since, subscription: { topic: state.topic, ...named, ...state.subscription.progress } }
  }
  if (isQueues(state)) return { caller, since, consumers: consumersOf(core, state.client, named) }
  return { caller, since, console: nsp.name === CONSOLE_NAMESPACE }
}

function* consumersOf({ consumers }: SocketState['core'], client: JobClient, named: { readonly client?: string }) {
  for (const [queue, { credit, holds: held }] of consumers.of(client)) yield { queue, ...named, credit, held }
}

function isTopic(state: SocketState): state is TopicState {
  return 'subscription' in state
}

function isQueues(state: SocketState): state is QueuesState {
  return 'client' in state
}
