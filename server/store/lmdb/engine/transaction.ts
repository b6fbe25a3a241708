/**
 * What the calls of one commit work on: records, topics, queues. Owns that each topic and queue is loaded once for all of
 * them, and that it hands over what became of it when all calls are planned.
 */

import type { QueueCache } from '../queues/storage/cache.ts'
import { baseOf, Queue } from '../queues/storage/queue.ts'
import type { QueueRecord } from '../queues/storage/records.ts'
import { TopicWork } from '../topics/topicState.ts'
import { Changes, type ChangesContext } from './changes.ts'
import type { Environment, Write } from './environment.ts'

export class Transaction extends Changes {
  readonly #topics = new Map<string, TopicWork>()
  readonly #queues = new Map<string, Queue>()
  /** Names of those that this commit drops. */
  readonly #dropped = new Set<string>()
  /** Those of the call at hand. */
  readonly #atWork = new Set<Queue>()
  readonly #cache: QueueCache

  constructor(environment: Environment, cache: QueueCache, given: ChangesContext) {
    super(environment, given)
    this.#cache = cache
  }

  /** Plans a call; the listeners of its queues hear of the work that it brought. */
  plan<T>(step: (transaction: Transaction) => T): { readonly value: T; readonly usedRoom: boolean } {
    this.usedRoom = false
    this.#atWork.clear()
    const value = step(this)
    for (const queue of this.#atWork) queue.tellWork()
    return { value, usedRoom: this.usedRoom }
  }

  topic(name: string): TopicWork {
    let topic = this.#topics.get(name)
    if (topic === undefined) {
      topic = new TopicWork(this, name)
      this.#topics.set(name, topic)
    }
    return topic
  }

  /** The queue of this name or of these dead letters; `undefined` for an unknown one. */
  queue(name: string): Queue | undefined {
    const base = baseOf(name)
    const queue = this.#queues.get(base) ?? (this.#dropped.has(base) ? undefined : this.#cache.take(this, base))
    return queue && this.#begin(queue)
  }

  /** The same, made where there is none. */
  queueMade(name: string): Queue {
    const known = this.queue(name)
    if (known !== undefined) return known
    this.needRoom('a new queue')
    return this.#begin(Queue.make(this, baseOf(name)))
  }

  /** It is unknown from now on; what is stored of it is removed in parts. */
  dropQueue(queue: Queue): void {
    this.#queues.delete(queue.name)
    this.#atWork.delete(queue)
    this.#dropped.add(queue.name)
    queue.drop(this)
  }

  /** The queue with indexes that are being made anew. */
  queueAnew(name: string, record: QueueRecord): Queue {
    return this.#begin(new Queue(this.environment, name, record, '', true))
  }

  #begin(queue: Queue): Queue {
    this.#queues.set(queue.name, queue)
    this.#atWork.add(queue)
    return queue
  }

  /** Called once, when all calls are planned. */
  override writes(): Write[] {
    for (const topic of this.#topics.values()) topic.complete()
    for (const queue of this.#queues.values()) queue.complete(this)
    return super.writes()
  }

  /** Called when all of it is durable; queues that were changed for a transaction that never is are read again. */
  keepQueues(): void {
    this.#cache.keep(this.#queues.values())
  }
}
