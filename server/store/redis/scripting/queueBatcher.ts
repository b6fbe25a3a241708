/**
 * The order of what one node does to one queue: what has piled up goes as one call of the script. Owns that a queue's name
 * is in the list before it is made, and that it is known when it has something to do.
 */

import { mended } from '../../damage.ts'
import type { Argument, Command } from '../connection/connection.ts'
import { closed, failure, isFull } from '../connection/errors.ts'
import { WAIT_MS } from '../connection/router.ts'
import { callLibrary, QUEUE_CALLS } from './libraries.ts'
import { due, type QueueOperation } from './queueCodec.ts'
import { tellLosses } from './queueNotifications.ts'
import type { Done, LaneContext } from './topicBatcher.ts'

/** What one call of the script may carry. */
const MAX_OPERATIONS = 512
const MAX_SIZE = 3_000
const MAX_BYTES = 512 * 1024
/**
 * Calls of one queue that may be under way, so that the server never waits for this node. It does them in their order;
 * where the first of two fails, what comes of the second is what would come of it alone.
 */
const UNDER_WAY = 2
/** A queue's next time is told again after this, should a node have died before it told. */
const TELL_MS = 5_000
/** Queues of which it is remembered when that was. */
const MAX_KNOWN = 10_000

interface Waiting {
  readonly operation: QueueOperation<unknown>
  readonly deadline: number
  resolve(done: Done<unknown>): void
  reject(error: unknown): void
}

interface Batch {
  queue: Waiting[]
  /** Calls without an answer. */
  underWay: number
  /** The last answered call was done wholly, so that the next ones need not wait for each other. */
  flows: boolean
  scheduled: boolean
  /** Resolves when the outcomes of all calls until now are told. */
  told: Promise<void>
}

export class QueueBatcher {
  readonly #context: LaneContext
  readonly #batcher = new Map<string, Batch>()
  /** When this node told last when a queue has something to do, by its own clock. */
  readonly #told = new Map<string, number>()
  #closed = false
  #idle: (() => void) | undefined

  constructor(context: LaneContext) {
    this.#context = context
  }

