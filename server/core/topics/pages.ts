/**
 * Pages of logs for those who read on and on: in turns, so many at a time, and once for all who wait for the same one. Knows
 * nothing of who reads.
 */

import { RepriseError } from '../../../shared/errors.ts'
import type { Position } from '../../../shared/positions.ts'
import { correct, itsTurn, PAGE_WEIGHT, turnNumber } from '../turns.ts'
import { type Log, type Step, stepWeight } from './log.ts'

/**
 * What those under way may weigh, as pages weigh just now: two full ones, one on its way while the store reads the other.
 * What is published waits in the store behind all that are asked for.
 */
const MAX_UNDER_WAY = 30
/** Of the usual weight an eighth is the last page's. */
const SMOOTHING = 8

interface Wanted {
  readonly page: Promise<Step>
  readonly readers: (() => boolean)[]
}

export class Pages {
  readonly #log: Log
  /** Those that are not begun: what comes until then is in them. */
  readonly #wanted = new Map<string, Wanted>()
  readonly #waiting: (() => void)[] = []
  #underWay = 0
  #usualWeight = 1

  constructor(log: Log) {
    this.#log = log
  }

  /**
   * What a reader at `position` gets next; the turn it comes in has room for it. Rejects with what the store rejects with,
   * and with `unavailable` where no reader `isThere` any more.
   */
  async step(topic: string, position: Position, isThere: () => boolean): Promise<Step> {
    const name = `${topic}\n${position.epoch}:${position.offset}`
    const known = this.#wanted.get(name)
    if (known === undefined) {
      const readers = [isThere]
      const page = this.#read(name, topic, position, readers)
      this.#wanted.set(name, { page, readers })
      return page
    }
    known.readers.push(isThere)
    const step = await known.page
    await itsTurn(stepWeight(step))
    return step
  }

  async #read(name: string, topic: string, position: Position, readers: readonly (() => boolean)[]): Promise<Step> {
    await this.#slot()
    try {
      await itsTurn(PAGE_WEIGHT)
      this.#wanted.delete(name)
      if (!readers.some((isThere) => isThere()))
        throw new RepriseError('unavailable', 'whoever wanted the page is gone')
      const asked = turnNumber()
      const step = await this.#log.step(topic, position)
      const weight = stepWeight(step)
      correct(PAGE_WEIGHT, weight)
      this.#usualWeight += (weight - this.#usualWeight) / SMOOTHING
      // Where the store is elsewhere, answers come in another turn, maybe many in one.
      if (turnNumber() !== asked) await itsTurn(weight)
      return step
    } finally {
      this.#underWay -= 1
      while (this.#waiting.length > 0 && this.#hasRoom) {
        this.#underWay += 1
        this.#waiting.shift()?.()
      }
    }
  }

  async #slot(): Promise<void> {
    if (this.#hasRoom) this.#underWay += 1
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  get #hasRoom(): boolean {
    return this.#underWay * this.#usualWeight < MAX_UNDER_WAY
  }
}
