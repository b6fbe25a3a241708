/** How safe a write is when it is answered: what the server was told to do with it, and who else has it. */

import type { Durability } from '../../../shared/protocol.ts'

export class Durable {
  readonly #replicas: number
  /** What the servers do; the weakest of them. */
  base: Durability

  constructor(base: Durability, replicas: number) {
    this.base = base
    this.#replicas = replicas
  }

  /** When nothing is missing. */
  get named(): Durability {
    return this.#replicas > 0 ? `replicated:${this.#replicas}` : this.base
  }

  reached(replicas: number): Durability {
    const count = Math.min(replicas, this.#replicas)
    return count > 0 ? `replicated:${count}` : this.base
  }
}
