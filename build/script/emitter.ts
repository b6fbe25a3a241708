/** Socket.IO's emitter, as far as its client uses it. */

interface Listener {
  (...args: unknown[]): void
  /** What it calls once. */
  once?: Listener
}

export class Emitter {
  /** Never changed in place: an event goes to those that listened when it came. */
  readonly #listeners = new Map<string, readonly Listener[]>()

  on(name: string, listener: Listener): this {
    this.#listeners.set(name, [...this.#of(name), listener])
    return this
  }

  once(name: string, listener: Listener): this {
    const first: Listener = (...args) => {
      this.off(name, first)
      listener.apply(this, args)
    }
    first.once = listener
    return this.on(name, first)
  }

  /** One listener, all of a name, or all. */
  off(name?: string, listener?: Listener): this {
    if (name === undefined) this.#listeners.clear()
    else {
      const left = listener && this.#of(name).filter((one) => one !== listener && one.once !== listener)
      this.#listeners.set(name, left ?? [])
    }
    return this
  }

  removeListener(name: string, listener: Listener): this {
    return this.off(name, listener)
  }

  removeAllListeners(name?: string): this {
    return this.off(name)
  }

  emit(name: string, ...args: unknown[]): this {
    return this.emitReserved(name, ...args)
  }

  /** Where `emit` sends to the other side. */
  emitReserved(name: string, ...args: unknown[]): this {
    for (const listener of this.#of(name)) listener.apply(this, args)
    return this
  }

  #of(name: string): readonly Listener[] {
    return this.#listeners.get(name) ?? []
  }
}
