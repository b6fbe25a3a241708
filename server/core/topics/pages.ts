/**
 * Pages of logs for those who read on and on: in turns, so many at a time, once for all who wait for the same one, and a
 * little ahead of those who take them. Knows nothing of who reads.
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

/** Pages that are kept for readers who have not asked for them yet, and how long. */
const MOST_AHEAD = 8
const AHEAD_MS = 1_000

/** A page that was read while its readers take the one before it; nothing where it is not to be used. */
interface Ahead {
  readonly page: Promise<Step | undefined>
  /** Forgets it. */
  readonly timer: NodeJS.Timeout
  readers: number
}

interface Wanted {
  readonly page: Promise<Step>
  readonly readers: (() => boolean)[]
}

export class Pages {
  readonly #log: Log
  /** Those that are not begun: what comes until then is in them. */
  readonly #wanted = new Map<string, Wanted>()
  readonly #ahead = new Map<string, Ahead>()
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
    const name = nameOf(topic, position)
    const ahead = this.#ahead.get(name)
    if (ahead !== undefined) {
      ahead.readers -= 1
      if (ahead.readers === 0) {
        this.#ahead.delete(name)
        // It would keep the page until it fires.
        clearTimeout(ahead.timer)
      }
      const step = await ahead.page
      if (step !== undefined) {
        await itsTurn(stepWeight(step))
        return step
      }
    }
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

  /** Reads what a reader will ask for next, who takes what it is given. */
  ahead(topic: string, position: Position, isThere: () => boolean): void {
    const name = nameOf(topic, position)
    const known = this.#ahead.get(name)
    if (known !== undefined) known.readers += 1
    else if (this.#ahead.size < MOST_AHEAD && !this.#wanted.has(name)) {
      const page = this.#read(name, topic, position, [isThere]).then(
        // What ends at the head may be out of date when it is asked for.
        (step) => (isFull(step) ? step : undefined),
        () => undefined,
      )
      const timer = setTimeout(() => this.#ahead.delete(name), AHEAD_MS).unref()
      this.#ahead.set(name, { page, timer, readers: 1 })
    }
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

function nameOf(topic: string, { epoch, offset }: Position): string {
  return `${topic}\n${epoch}:${offset}`
}

/** Whether more follows. */
function isFull({ items, head }: Step): boolean {
  const last = items.at(-1)
  return last !== undefined && 'events' in last && last.epoch === head.epoch && last.last < head.offset
}
