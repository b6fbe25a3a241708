/**
 * Queues that stay in memory from one commit to the next, as their own changes are the only ones. A transaction takes those
 * that it uses, and they come back when it is durable: what was changed for one that failed, or was planned anew, is gone.
 * Belongs to one opening of the environment.
 */

import { DamagedQueue } from '../../../damage.ts'
import type { Changes } from '../../engine/changes.ts'
import { nameKey } from '../../engine/keys.ts'
import { TABLES } from '../../engine/tables.ts'
import { fits } from './check.ts'
import { Queue } from './queue.ts'

/** Chunks of jobs that stay in memory for all queues together, and queues. */
const KEPT_CHUNKS = 1_024
const KEPT_QUEUES = 256

export class QueueCache {
  /** The one used last stands last, and is forgotten last. */
  readonly #queues = new Map<string, Queue>()
  readonly #checked = new Set<string>()

  /** `undefined` for an unknown queue. */
  take(changes: Changes, name: string): Queue | undefined {
    const kept = this.#queues.get(name)
    this.#queues.delete(name)
    if (kept !== undefined) return kept
    const { environment } = changes
    const record = environment.get(TABLES.queues, nameKey(name))
    if (record === undefined && changes.isDamaged(TABLES.queues, nameKey(name))) throw new DamagedQueue(name)
    if (record === undefined) return undefined
    const queue = new Queue(environment, name, record, JSON.stringify(record))
    if (!this.#checked.has(name)) {
      if (!fits(environment, queue.main) || !fits(environment, queue.dead)) throw new DamagedQueue(name)
      this.#checked.add(name)
    }
    return queue
  }

  keep(queues: Iterable<Queue>): void {
    for (const queue of queues) if (!queue.isAnew) this.#queues.set(queue.name, queue)
    let chunks = 0
    for (const { size } of this.#queues.values()) chunks += size
    for (const [name, { size }] of this.#queues) {
      if (chunks <= KEPT_CHUNKS && this.#queues.size <= KEPT_QUEUES) break
      chunks -= size
      this.#queues.delete(name)
    }
  }
}
