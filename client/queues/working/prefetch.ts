/**
 * How many jobs a worker should have in hand: as many as run, and as many as its handlers finish while a settlement
 * travels and new jobs come back. So quick handlers never wait for the hub, and slow ones keep no job from others.
 */

const MAX_CREDIT = 10_000
/** A settlement there, new jobs back. */
const TRAVELS = 2
const WEIGHT = 0.1
/** So long after a job that is to begin at once there are none in reserve. */
const PLAIN_MS = 60_000
/** The credit changes not more often than this, and not for less than a quarter. */
const TUNE_MS = 200
const TUNE_PART = 0.25

export class Prefetch {
  readonly #concurrency: number
  #handlerMs: number | undefined
  #travelMs: number | undefined
  #credit: number
  #tunedAt = 0
  #plainUntil = -Infinity

  constructor(concurrency: number) {
    this.#concurrency = Math.min(concurrency, MAX_CREDIT)
    this.#credit = this.#concurrency
  }

  ran(ms: number): void {
    this.#handlerMs = mean(this.#handlerMs, ms)
  }

  travelled(ms: number): void {
    this.#travelMs = mean(this.#travelMs, ms)
  }

  /** A job has come whose time runs from its delivery on: others like it should not lie here. */
  plain(): void {
    this.#plainUntil = performance.now() + PLAIN_MS
  }

  /** What the hub should be told. */
  get credit(): number {
    return this.#credit
  }

  /** The new credit, where the hub should be told of another. */
  tune(): number | undefined {
    const now = performance.now()
    const isPlain = now < this.#plainUntil
    if (!isPlain && now - this.#tunedAt < TUNE_MS) return undefined
    const wanted = isPlain ? this.#concurrency : this.#wanted()
    if (Math.abs(wanted - this.#credit) <= (isPlain ? 0 : this.#credit * TUNE_PART)) return undefined
    this.#tunedAt = now
    this.#credit = wanted
    return wanted
  }

  #wanted(): number {
    const concurrency = this.#concurrency
    if (this.#handlerMs === undefined || this.#travelMs === undefined) return concurrency
    const finished = (concurrency * TRAVELS * this.#travelMs) / Math.max(this.#handlerMs, 0.001)
    const reserve = Math.min(Math.floor(finished), 32 + 4 * concurrency)
    return Math.min(concurrency + reserve, MAX_CREDIT)
  }
}

function mean(before: number | undefined, ms: number): number {
  return before === undefined ? ms : before + (ms - before) * WEIGHT
}