  run<T>(queue: string, operation: QueueOperation<T>): Promise<Done<T>> {
    if (this.#closed) return Promise.reject(closed())
    return new Promise<Done<T>>((resolve, reject) => {
      const deadline = performance.now() + WAIT_MS
      let lane = this.#batcher.get(queue)
      if (lane === undefined) {
        lane = { queue: [], underWay: 0, flows: false, scheduled: false, told: Promise.resolve() }
        this.#batcher.set(queue, lane)
      }
      lane.queue.push({ operation, deadline, resolve: (done) => resolve(done as Done<T>), reject })
      this.#schedule(queue, lane)
    })
  }

  /** Refuses what is new; resolves when what was accepted has its outcome. */
  async close(): Promise<void> {
    this.#closed = true
    if (this.#batcher.size > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve
      })
    }
  }

  /** Calls of one turn belong together, those that follow from the last answer among them. */
  #schedule(queue: string, lane: Batch): void {
    if (lane.scheduled) return
    lane.scheduled = true
    setImmediate(() => {
      lane.scheduled = false
      this.#send(queue, lane)
    })
  }

  #send(queue: string, lane: Batch): void {
    while (lane.queue.length > 0 && lane.underWay < (lane.flows ? UNDER_WAY : 1)) {
      lane.underWay += 1
      const doing = this.#do(queue, lane, nextBatch(lane))
      lane.told = Promise.all([doing, lane.told]).then(([tell]) => {
        lane.underWay -= 1
        // The next ones are under way before the outcomes are told.
        this.#send(queue, lane)
        tell()
        if (lane.queue.length === 0 && lane.underWay === 0) this.#end(queue, lane)
      })
    }
  }

  #end(queue: string, lane: Batch): void {
    if (this.#batcher.get(queue) === lane) this.#batcher.delete(queue)
    if (this.#batcher.size === 0) this.#idle?.()
  }

  /** The result tells the outcomes. */
  async #do(queue: string, lane: Batch, batch: readonly Waiting[]): Promise<() => void> {
    const told: (() => void)[] = []
    let rest = batch
    try {
      let full = false
      let mayBeBorn = false
      while (rest.length > 0) {
        const answer = await this.#call(queue, rest, full, mayBeBorn)
        if (answer === 'full') {
          full = true
          continue
        }
        const { stopped, dueAt, isSooner, sweepAt, outcomes, replicas } = answer
        await this.#register(queue, dueAt, isSooner, sweepAt)
        const done = rest.slice(0, outcomes.length)
        told.push(() => tellAll(done, outcomes, replicas))
        rest = rest.slice(outcomes.length)
        lane.flows = rest.length === 0
        if (stopped !== 'birth') continue
        // Names stand in the list before the queue is made, so that no crash hides one.
        await this.#global(this.#context.keys.queues, 'ZADD', '0', queue)
        mayBeBorn = true
      }
    } catch (error) {
      const reason = failure(error)
      const failed = rest
      lane.flows = false
      told.push(() => {
        for (const { reject } of failed) reject(reason)
      })
    }
    return () => {
      for (const tell of told) tell()
    }
  }

  async #call(queue: string, rest: readonly Waiting[], full: boolean, mayBeBorn: boolean) {
    const { router, keys, now, maxIds, replicas: wanted, replicaWaitMs } = this.#context
    const args: Argument[] = [now === undefined ? '' : String(now()), full ? '1' : '0', mayBeBorn ? '1' : '0']
    args.push(String(maxIds))
    for (const { operation } of rest) for (const arg of operation.args) args.push(arg)
    const following: Command[] = wanted > 0 ? [['WAIT', String(wanted), String(replicaWaitMs)]] : []
    const script = full ? QUEUE_CALLS.writeWhenFull : QUEUE_CALLS.write
    let answers: unknown[]
    try {
      answers = await callLibrary(router, script, keys.queue(queue), args, rest[0]?.deadline ?? 0, following)
    } catch (error) {
      if (isFull(error) && !full) return 'full'
      throw error
    }
    const [reply, replicas = 0] = answers as [[Buffer, Buffer, Buffer, Buffer, Buffer[][], Buffer, Buffer[]], number?]
    const [stopped, dueAt, isSooner, sweepAt] = reply.slice(0, 4).map(String) as [string, string, string, string]
    const lost = String(reply[5] ?? '')
    if (lost !== '') this.#context.damage.tell(mended(queue, Number(lost)))
    tellLosses(queue, reply[6], this.#context.lost)
    return { stopped, dueAt, isSooner: isSooner === '1', sweepAt, outcomes: reply[4], replicas }
  }

  async #global(key: string, command: string, ...args: readonly string[]): Promise<unknown> {
    const { router } = this.#context
    return (await router.run(key, [[command, key, ...args]], performance.now() + WAIT_MS))[0]
  }

  /** Others find what is due here, should this node die. */
  async #register(queue: string, dueAt: string, isSooner: boolean, sweepAt: string): Promise<void> {
    const { keys, warn } = this.#context
    try {
      const time = performance.now()
      if (dueAt !== '' && (isSooner || time - (this.#told.get(queue) ?? Number.NEGATIVE_INFINITY) > TELL_MS)) {
        await this.#global(keys.turns, 'ZADD', 'LT', dueAt, queue)
        this.#told.delete(queue)
        this.#told.set(queue, time)
        const [oldest] = this.#told.keys()
        if (this.#told.size > MAX_KNOWN && oldest !== undefined) this.#told.delete(oldest)
      }
      if (sweepAt !== '') await this.#global(keys.queuesDue, 'ZADD', 'LT', sweepAt, queue)
    } catch (error) {
      warn(`what falls due in the queue ${queue} may be late`, failure(error))
    }
  }

  /**
   * Puts a queue where it belongs among those with something to do, and answers when that is. Asked again behind the
   * writing: what another node told meanwhile, and found an earlier time standing, is not overwritten.
   */
  async settleDue(queue: string): Promise<number> {
    const { turns } = this.#context.keys
    for (;;) {
      const { value: dueAt } = await this.run(queue, due())
      if (dueAt === Number.POSITIVE_INFINITY) await this.#global(turns, 'ZREM', queue)
      else await this.#global(turns, 'ZADD', String(dueAt), queue)
      const { value: again } = await this.run(queue, due())
      if (again >= dueAt) return again
    }
  }
}

function tellAll(done: readonly Waiting[], outcomes: readonly Buffer[][], replicas: number): void {
  done.forEach(({ operation, resolve, reject }, i) => {
    try {
      resolve({ value: operation.read(outcomes[i] ?? []), replicas })
    } catch (error) {
      reject(failure(error))
    }
  })
}

function nextBatch(lane: Batch): Waiting[] {
  let bytes = 0
  let size = 0
  let count = 0
  for (const { operation } of lane.queue) {
    bytes += operation.bytes
    size += operation.size
    if (count > 0 && (count >= MAX_OPERATIONS || size > MAX_SIZE || bytes > MAX_BYTES)) break
    count++
  }
  const batch = lane.queue.slice(0, count)
  lane.queue = lane.queue.slice(count)
  return batch
}
