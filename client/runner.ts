/**
 * Calls the handler: so many events at a time, failing ones again with growing waits. Tells how far everything is
 * handled without a hole. Which event comes next is not its affair.
 */

import type { Failure, Handler, Jitter, Received, SubscribeOptions } from './api.ts'
import { Calling } from './calling.ts'
import { fullJitter } from './connection/backoff.ts'
import { countOf, jitterOf } from './optionChecks.ts'
import { Tally } from './tally.ts'

export interface RunnerOwner<T> {
  /** All events up to this one are handled. */
  handled(last: Received<T>): void
  failed(failure: Failure<T>): void
  /** A place is free again. */
  free(): void
}

interface Run<T> {
  readonly event: Received<T>
  done: boolean
  attempts: number
}

export class Runner<T> {
  readonly #handler: Calling<Received<T>>
  readonly #concurrency: number
  readonly #maxAttempts: number
  readonly #onFailure: 'stop' | 'skip'
  readonly #retry: Required<Jitter>
  readonly #owner: RunnerOwner<T>
  /** Begun and not all handled, in order. */
  readonly #runs: Run<T>[] = []
  readonly #timers = new Set<ReturnType<typeof setTimeout>>()
  readonly #calls = new Tally()
  #stopped = false

  constructor(handler: Handler<T>, options: SubscribeOptions, owner: RunnerOwner<T>) {
    this.#handler = new Calling(handler)
    this.#concurrency = countOf('concurrency', options.concurrency, 1)
    this.#maxAttempts = countOf('maxAttempts', options.maxAttempts, 5)
    this.#onFailure = options.onFailure ?? 'stop'
    this.#retry = jitterOf('retry', options.retry, 100, 10_000)
    this.#owner = owner
  }

  get busy(): boolean {
    return this.#runs.length > 0
  }

  /** The last of those that the handler was given and has not handled. */
  get last(): Received<T> | undefined {
    return this.#runs.at(-1)?.event
  }

  /** Whether this is asked in a handler, before its first wait. */
  get calling(): boolean {
    return this.#handler.now
  }

  get full(): boolean {
    return this.#runs.length >= this.#concurrency
  }

  run(event: Received<T>): void {
    const run: Run<T> = { event, done: false, attempts: 0 }
    this.#runs.push(run)
    this.#call(run)
  }

  /** No more calls, no more attempts. Resolves when the running calls have returned. */
  stop(): Promise<void> {
    this.#stopped = true
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    return this.#calls.none()
  }

  #call(run: Run<T>): void {
    let result: unknown
    this.#calls.add()
    try {
      result = this.#handler.call(run.event)
    } catch (error) {
      this.#failed(run, error)
      return
    }
    // Awaiting what is no promise would cost a turn for every event.
    if (isPromiseLike(result)) {
      Promise.resolve(result).then(
        () => {
          this.#done(run)
          this.#owner.free()
        },
        (error: unknown) => this.#failed(run, error),
      )
    } else this.#done(run)
  }

  #done(run: Run<T>): void {
    run.done = true
    let last: Run<T> | undefined
    while (this.#runs[0]?.done) last = this.#runs.shift()
    if (last !== undefined) this.#owner.handled(last.event)
    this.#calls.remove()
  }

  #failed(run: Run<T>, error: unknown): void {
    run.attempts++
    const { event, attempts } = run
    const then = attempts < this.#maxAttempts ? 'retry' : this.#onFailure
    if (!this.#stopped) {
      if (then === 'retry') {
        const timer = setTimeout(
          () => {
            this.#timers.delete(timer)
            this.#call(run)
            this.#owner.free()
          },
          fullJitter(attempts - 1, this.#retry),
        )
        this.#timers.add(timer)
      }
      this.#owner.failed({ error, event, attempts, then })
    }
    // Nobody is told of it after a stop: it is not skipped, it comes again.
    if (then === 'skip' && !this.#stopped) {
      this.#done(run)
      this.#owner.free()
    } else this.#calls.remove()
  }
}

/** One whose `then` cannot be read counts: as a promise it rejects with what that throws. */
export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  try {
    return typeof (value as Partial<PromiseLike<unknown>> | null | undefined)?.then === 'function'
  } catch {
    return true
  }
}
