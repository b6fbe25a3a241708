/**
 * Whether the data file is still what was opened: under its name, and as long as it was. Looked at before and after each
 * commit, so that nothing is acknowledged that is only in a file which nobody can find again; and before each read, as
 * the process ends when it reads behind the end of a file that was cut off.
 */

import { closeSync, fstatSync, openSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { DATA_FILE } from './folder.ts'

/** Zeros that it is made longer by at a time. */
const PART = Buffer.alloc(65_536)

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

  get length(): number {
    return fstatSync(this.#handle).size
  }

  /** Makes it so long, or as long as the disk allows; how long it is now. What is behind its last page means nothing. */
  growTo(bytes: number): number {
    const size = this.length
    if (size >= bytes) return size
    const handle = openSync(this.#path, 'r+')
    try {
      for (let at = size; at < bytes; ) at += writeSync(handle, PART, 0, PART.length, at)
    } catch {
      // It is as long as there was room for.
    } finally {
      closeSync(handle)
    }
    return this.length
  }

  close(): void {
    closeSync(this.#handle)
  }
}
