/** Web Locks within one process, for tabs that a test makes of handles: as browsers have them, and each holder is a page. */

interface Request {
  readonly name: string
  readonly page: string
  grant(): void
}

export class FakeLocks {
  readonly #held = new Map<string, { readonly page: string; steal(): void }>()
  readonly #waiting: Request[] = []
  #pages = 0

  request(name: string, options: LockOptions, callback: (lock: Lock | null) => unknown): Promise<unknown> {
    const { signal, steal = false, ifAvailable = false } = options
    const page = `page ${++this.#pages}`
    return new Promise((resolve, reject) => {
      const grant = () => {
        signal?.removeEventListener('abort', abort)
        const held = { page, steal: () => reject(new DOMException('stolen', 'AbortError')) }
        this.#held.set(name, held)
        Promise.resolve({ name, mode: 'exclusive' } as Lock)
          .then(callback)
          .then(resolve, reject)
          .finally(() => {
            if (this.#held.get(name) === held) this.#free(name)
          })
      }
      const request: Request = { name, page, grant }
      const abort = () => {
        const place = this.#waiting.indexOf(request)
        if (place < 0) return
        this.#waiting.splice(place, 1)
        reject(signal?.reason)
      }
      if (signal?.aborted) return reject(signal.reason)
      if (steal) {
        this.#held.get(name)?.steal()
        grant()
      } else if (!this.#held.has(name)) grant()
      else if (ifAvailable) Promise.resolve(null).then(callback).then(resolve, reject)
      else {
        this.#waiting.push(request)
        signal?.addEventListener('abort', abort)
      }
    })
  }

  query(): Promise<LockManagerSnapshot> {
    const held = [...this.#held].map(([name, { page }]) => ({ name, clientId: page, mode: 'exclusive' as const }))
    const pending = this.#waiting.map(({ name, page }) => ({ name, clientId: page, mode: 'exclusive' as const }))
    return Promise.resolve({ held, pending })
  }

  #free(name: string): void {
    this.#held.delete(name)
    const place = this.#waiting.findIndex((request) => request.name === name)
    const [next] = place < 0 ? [] : this.#waiting.splice(place, 1)
    next?.grant()
  }
}
