/** What a connection of a tab has in place of a WebSocket: its other end is where the connection of all tabs is. */

export type Data = string | ArrayBuffer | ArrayBufferView

/** To the other end. */
export interface Way {
  send(data: Data): void
  close(): void
}

/** As much of a WebSocket as Engine.IO uses. */
export class Pipe {
  binaryType = 'arraybuffer'
  onopen = (): void => {}
  onmessage = (_: { readonly data: unknown }): void => {}
  onclose = (_: object): void => {}
  onerror = (_: unknown): void => {}
  #way: Way | undefined
  #opened = false
  #closed = false

  /** Nothing comes or goes any more. */
  get closed(): boolean {
    return this.#closed
  }

  /** Says where its other end is. */
  lead(way: Way): void {
    this.#way = way
  }

  /** From the other end. */
  receive(data: unknown): void {
    if (this.#closed) return
    if (!this.#opened) {
      this.#opened = true
      this.onopen()
    }
    this.onmessage({ data })
  }

  /** The other end is gone, or there never was one. */
  end(error?: unknown): void {
    if (this.#closed) return
    this.#closed = true
    // As a WebSocket does, and Engine.IO hears nothing else while it opens.
    if (!this.#opened || error !== undefined) this.onerror(error)
    else this.onclose({})
  }

  send(data: Data): void {
    if (!this.#closed) this.#way?.send(data)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#way?.close()
  }
}
