/** What goes to the script of a queue: its name is in the list before it is made, and it is known when it has something to do. */

import { mended } from '../../damage.ts'
import { failure } from '../connection/errors.ts'
import { Batcher, type BatcherContext, type Flow, tell, type Waiting } from './batcher.ts'
import { QUEUE } from './loader.ts'
import { tellLosses } from './notifications.ts'
import { due } from './queueCodec.ts'

/**
 * Two calls of one queue may be under way, so that the server never waits for this node. It does them in their order;
 * where the first of two fails, what comes of the second is what would come of it alone.
 */
const BOUNDS = { operations: 512, size: 3_000, bytes: 512 * 1024, underWay: 2 }
/** A queue's next time is told again after this, should a node have died before it told. */
const TELL_MS = 5_000
/** Queues of which it is remembered when that was. */
const MAX_KNOWN = 10_000

type Reply = [Buffer, Buffer, Buffer, Buffer, Buffer[][], Buffer, Buffer[]]

export class QueueBatcher extends Batcher {
  /** When this node told last when a queue has something to do, by its own clock. */
  readonly #told = new Map<string, number>()

  constructor(context: BatcherContext) {
    super(context, BOUNDS, QUEUE)
  }

  /** Calls of one turn belong together, those that follow from the last answer among them. */
  protected override begin(start: () => void): void {
    setImmediate(start)
  }

  protected override async do(queue: string, calls: readonly Waiting[], flow: Flow): Promise<() => void> {
    const told: (() => void)[] = []
    let rest = calls
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
        // Another node may have dropped a queue of this name meanwhile, and taken the name away.
        if (mayBeBorn) await this.#keepName(queue)
        mayBeBorn = false
        if (stopped === 'again') await this.#forgetName(queue)
        const done = rest.slice(0, outcomes.length)
        told.push(() => {
          for (const [i, call] of done.entries()) tell(call, outcomes[i], replicas)
        })
        rest = rest.slice(outcomes.length)
        flow.isWhole = rest.length === 0
        if (stopped !== 'birth') continue
        // Names stand in the list before the queue is made, so that no crash hides one.
        await this.#name(queue)
        mayBeBorn = true
      }
    } catch (error) {
      const reason = failure(error)
      const failed = rest
      flow.isWhole = false
      told.push(() => {
        for (const { reject } of failed) reject(reason)
      })
    }
    return () => {
      for (const each of told) each()
    }
  }

  async #call(queue: string, rest: readonly Waiting[], full: boolean, mayBeBorn: boolean) {
    const { keys, damage, lost } = this.context
    const operations = rest.map(({ operation }) => operation)
    const own = [mayBeBorn ? '1' : '0']
    const answer = await this.write<Reply>(keys.queue(queue), full, own, operations, rest[0]?.deadline ?? 0)
    if (answer === 'full') return answer
    const { reply, replicas } = answer
    const [stopped, dueAt, isSooner, sweepAt] = reply.slice(0, 4).map(String) as [string, string, string, string]
    const found = String(reply[5])
    if (found !== '') damage.tell(mended(queue, Number(found)))
    tellLosses(queue, reply[6], lost)
    return { stopped, dueAt, isSooner: isSooner === '1', sweepAt, outcomes: reply[4], replicas }
  }

  #name(queue: string): Promise<unknown> {
    return this.command(this.context.keys.queues, 'ZADD', '0', queue)
  }

  async #keepName(queue: string): Promise<void> {
    try {
      await this.#name(queue)
    } catch (error) {
      this.context.warn(`the queue ${queue} may be missing in the list of queues`, failure(error))
    }
  }

  /** Of a queue that was dropped. What is left of it elsewhere goes when it is looked at. */
  async #forgetName(queue: string): Promise<void> {
    const { keys } = this.context
    try {
      await this.command(keys.queues, 'ZREM', queue)
      if ((await this.command(keys.queue(queue), 'EXISTS')) === 1) await this.#name(queue)
    } catch (error) {
      this.context.warn(`the dropped queue ${queue} may stay in the list of names`, failure(error))
    }
  }

  /** Others find what is due here, should this node die. */
  async #register(queue: string, dueAt: string, isSooner: boolean, sweepAt: string): Promise<void> {
    const { keys, warn } = this.context
    try {
      const time = performance.now()
      if (dueAt !== '' && (isSooner || time - (this.#told.get(queue) ?? Number.NEGATIVE_INFINITY) > TELL_MS)) {
        await this.command(keys.timers, 'ZADD', 'LT', dueAt, queue)
        this.#told.delete(queue)
        this.#told.set(queue, time)
        const [oldest] = this.#told.keys()
        if (this.#told.size > MAX_KNOWN && oldest !== undefined) this.#told.delete(oldest)
      }
      if (sweepAt !== '') await this.command(keys.queuesDue, 'ZADD', 'LT', sweepAt, queue)
    } catch (error) {
      warn(`what falls due in the queue ${queue} may be late`, failure(error))
    }
  }

  /**
   * Puts a queue where it belongs among those with something to do, and answers when that is. Asked again behind the
   * writing: what another node told meanwhile, and found an earlier time standing, is not overwritten.
   */
  async settleDue(queue: string): Promise<number> {
    const { timers } = this.context.keys
    for (;;) {
      const { value: dueAt } = await this.run(queue, due())
      if (dueAt === Number.POSITIVE_INFINITY) await this.command(timers, 'ZREM', queue)
      else await this.command(timers, 'ZADD', String(dueAt), queue)
      const { value: again } = await this.run(queue, due())
      if (again >= dueAt) return again
    }
  }
}
