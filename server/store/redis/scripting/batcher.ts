/**
 * The order of what one node does to one topic or queue: what has piled up under its name goes as one call of the script.
 * Owns how much a call carries and how many are under way. What a call says, and what its answer means, is up to those
 * who extend it.
 */

import { WAIT_MS } from '../../contract/basics.ts'
import type { JobLoss } from '../../contract/store.ts'
import type { Damage } from '../../damage.ts'
import { storeClosed } from '../../refusals.ts'
import type { Argument, Command } from '../connection/connection.ts'
import { failure, isFull } from '../connection/errors.ts'
import type { Router } from '../connection/router.ts'
import type { Keys } from './keys.ts'
import { callScript, type QUEUE, type TOPIC } from './loader.ts'

export interface BatcherContext {
  readonly router: Router
  readonly keys: Keys
  /** A test's own clock. */
  readonly now: (() => number) | undefined
  /** A test's own, in place of the servers' runs. */
  readonly run: (() => string) | undefined
  readonly maxIds: number
  /** Replicas that a write waits for, and for how long. */
  readonly replicas: number
  readonly replicaWaitMs: number
  readonly damage: Damage
  readonly lost: (queue: string, loss: JobLoss) => void
  readonly committed: (ms: number) => void
  readonly warn: (message: string, cause?: unknown) => void
}

export interface Operation<T> {
  readonly args: readonly Argument[]
  readonly bytes: number
  /** How many things it does: drafts, settlements. */
  readonly size: number
  /** Throws what the operation is refused with. */
  read(outcome: readonly Buffer[]): T
}

export interface Done<T> {
  readonly value: T
  /** Replicas that have it, where they are waited for. */
  readonly replicas: number
}

/** A call that waits. `X`: what its operation has beside. */
export interface Waiting<X = unknown> {
  readonly operation: Operation<unknown> & X
  readonly deadline: number
  /** Not to be joined with others: together they were refused. */
  alone?: boolean
  resolve(done: Done<unknown>): void
  reject(error: unknown): void
}

export interface Bounds {
  /** What one call of the script may carry. */
  readonly operations: number
  readonly size: number
  readonly bytes: number
  /** Calls of one name that may be under way, once the last one was done wholly. */
  readonly underWay: number
}

interface Line<X> {
  waiting: Waiting<X>[]
  /** Calls without an answer. */
  underWay: number
  scheduled: boolean
  /** Resolves when the outcomes of all calls until now are told. */
  told: Promise<void>
  readonly flow: Flow
}

export interface Flow {
  /** The last answered call was done wholly, so that the next ones need not wait for each other. */
  isWhole: boolean
}

export abstract class Batcher<X = unknown> {
  protected readonly context: BatcherContext
  readonly #bounds: Bounds
  readonly #scripts: typeof TOPIC | typeof QUEUE
  readonly #lines = new Map<string, Line<X>>()
  #closed = false
  #idle: (() => void) | undefined

  constructor(context: BatcherContext, bounds: Bounds, scripts: typeof TOPIC | typeof QUEUE) {
    this.context = context
    this.#bounds = bounds
    this.#scripts = scripts
  }

  /** Does the calls; the result tells their outcomes. Never rejects. */
  protected abstract do(name: string, calls: readonly Waiting<X>[], flow: Flow): Promise<() => void>

  /** In which order those that wait are done. */
  protected order(waiting: Waiting<X>[]): Waiting<X>[] {
    return waiting
  }

  /** Begins when the calls that belong together have come. */
  protected abstract begin(start: () => void): void

  run<T>(name: string, operation: Operation<T> & X): Promise<Done<T>> {
    if (this.#closed) return Promise.reject(storeClosed())
    return new Promise<Done<T>>((resolve, reject) => {
      const deadline = performance.now() + WAIT_MS
      let line = this.#lines.get(name)
      if (line === undefined) {
        line = { waiting: [], underWay: 0, scheduled: false, told: Promise.resolve(), flow: { isWhole: false } }
        this.#lines.set(name, line)
      }
      line.waiting.push({ operation, deadline, resolve: (done) => resolve(done as Done<T>), reject })
      this.#schedule(name, line)
    })
  }

  /** Refuses what is new; resolves when what was accepted has its outcome. */
  async close(): Promise<void> {
    this.#closed = true
    if (this.#lines.size > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve
      })
    }
  }

  /** Calls the script of what writes; `full` where the server has no room, and was asked as if it had. */
  protected async write<Reply>(
    key: string,
    full: boolean,
    own: readonly string[],
    calls: readonly { readonly args: readonly Argument[] }[],
    deadline: number,
  ): Promise<'full' | { readonly reply: Reply; readonly replicas: number }> {
    const { router, now, maxIds, replicas: wanted, replicaWaitMs } = this.context
    const { write, writeWhenFull } = this.#scripts
    const args: Argument[] = [now === undefined ? '' : String(now()), full ? '1' : '0', String(maxIds), ...own]
    for (const call of calls) for (const arg of call.args) args.push(arg)
    const following: Command[] = wanted > 0 ? [['WAIT', String(wanted), String(replicaWaitMs)]] : []
    try {
      const answers = await callScript(router, full ? writeWhenFull : write, key, args, deadline, following)
      const [reply, replicas = 0] = answers as [Reply, number?]
      return { reply, replicas }
    } catch (error) {
      if (isFull(error) && !full) return 'full'
      throw error
    }
  }

  protected async command(key: string, command: string, ...args: readonly string[]): Promise<unknown> {
    return (await this.context.router.ask(key, [command, key, ...args]))[0]
  }

  #schedule(name: string, line: Line<X>): void {
    if (line.scheduled) return
    line.scheduled = true
    this.begin(() => {
      line.scheduled = false
      this.#send(name, line)
    })
  }

  #send(name: string, line: Line<X>): void {
    while (line.waiting.length > 0 && line.underWay < (line.flow.isWhole ? this.#bounds.underWay : 1)) {
      line.underWay += 1
      const began = performance.now()
      const doing = this.do(name, this.#next(line), line.flow)
      line.told = Promise.all([doing, line.told]).then(([tell]) => {
        line.underWay -= 1
        this.context.committed(performance.now() - began)
        // The next ones are under way before the outcomes are told.
        this.#send(name, line)
        tell()
        if (line.waiting.length === 0 && line.underWay === 0) this.#end(name, line)
      })
    }
  }

  #end(name: string, line: Line<X>): void {
    if (this.#lines.get(name) === line) this.#lines.delete(name)
    if (this.#lines.size === 0) this.#idle?.()
  }

  #next(line: Line<X>): Waiting<X>[] {
    const max = this.#bounds
    const waiting = this.order(line.waiting)
    let [count, size, bytes] = [0, 0, 0]
    for (const { operation } of waiting) {
      size += operation.size
      bytes += operation.bytes
      if (count > 0 && (count >= max.operations || size > max.size || bytes > max.bytes)) break
      count++
    }
    line.waiting = waiting.slice(count)
    return waiting.slice(0, count)
  }
}

/** Tells a call its outcome. */
export function tell(
  { operation, resolve, reject }: Waiting,
  outcome: readonly Buffer[] | undefined,
  replicas: number,
): void {
  try {
    resolve({ value: operation.read(outcome ?? []), replicas })
  } catch (error) {
    reject(failure(error))
  }
}
