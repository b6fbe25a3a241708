/** Which clients let a lease lapse and were not heard of since. They may be frozen, and get nothing of any queue. */

import type { JobClient } from './outlet.ts'

export class Silence {
  /** Whether a sign of life was asked for. */
  readonly #silent = new Map<JobClient, boolean>()
  readonly #heard: (client: JobClient) => void

  /** `heard` is told of each one that is there again. */
  constructor(heard: (client: JobClient) => void) {
    this.#heard = heard
  }

  has(client: JobClient): boolean {
    return this.#silent.has(client)
  }

  /** A lease of its lapsed. */
  begin(client: JobClient): void {
    const { outlet } = client
    if (this.#silent.has(client) || outlet.whenHeard === undefined) return
    this.#silent.set(client, false)
    outlet.whenHeard(() => {
      if (this.#silent.delete(client)) this.#heard(client)
    })
  }

  /** Whether it is there is to be known at once. */
  doubt(client: JobClient): void {
    this.begin(client)
    this.ask(client)
  }

  /** Nobody else is there to work: those that live are not waited for longer than they need to answer. */
  ask(client: JobClient): void {
    if (this.#silent.get(client) !== false) return
    this.#silent.set(client, true)
    client.outlet.ask?.()
  }

  /** The client is gone. */
  forget(client: JobClient): void {
    this.#silent.delete(client)
  }
}
