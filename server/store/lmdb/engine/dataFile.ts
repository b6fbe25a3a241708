/**
 * Whether the data file is still what was opened: under its name, and as long as it was. Looked at before and after each
 * commit, so that nothing is acknowledged that is only in a file which nobody can find again; and before each read, as
 * the process ends when it reads behind the end of a file that was cut off.
 */

import { closeSync, fstatSync, openSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DATA_FILE } from './folder.ts'

export class DataFile {
  readonly #folder: string
  readonly #path: string
  readonly #handle: number
  readonly #dev: number
  readonly #ino: number
  #bytes = 0
  #isCut = false

  constructor(folder: string) {
    this.#folder = folder
    this.#path = join(folder, DATA_FILE)
    this.#handle = openSync(this.#path, 'r')
    const { dev, ino } = fstatSync(this.#handle)
    this.#dev = dev
    this.#ino = ino
  }

  /** The file is shorter than it was. It is for good: what was mapped of it cannot be read again. */
  get isCut(): boolean {
    return this.#isCut || this.#cutTo(fstatSync(this.#handle).size)
  }

  /** What is wrong with it, as a sentence; `undefined` where nothing is. Asked twice a commit: one call of the system each. */
  get wrong(): string | undefined {
    try {
      const found = statSync(this.#path, { throwIfNoEntry: false })
      const isSame = found !== undefined && found.ino === this.#ino && found.dev === this.#dev
      if (this.#isCut || (isSame ? this.#cutTo(found.size) : this.isCut))
        return `data.mdb in ${this.#folder} was cut off while the hub ran: it has to be replaced by a copy, and the hub started again`
      if (isSame) return undefined
      if (found === undefined)
        return `data.mdb in ${this.#folder} is gone: the data folder was deleted or moved while the hub ran`
      return `data.mdb in ${this.#folder} was replaced by another file while the hub ran: the hub has to be started again`
    } catch (error) {
      return `data.mdb in ${this.#folder} cannot be reached any more: ${(error as Error).message}`
    }
  }

  #cutTo(size: number): boolean {
    if (size < this.#bytes) this.#isCut = true
    else this.#bytes = size
    return this.#isCut
  }

  close(): void {
    closeSync(this.#handle)
  }
}
