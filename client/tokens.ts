/** The token of a hub's handle: asked for once per connection, not once per topic. */

import type { ConnectOptions } from './face.ts'

export type Token = Promise<string | undefined>

export class Tokens {
  readonly #source: ConnectOptions['token']
  #current: Token | undefined

  constructor(source: ConnectOptions['token']) {
    this.#source = source
  }

  /** Whether asking again may bring another token. */
  get renewable(): boolean {
    return typeof this.#source === 'function'
  }

  get(): Token {
    this.#current ??= this.#ask()
    return this.#current
  }

  /** The next `get` asks again. With `used` only when nobody else has renewed it since. */
  forget(used = this.#current): void {
    if (used === this.#current) this.#current = undefined
  }

  async #ask(): Token {
    return typeof this.#source === 'function' ? this.#source() : this.#source
  }
}
