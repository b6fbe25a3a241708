/**
 * The groups of a queue's jobs that can be delivered: whose turn is next, and which rest. Owns that the turns fit the jobs
 * that stand in groups; when a group has had its turn, and how long it rests, is its caller's to say.
 *
 * A group is known by a number made of its name. Two that share one take their turns as one.
 */

import type { Changes } from '../../../engine/changes.ts'
import type { Environment } from '../../../engine/environment.ts'
import { countKey, digest, numberKey } from '../../../engine/keys.ts'
import { TABLES } from '../../../engine/tables.ts'
import { INDEXES, type Indexes, rank } from '../indexes.ts'
import type { Job } from '../jobs.ts'
import type { Counters, GroupRecord } from '../records.ts'
import type { SortedIndex } from '../sortedIndex.ts'

const ID_BYTES = 6
/** Records that stay in memory between commits. */
const KEPT = 1_000

interface Place {
  readonly kind: number
  readonly a: number
}

export class Groups {
  readonly #environment: Environment
  readonly #counters: Counters
  readonly #indexes: Indexes
  readonly #known = new Map<number, GroupRecord>()
  readonly #changed = new Set<number>()
  readonly #forgotten = new Set<number>()

  constructor(environment: Environment, counters: Counters, indexes: Indexes) {
    this.#environment = environment
    this.#counters = counters
    this.#indexes = indexes
  }

  of(id: number): GroupRecord {
    let group = this.#known.get(id)
    if (group === undefined) {
      const key = countKey(numberKey(this.#counters.number), id)
      const stored = this.#forgotten.has(id) ? undefined : this.#environment.get(TABLES.groups, key)
      group = stored ?? { count: 0, turn: 0, until: 0, rateAt: 0, taken: 0 }
      this.#known.set(id, group)
    }
    return group
  }

  /** The jobs of a group, by rank. */
  jobs(id: number): SortedIndex {
    const whose = Buffer.allocUnsafe(ID_BYTES)
    whose.writeUIntBE(id, 0, ID_BYTES)
    return this.#indexes.of(INDEXES.group, whose)
  }

  has({ sequence, n }: Job): boolean {
    return this.inGroups > 0 && this.#indexes.of(INDEXES.grouped).has(sequence, n)
  }

  /** How many jobs stand in groups. */
  get inGroups(): number {
    return this.#counters.inGroups ?? 0
  }

  /** How many of them cannot be delivered now, as their groups rest. */
  get resting(): number {
    return this.#counters.resting ?? 0
  }

  /** When the next group has rested enough; `Infinity` where none rests. */
  get restsUntil(): number {
    return this.#indexes.of(INDEXES.resting).lowest
  }

  /** When something is to be done with groups. */
  get nextAt(): number {
    return Math.min(this.restsUntil, this.#indexes.of(INDEXES.remembered).lowest)
  }

  enter(job: Job): void {
    const id = groupOf(job)
    this.jobs(id).add(rank(job), job.n)
    this.#indexes.of(INDEXES.grouped).add(job.sequence, job.n)
    this.#counters.inGroups = this.inGroups + 1
    this.change(id, (group) => {
      group.count++
    })
  }

  /** `as`: how the job stood when it entered. */
  leave(job: Job, as: Pick<Job, 'priority' | 'sequence'> = job): void {
    const id = groupOf(job)
    this.jobs(id).remove(rank(as), job.n)
    this.#indexes.of(INDEXES.grouped).remove(as.sequence, job.n)
    this.#counters.inGroups = this.inGroups - 1
    this.change(id, (group) => {
      group.count--
    })
  }

  /** A group without a turn that has jobs and does not rest gets the last one; one of which nothing is to be known goes. */
  change(id: number, change: (group: GroupRecord) => void): void {
    const group = this.of(id)
    const before = placeOf(group)
    const restedBefore = restingIn(group)
    change(group)
    if (group.count === 0 || group.until > 0) group.turn = 0
    else if (group.turn === 0) {
      this.#counters.lastTurn = (this.#counters.lastTurn ?? 0) + 1
      group.turn = this.#counters.lastTurn
    }
    this.#counters.resting = this.resting + restingIn(group) - restedBefore
    const after = placeOf(group)
    if (before?.kind !== after?.kind || before?.a !== after?.a) {
      if (before !== undefined) this.#indexes.of(before.kind).remove(before.a, id)
      if (after !== undefined) this.#indexes.of(after.kind).add(after.a, id)
    }
    if (after !== undefined) {
      this.#forgotten.delete(id)
      this.#changed.add(id)
      return
    }
    this.#known.delete(id)
    this.#changed.delete(id)
    this.#forgotten.add(id)
  }

  /** Ends what is over: groups have rested, and the rates of those without jobs need not be known. Answers how many. */
  wake(now: number, most: number): number {
    let done = 0
    const resting = this.#indexes.of(INDEXES.resting)
    for (let first = resting.first(); done < most && first !== undefined && first.a <= now; first = resting.first()) {
      this.change(first.b, (group) => {
        group.until = 0
      })
      done++
    }
    const remembered = this.#indexes.of(INDEXES.remembered)
    for (let first = remembered.first(); done < most && first !== undefined && first.a <= now; done++) {
      this.change(first.b, (group) => {
        group.until = 0
        group.rateAt = 0
      })
      first = remembered.first()
    }
    return done
  }

  /** Lets no group rest longer than a rate asks for that is higher than it was. */
  wakeBeyond(latest: number, most: number): void {
    for (const kind of [INDEXES.resting, INDEXES.remembered]) {
      const index = this.#indexes.of(kind)
      const from = Math.ceil(latest) + 1
      for (let done = 0, late = index.from(from, 0); done < most && late !== undefined; done++) {
        this.change(late.b, (group) => {
          group.until = 0
          group.rateAt = Math.min(group.rateAt, latest)
        })
        late = index.from(from, 0)
      }
    }
  }

  flush(changes: Changes): void {
    const prefix = numberKey(this.#counters.number)
    for (const id of this.#changed) changes.put(TABLES.groups, countKey(prefix, id), { ...this.of(id) })
    for (const id of this.#forgotten) changes.remove(TABLES.groups, countKey(prefix, id))
    this.#changed.clear()
    this.#forgotten.clear()
    if (this.#known.size > KEPT) this.#known.clear()
  }
}

/** The number of a job's group. */
export function groupOf({ group, key }: Pick<Job, 'group' | 'key'>): number {
  return digest(group ?? key ?? '').readUIntBE(0, ID_BYTES)
}

function placeOf({ count, turn, until, rateAt }: GroupRecord): Place | undefined {
  if (count > 0) return until > 0 ? { kind: INDEXES.resting, a: until } : { kind: INDEXES.turns, a: turn }
  const a = Math.max(until, Math.ceil(rateAt))
  return a > 0 ? { kind: INDEXES.remembered, a } : undefined
}

function restingIn({ count, until }: GroupRecord): number {
  return until > 0 ? count : 0
}
