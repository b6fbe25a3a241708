/** The clients that consume, each with its consumers by queue. What a client does to one of them happens in its order. */

import type { Consumer } from './consumer.ts'
import type { JobClient } from './outlet.ts'

/** What is kept of a client. */
export interface Seat {
  readonly consumers: Map<string, Consumer>
  /** The last that is under way, by queue. */
  readonly turns: Map<string, Promise<void>>
  /** The client is gone; `deliberate`: it said so. */
  gone: false | { readonly deliberate: boolean }
}

export class Seats {
  readonly #seats = new Map<JobClient, Seat>()

  of(client: JobClient): Seat | undefined {
    return this.#seats.get(client)
  }

  all(): Iterable<Seat> {
    return this.#seats.values()
  }

  delete(client: JobClient): void {
    this.#seats.delete(client)
  }

  /** Takes a seat for a client that has none. */
  inTurn<T>(client: JobClient, queue: string, work: (seat: Seat) => Promise<T>): Promise<T> {
    const seat: Seat = this.#seats.get(client) ?? { consumers: new Map(), turns: new Map(), gone: false }
    this.#seats.set(client, seat)
    const done = (seat.turns.get(queue) ?? Promise.resolve()).then(() => work(seat))
    const turn = done.then(
      () => {},
      () => {},
    )
    seat.turns.set(queue, turn)
    void turn.then(() => {
      if (seat.turns.get(queue) === turn) seat.turns.delete(queue)
    })
    return done
  }
}
