/** Whose turn it is to be given a job: who has the most free credit, and of those who waits longest. */

import type { Consumer } from './consumer.ts'
import type { JobClient } from './outlet.ts'

/** Counted over all queues of a node, as one client may take from several. */
export class Turns {
  readonly #last = new WeakMap<JobClient, number>()
  #count = 0

  /** It waits from now on. */
  given(client: JobClient): void {
    this.#count += 1
    this.#last.set(client, this.#count)
  }

  /** It waits no longer than who was given something last: else one that comes anew for each job is always first. */
  came(client: JobClient): void {
    if (!this.#last.has(client)) this.#last.set(client, this.#count)
  }

  /** In the order in which they are served. The idle ones are equal, whatever their credit. */
  order(consumers: Consumer[]): Consumer[] {
    let idle = 0
    for (const one of consumers) if (one.holds === 0) idle = Math.max(idle, free(one))
    const rank = (one: Consumer) => (one.holds === 0 ? idle : free(one))
    return consumers.sort((a, b) => rank(b) - rank(a) || this.#since(a) - this.#since(b) || free(b) - free(a))
  }

  #since({ client }: Consumer): number {
    return this.#last.get(client) ?? 0
  }
}

/** What is being asked for may still be free. */
function free({ free, asked }: Consumer): number {
  return free + asked
}
