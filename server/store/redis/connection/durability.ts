/** How safe a write is when it is answered: what the servers were told to do with it, and who else has it. */

import { messageOf } from '../../../../shared/errors.ts'
import type { Durability } from '../../../../shared/protocol.ts'
import { checkServer, runOf, type Send, sayDurability, weakest } from './serverSettings.ts'

export class Durable {
  readonly #replicas: number
  readonly #warn: (message: string) => void
  /** By address: which start of the server was looked at, and what it does. */
  readonly #servers = new Map<string, { readonly run: string; readonly does: Durability }>()
  #base: Durability = 'memory'
  /** The start of a server that was refused: told once. */
  #refused = ''

  constructor(replicas: number, warn: (message: string) => void) {
    this.#replicas = replicas
    this.#warn = warn
  }

  /** When nothing is missing. */
  get named(): Durability {
    return this.#replicas > 0 ? `replicated:${this.#replicas}` : this.#base
  }

  reached(replicas: number): Durability {
    const count = Math.min(replicas, this.#replicas)
    return count > 0 ? `replicated:${count}` : this.#base
  }

  /** Looks at servers; `unsupported` for one that would throw away what it keeps. `servers`: all there are. */
  async begin(servers: ReadonlyMap<string, Send>): Promise<void> {
    await Promise.all([...servers].map(async ([address, send]) => this.#look(address, await runOf(send), send)))
    this.#say()
  }

  /** Looks again where the server at the address was started anew, or is another one. Rejects as `begin` does. */
  async check(address: string, send: Send): Promise<void> {
    const run = await runOf(send)
    if (this.#servers.get(address)?.run === run) return
    const before = this.#base
    try {
      await this.#look(address, run, send)
    } catch (error) {
      if (this.#refused !== run) this.#warn(`a Redis that came back is not used: ${messageOf(error)}`)
      this.#refused = run
      throw error
    }
    if (before !== this.#base) this.#say()
  }

  async #look(address: string, run: string, send: Send): Promise<void> {
    const does = await checkServer(send, this.#warn)
    this.#servers.set(address, { run, does })
    this.#base = weakest([...this.#servers.values()].map((server) => server.does))
  }

  #say(): void {
    const said = sayDurability(this.#base)
    if (said !== undefined) this.#warn(said)
  }
}
