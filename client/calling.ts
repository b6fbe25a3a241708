/** Calls the program's handler, and knows whether something is asked in it: who waits there for its end waits for itself. */

export class Calling<A> {
  readonly #handler: (argument: A) => unknown
  #now = false

  constructor(handler: (argument: A) => unknown) {
    this.#handler = handler
  }

  /** Whether this is asked in the handler, before its first wait. */
  get now(): boolean {
    return this.#now
  }

  call(argument: A): unknown {
    this.#now = true
    try {
      return this.#handler(argument)
    } finally {
      this.#now = false
    }
  }
}
