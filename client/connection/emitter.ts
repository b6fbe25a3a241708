/** Listeners of one kind of report. A listener that throws does not harm the others or the caller. */

import { check } from '../optionChecks.ts'

/** Takes a listener away again. */
export type Undo = () => void

export class Emitter<T> {
  readonly #listeners = new Set<(value: T) => void>()

  /** Whether anybody listens. */
  get heard(): boolean {
    return this.#listeners.size > 0
  }

  on(listener: (value: T) => void): Undo {
    check('a listener', listener ?? null, typeof listener === 'function', 'a function')
    // Wrapped, so that the same function given twice is called twice and each undo takes one away.
    const entry = (value: T) => listener(value)
    this.#listeners.add(entry)
    return () => {
      this.#listeners.delete(entry)
    }
  }

  emit(value: T): void {
    // One that listens anew meanwhile hears of the next one.
    for (const listener of [...this.#listeners]) {
      if (!this.#listeners.has(listener)) continue
      try {
        listener(value)
      } catch (error) {
        // Reported as an uncaught error, as the platform does for its own listeners.
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}
