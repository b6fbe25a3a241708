/** Lines that come again and again: a few of a kind pass, the others are counted and told in one. */

/** How many of a kind pass in one span of time. */
const MAX_PASSED = 5
const SPAN_MS = 10_000
/** Kinds that are counted apart. */
const MAX_KINDS = 200

/** Writes a line; `repeated` says how many more of its kind there were since the last one, where there were some. */
type Write = (repeated: { readonly repeated?: number }) => void

interface Kind {
  passed: number
  held: number
  last: Write
  readonly timer: NodeJS.Timeout
}

export class Repeats {
  readonly #kinds = new Map<string, Kind>()
  readonly #beyond: 'together' | 'not at all'

  /** How kinds are counted that are more than can be counted apart. */
  constructor(beyond: 'together' | 'not at all' = 'together') {
    this.#beyond = beyond
  }

  pass(name: string, write: Write): void {
    const isApart = this.#kinds.size < MAX_KINDS || this.#kinds.has(name)
    if (!isApart && this.#beyond === 'not at all') {
      write({})
      return
    }
    const key = isApart ? name : ''
    const known = this.#kinds.get(key)
    if (known === undefined) {
      const timer = setInterval(() => this.#span(key), SPAN_MS)
      timer.unref()
      this.#kinds.set(key, { passed: 1, held: 0, last: write, timer })
      write({})
    } else if (known.passed < MAX_PASSED) {
      known.passed++
      write({})
    } else {
      known.held++
      known.last = write
    }
  }

  /** What is held is told. */
  close(): void {
    for (const [key, { timer }] of this.#kinds) {
      this.#tell(key)
      clearInterval(timer)
    }
    this.#kinds.clear()
  }

  #span(key: string): void {
    const kind = this.#kinds.get(key)
    if (kind === undefined) return
    if (this.#tell(key)) {
      // It goes on: one line a span, until there is a quiet one.
      kind.passed = MAX_PASSED
      kind.held = 0
      return
    }
    clearInterval(kind.timer)
    this.#kinds.delete(key)
  }

  #tell(key: string): boolean {
    const kind = this.#kinds.get(key)
    if (kind === undefined || kind.held === 0) return false
    kind.last({ repeated: kind.held })
    return true
  }
}
