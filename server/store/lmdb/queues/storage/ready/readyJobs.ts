/** The ready jobs of a queue: where each stands until it is delivered, and how many of them there are. */

import type { Environment } from '../../../engine/environment.ts'
import { INDEXES, type Indexes, rank } from '../indexes.ts'
import type { Job } from '../jobs.ts'
import type { Counters } from '../records.ts'
import { Groups } from './groups.ts'

/** What decides where a ready job stands. */
type Standing = Pick<Job, 'n' | 'priority' | 'sequence' | 'blocked' | 'suspect'>

export class ReadyJobs {
  readonly groups: Groups
  readonly #counters: Counters
  readonly #indexes: Indexes
  readonly #isDead: boolean

  constructor(environment: Environment, counters: Counters, indexes: Indexes, isDead: boolean) {
    this.groups = new Groups(environment, counters, indexes)
    this.#counters = counters
    this.#indexes = indexes
    this.#isDead = isDead
  }

  /** Deliveries go in turns over groups. */
  get isGrouped(): boolean {
    return !this.#isDead && this.#counters.grouped === true
  }

  /** How many can be delivered now. */
  get waiting(): number {
    return this.#counters.open.reduce((sum, count) => sum + count, this.#counters.suspects) - this.groups.resting
  }

  /** How it stands in its group, if it does. */
  inGroup(job: Job): Standing | undefined {
    const stands = job.state === 'ready' && !job.blocked && !job.suspect && this.groups.has(job)
    return stands ? { ...job } : undefined
  }

  /** Adds a ready job, or with -1 takes it out. `kept`: its place in its group is left as it is. */
  put(job: Job, by: 1 | -1, kept = false): void {
    if (job.blocked) this.#index(INDEXES.blocked, job.sequence, job, by)
    else if (job.suspect) {
      this.#counters.suspects += by
      this.#index(INDEXES.suspects, rank(job), job, by)
    } else {
      const { open } = this.#counters
      open[job.priority] = (open[job.priority] ?? 0) + by
      if (!kept) this.#putOpen(job, by)
    }
  }

  #putOpen(job: Job, by: 1 | -1): void {
    if (by > 0 && this.isGrouped) this.groups.enter(job)
    else if (by < 0 && this.groups.has(job)) this.groups.leave(job)
    else this.#index(INDEXES.ready, rank(job), job, by)
  }

  #index(kind: number, a: number, { n }: Job, by: 1 | -1): void {
    this.#indexes.of(kind).put(a, n, by)
  }

  /** Some stand where they would not if they came now. */
  get isMixed(): boolean {
    return this.isGrouped ? this.#indexes.of(INDEXES.ready).first() !== undefined : this.groups.inGroups > 0
  }

  /** Brings at most so many of them to where they belong. */
  regroup(most: number, jobAt: (n: number) => Job): void {
    const { isGrouped } = this
    const from = this.#indexes.of(isGrouped ? INDEXES.ready : INDEXES.grouped)
    for (let done = 0, first = from.first(); done < most && first !== undefined; done++) {
      const job = jobAt(first.b)
      if (isGrouped) {
        from.remove(first.a, first.b)
        this.groups.enter(job)
      } else {
        this.groups.leave(job)
        this.#indexes.of(INDEXES.ready).add(rank(job), job.n)
      }
      first = from.first()
    }
  }
}
