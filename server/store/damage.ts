/** What a store finds damaged: told once each to who runs the hub, and kept for whoever asks how the store is. */

/** What one queue has lost; thrown where an index names a job that is not there, or cannot be read itself. */
export class DamagedQueue extends Error {
  override readonly name = 'DamagedQueue'
  readonly queue: string

  constructor(queue: string) {
    super(`the indexes of the queue ${queue} do not fit its jobs`)
    this.queue = queue
  }
}

const KEPT = 100

/** What is told of a queue whose indexes were made anew. */
export function mended(queue: string, lost: number): string {
  const what =
    lost === 0 ? 'no job is lost' : `${lost} ${lost === 1 ? 'job is' : 'jobs are'} lost, and dead-lettered as damaged`
  return `the indexes of queue ${queue} were damaged and have been made anew: ${what}`
}

export class Damage {
  readonly #warn: (message: string) => void
  readonly #told = new Set<string>()

  constructor(warn: (message: string) => void) {
    this.#warn = warn
  }

  /** Sentences, the first hundred. */
  get told(): readonly string[] {
    return [...this.#told]
  }

  tell(sentence: string): void {
    if (this.#told.has(sentence) || this.#told.size >= KEPT) return
    this.#told.add(sentence)
    this.#warn(sentence)
  }

  /** A record whose checksum does not fit. */
  record(table: string, key: Buffer): void {
    const name = key.toString()
    const shown = /^[\x20-\x7e]+$/.test(name) ? JSON.stringify(name) : key.toString('hex')
    this.tell(`a record of the store is damaged and counts as lost: ${shown} of ${table}`)
  }
}
