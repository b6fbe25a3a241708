/**
 * Whether there is room for the store to grow: on the disk, and within its file, which does not shrink and uses again what
 * was freed. Asked seldom; a reserve is left for what needs no new room.
 */

import { statfs } from 'node:fs/promises'

/** Long enough to cost nothing, short enough to notice a disk that fills up. */
const CHECK_MS = 1_000
/** While little is left, what is written between two checks could take the reserve. */
const CLOSE_CHECK_MS = 50
const CLOSE_FACTOR = 16

export class Space {
  readonly #freeBytes: () => Promise<number>
  readonly #reserveBytes: number
  #free = Number.POSITIVE_INFINITY
  #withinFile = 0
  #checkedAt = Number.NEGATIVE_INFINITY

  constructor(freeBytes: () => Promise<number>, reserveBytes: number) {
    this.#freeBytes = freeBytes
    this.#reserveBytes = reserveBytes
  }

  get hasRoom(): boolean {
    return this.#free + this.#withinFile >= this.#reserveBytes
  }

  /** There may soon be no room for a commit. */
  get isLow(): boolean {
    return this.#free < this.#reserveBytes * CLOSE_FACTOR
  }

  /** `withinFile`: bytes of the file that are free. */
  async check(withinFile: () => number): Promise<void> {
    const close = this.isLow
    const now = performance.now()
    if (now - this.#checkedAt < (close ? CLOSE_CHECK_MS : CHECK_MS)) return
    const isKnown = this.#checkedAt !== Number.NEGATIVE_INFINITY
    this.#checkedAt = now
    const asked = this.#ask()
    // Where much was left at the last look, one commit goes before the answer.
    if (close || !isKnown) await asked
    this.#withinFile = this.#free < this.#reserveBytes ? withinFile() : 0
  }

  async #ask(): Promise<void> {
    // Where it cannot be told, the commit itself shows whether there is room.
    this.#free = await this.#freeBytes().catch(() => Number.POSITIVE_INFINITY)
  }

  /** A write has failed for lack of room: the next check is due. */
  doubt(): void {
    this.#checkedAt = Number.NEGATIVE_INFINITY
  }
}

export async function freeBytesOf(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize
}
