/** Who watches which topic on this node. */

import type { Notification } from '../contract.ts'

type Listener = (notification: Notification) => void

export class Watches {
  readonly #listeners = new Map<string, Set<Listener>>()
  readonly #warn: (message: string, cause?: unknown) => void

  constructor(warn: (message: string, cause?: unknown) => void) {
    this.#warn = warn
  }

  /** The result stops it. */
  add(topic: string, listener: Listener): () => void {
    // A listener may be given twice: each time counts for itself.
    const own: Listener = (notification) => listener(notification)
    const listeners = this.#listeners.get(topic) ?? new Set()
    listeners.add(own)
    this.#listeners.set(topic, listeners)
    return () => {
      listeners.delete(own)
      if (listeners.size === 0 && this.#listeners.get(topic) === listeners) this.#listeners.delete(topic)
    }
  }

  has(topic: string): boolean {
    return this.#listeners.has(topic)
  }

  tell(topic: string, notification: Notification): void {
    for (const listener of this.#listeners.get(topic) ?? []) {
      try {
        listener(notification)
      } catch (error) {
        this.#warn(`a listener on the topic ${topic} threw`, error)
      }
    }
  }

  clear(): void {
    this.#listeners.clear()
  }
}
