/** The indexes of a queue by kind, opened when they are asked for. What the pairs of each kind are stands here. */

import type { Changes } from '../../engine/changes.ts'
import type { Environment } from '../../engine/environment.ts'
import { digestKey } from '../../engine/keys.ts'
import type { Job } from './jobs.ts'
import { SortedIndex } from './sortedIndex.ts'

export const INDEXES = {
  /** (rank, number) of ready jobs that can be delivered. */
  ready: 1,
  /** (rank, number) of suspects that can be delivered. */
  suspects: 2,
  /** (sequence, number) of ready jobs that cannot. */
  blocked: 3,
  /** (due, number) of delayed jobs without a sequence. */
  scheduled: 4,
  /** (due, number) and (sequence, number) of delayed jobs with one. */
  retrying: 5,
  retryingBySequence: 6,
  /** (time, chunk): the first lease of each chunk to lapse. */
  held: 7,
  /** (time, chunk): the first waiting job of each chunk to expire; in the dead letters, the first that came. */
  expiries: 8,
  /** (time, chunk) of settled leases: the last of each chunk. */
  settled: 9,
  /** (sequence, number) of the jobs with a key. */
  line: 10,
  /** (number, 0) of what a consumer holds. */
  heldBy: 11,
  /** (sequence, number) of the ready jobs that stand in groups, and (rank, number) of those of one group. */
  grouped: 12,
  group: 13,
  /** (turn, group) of those that take turns; (time, group) of those that rest, and of those without jobs that are known. */
  turns: 14,
  resting: 15,
  remembered: 16,
  /** (until, number) of finished jobs by how they ended. */
  done: 17,
  removed: 18,
  /** (number, number) of the jobs that wait for their children. */
  waiting: 19,
} as const

export const RANKS = 2 ** 42

/** Higher priorities first, in each the lowest sequence. */
export function rank({ priority, sequence }: Pick<Job, 'priority' | 'sequence'>): number {
  return (9 - priority) * RANKS + sequence
}

/** Lines and consumers that stay in memory between commits. */
const KEPT = 1_000

export function setKey(queueNumber: number, kind: number, whose?: Buffer): Buffer {
  return digestKey(queueNumber, Buffer.of(kind), whose ?? Buffer.alloc(0))
}

export class Indexes {
  readonly #environment: Environment
  readonly #number: number
  readonly #single: (SortedIndex | undefined)[] = []
  readonly #many = new Map<string, SortedIndex>()
  readonly #queue: string
  readonly #isAnew: boolean

  /** `isAnew`: whatever is stored is being replaced. */
  constructor(environment: Environment, queueNumber: number, queue: string, isAnew: boolean) {
    this.#environment = environment
    this.#number = queueNumber
    this.#queue = queue
    this.#isAnew = isAnew
  }

  of(kind: number, whose?: Buffer): SortedIndex {
    if (whose === undefined) {
      const known = this.#single[kind]
      if (known !== undefined) return known
    }
    const name = whose === undefined ? '' : `${kind}${whose.toString('latin1')}`
    const known = this.#many.get(name)
    if (known !== undefined) return known
    const pairs = new SortedIndex(this.#environment, setKey(this.#number, kind, whose), this.#queue, this.#isAnew)
    if (whose === undefined) this.#single[kind] = pairs
    else this.#many.set(name, pairs)
    return pairs
  }

  /** Answers whether it let go of any. */
  flush(changes: Changes): boolean {
    for (const pairs of this.#single) if (pairs?.isChanged) pairs.flush(changes)
    for (const pairs of this.#many.values()) if (pairs.isChanged) pairs.flush(changes)
    if (this.#many.size <= KEPT) return false
    for (const name of this.#many.keys()) {
      this.#many.delete(name)
      if (this.#many.size <= KEPT / 2) break
    }
    return true
  }
}
