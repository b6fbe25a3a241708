/**
 * Whether the connections of a handle go over the one that all tabs of its origin share. How the tabs agree on that is loaded
 * when a program asks for it.
 */

import { WebSocket } from 'socket.io-client'
import { RepriseError } from '../../shared/errors.ts'
import type { SharedStatus } from '../api.ts'
import { Emitter, type Undo } from '../connection/emitter.ts'
import type { Token } from '../connection/token.ts'
import type { Warnings } from '../connection/warnings.ts'
import type { Occupied } from './occupancy.ts'
import { loadTabs } from './parts.ts'
import type { StorageScope } from './stored.ts'
import { Pipe } from './tabs/pipe.ts'
import type { Uplink } from './tabs/relay.ts'
import type { Tabs } from './tabs/tabs.ts'

export interface SharingContext {
  readonly scope: StorageScope
  /** What else makes one connection another one. */
  readonly options: object
  readonly uplink: Uplink
  readonly warnings: Warnings
  /** There is somebody new to ask: what waits for its next try is tried now. */
  again(): void
}

export class Sharing {
  readonly #context: SharingContext
  /** The number of this tab among those of the same client. */
  #place: { readonly name: string; readonly taken: Promise<Occupied> } | undefined
  readonly #reports = new Emitter<SharedStatus>()
  #status: SharedStatus = { shared: undefined }
  #tabs: { readonly name: string; readonly tabs: Tabs } | undefined
  #closed = false

  constructor(context: SharingContext) {
    this.#context = context
    const lacking = lackingHere()
    if (lacking !== undefined) this.became('alone', new Error(lacking))
  }

  get status(): SharedStatus {
    return this.#status
  }

  onStatus(listener: (status: SharedStatus) => void): Undo {
    return this.#reports.on(listener)
  }

  /** For Engine.IO, in place of its own ones. `undefined`: each tab connects for itself. */
  transport(token: () => Token): typeof WebSocket | undefined {
    if (lackingHere() !== undefined) return undefined
    const open = (): Pipe => {
      const pipe = new Pipe()
      this.#open(pipe, token).catch((error: unknown) => pipe.end(error))
      return pipe
    }
    return class extends WebSocket {
      override createSocket(): Pipe {
        return open()
      }
    }
  }

  /** What the client is called in this tab: each tab has cursors and jobs of its own. */
  async clientOf(known: string | undefined): Promise<string | undefined> {
    const { client } = this.#context.scope
    if (client === undefined || lackingHere() !== undefined) return client
    try {
      const { occupyAny } = await loadTabs()
      const name = `${await this.#nameOf(known)} ${client}`
      if (this.#place?.name !== name) {
        this.#leavePlace()
        this.#place = { name, taken: occupyAny(name) }
      }
      const { number } = await this.#place.taken
      return number === 1 ? client : `${client}:${number}`
    } catch {
      return client
    }
  }

  close(): void {
    this.#closed = true
    this.#tabs?.tabs.close()
    this.#leavePlace()
  }

  #leavePlace(): void {
    this.#place?.taken.then(({ leave }) => leave()).catch(() => {})
    this.#place = undefined
  }

  became(shared: SharedStatus['shared'], cause?: unknown): void {
    if (this.#status.shared === shared) return
    this.#status = cause === undefined ? { shared } : { shared, reason: reasonOf(cause) }
    if (this.#status.reason !== undefined) this.#context.warnings.tell('shared', this.#status.reason.message)
    this.#reports.emit(this.#status)
  }

  again(): void {
    this.#context.again()
  }

  async #nameOf(known: string | undefined): Promise<string> {
    const { storageName } = await loadTabs()
    const { scope, options } = this.#context
    return `${await storageName({ ...scope, client: undefined, name: JSON.stringify(options) }, known)} tabs`
  }

  async #open(pipe: Pipe, token: () => Token): Promise<void> {
    const { Tabs } = await loadTabs()
    const name = await this.#nameOf(await token())
    if (this.#closed) return pipe.end()
    // The token may be of another user by now.
    if (this.#tabs?.name !== name) {
      this.#tabs?.tabs.close()
      this.#tabs = { name, tabs: new Tabs(name, this.#context.uplink, this) }
    }
    this.#tabs.tabs.open(pipe)
  }
}

function lackingHere(): string | undefined {
  if (typeof location === 'undefined' || typeof BroadcastChannel === 'undefined') return 'there are no tabs here'
  if (navigator.locks !== undefined) return undefined
  return 'there are no Web Locks here: they need a page from https or localhost'
}

function reasonOf(cause: unknown): RepriseError {
  const { message = String(cause) } = Object(cause) as Partial<Error>
  return new RepriseError('unavailable', `the connection is not shared with other tabs: ${message}`, { cause })
}
