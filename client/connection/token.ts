/** The token of a hub's handle: asked for once per connection, not once per topic. */

import { RepriseError } from '../../shared/errors.ts'
import type { ConnectOptions } from '../api.ts'

export type Token = Promise<string | undefined>

export class Tokens {
  readonly #source: ConnectOptions['token']
  #current: Token | undefined
  /** The program's function has not answered yet. */
  asking = false

  constructor(source: ConnectOptions['token']) {
    this.#source = source
  }

  /** Whether asking again may bring another token. */
  get renewable(): boolean {
    return typeof this.#source === 'function'
  }

  /**
   * Rejects with `unavailable` when the program's function fails, and with `bad_request` for what is no text; the next `get`
   * asks it again.
   */
  get(): Token {
    if (this.#current !== undefined) return this.#current
    const asked = this.#ask()
    this.#current = asked
    asked.catch(() => this.forget(asked))
    return asked
  }

  /** The next `get` asks again. With `used` only when nobody else has renewed it since. */
  forget(used = this.#current): void {
    if (used === this.#current) this.#current = undefined
  }

  async #ask(): Token {
    if (typeof this.#source !== 'function') return this.#source
    let token: unknown
    this.asking = true
    try {
      token = await this.#source()
    } catch (cause) {
      throw new RepriseError('unavailable', 'the token function failed', { cause })
    } finally {
      this.asking = false
    }
    if (token == null || typeof token === 'string') return token ?? undefined
    throw new RepriseError('bad_request', 'the token function has to give a text')
  }
}
