/** Who watches which topic or queue on this node. */

export class Listeners<Notification> {
  readonly #listeners = new Map<string, Set<(notification: Notification) => void>>()
  readonly #warn: (message: string, cause?: unknown) => void

  constructor(warn: (message: string, cause?: unknown) => void) {
    this.#warn = warn
  }

  /** The result stops it. */
  add(name: string, listener: (notification: Notification) => void): () => void {
    // A listener may be given twice: each time counts for itself.
    const own = (notification: Notification): void => listener(notification)
    const listeners = this.#listeners.get(name) ?? new Set()
    listeners.add(own)
    this.#listeners.set(name, listeners)
    return () => {
      listeners.delete(own)
      if (listeners.size === 0 && this.#listeners.get(name) === listeners) this.#listeners.delete(name)
    }
  }

  tell(name: string, notification: Notification): void {
    for (const listener of this.#listeners.get(name) ?? []) {
      try {
        listener(notification)
      } catch (error) {
        this.#warn(`a listener on ${name} threw`, error)
      }
    }
  }

  tellAll(notification: Notification): void {
    for (const name of [...this.#listeners.keys()]) this.tell(name, notification)
  }

  clear(): void {
    this.#listeners.clear()
  }
}
