/** How much an outbox holds, and who waits until that is nothing. */

export class Load {
  #drafts = 0
  #bytes = 0
  #emptied: (() => void)[] = []

  get drafts(): number {
    return this.#drafts
  }

  get bytes(): number {
    return this.#bytes
  }

  add(bytes: number): void {
    this.#drafts++
    this.#bytes += bytes
  }

  remove(bytes: number): void {
    this.#drafts--
    this.#bytes -= bytes
    if (this.#drafts > 0) return
    for (const resolve of this.#emptied.splice(0)) resolve()
  }

  emptied(): Promise<void> {
    return this.#drafts === 0 ? Promise.resolve() : new Promise((resolve) => this.#emptied.push(resolve))
  }
}
