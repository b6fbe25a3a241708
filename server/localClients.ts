/** The SDK within the hub's own process: one handle for each client name, made when it is first needed. */

import type { Agent } from 'node:http'
import type { connect, Hub, HubTypes } from '../client/index.ts'
import { RepriseError } from '../shared/errors.ts'

/** Where the SDK names the hub's address. Nothing is looked up. */
const ADDRESS = 'http://hub.local'

/** The SDK's way in. It is handed in, as loading the SDK takes a good part of a start of those who do not use it. */
export type Connect = typeof connect

export class LocalClients<S extends HubTypes> {
  readonly #connect: Connect | undefined
  readonly #path: string
  readonly #open: () => Agent
  readonly #clients = new Map<string | undefined, Hub<S>>()
  #agent: Agent | undefined
  #closed = false

  /** `path`: Socket.IO's. `open`: a way to the hub, asked for once, by the first client. */
  constructor(connect: Connect | undefined, path: string, open: () => Agent) {
    this.#connect = connect
    this.#path = path
    this.#open = open
  }

  get used(): boolean {
    return this.#clients.size > 0
  }

  /** The handle under this name; throws `bad_request` for what is no name. */
  as(client?: string): Hub<S> {
    if (this.#closed) throw new RepriseError('unavailable', 'the hub is closed')
    let hub = this.#clients.get(client)
    if (hub === undefined) {
      if (this.#connect === undefined) throw new RepriseError('unsupported', 'this hub was started without the SDK')
      this.#agent ??= this.#open()
      hub = this.#connect<S>(ADDRESS, {
        path: this.#path,
        ...(client === undefined ? {} : { client }),
        transports: ['websocket'],
        socketOptions: { agent: this.#agent },
      })
      this.#clients.set(client, hub)
    }
    return hub
  }

  /** Resolves when the handlers have ended and what they did is told, or after the SDK's `drainMs`. */
  async close(): Promise<void> {
    this.#closed = true
    // A handler that asks for this is waited for as well: what it does then is still accepted.
    await undefined
    await Promise.all([...this.#clients.values()].map((hub) => hub.close()))
    this.#agent?.destroy()
  }
}
