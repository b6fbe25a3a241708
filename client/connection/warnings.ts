/** What a program does not listen to is told on the console: each kind once a handle, and nothing when it is to be quiet. */

/** A hub that cannot be reached for so long is worth a word. */
export const UNREACHABLE_MS = 5_000

export class Warnings {
  /** Listeners of what a subscription or a worker is doing: whoever has one hears of a hub that is away. */
  watchers = 0
  readonly #quiet: boolean
  readonly #told = new Set<string>()

  constructor(quiet: boolean) {
    this.#quiet = quiet
  }

  /** `kind`: what it is told once for. */
  tell(kind: string, text: string, error?: unknown): void {
    if (this.#quiet || this.#told.has(kind)) return
    this.#told.add(kind)
    const details = error === undefined ? [] : [error]
    console.warn(`reprise: ${text}`, ...details)
  }

  /** A handler has failed: `what` is its event or job. */
  failed(of: string, what: string, then: string, error: unknown): void {
    this.tell(`failed ${of}`, `a handler of ${of} failed for ${what} (then: ${then}); listen with onError`, error)
  }

  /** A subscription or a worker is over, and not because the program has closed it. */
  ended(what: string, ending: { readonly code: string; readonly error?: unknown }): void {
    if (ending.error === undefined || ending.code === 'handler_failed') return
    const why =
      ending.code === 'taken_over'
        ? 'taken_over: another tab or program has connected with the same client; give each a client of its own, or none'
        : ending.code
    this.tell(`end of ${what}`, `${what} is over: ${why}; listen with onStatus`, ending.error)
  }

  /** Counts a listener; the result takes it away, once. */
  watch(undo: () => void): () => void {
    this.watchers++
    let gone = false
    return () => {
      if (!gone) this.watchers--
      gone = true
      undo()
    }
  }
}
