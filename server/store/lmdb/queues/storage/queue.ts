/** A queue with its dead letters, inside commits. Owns its record, and what its listeners know of the work in it. */

import { randomBytes } from 'node:crypto'
import type { Changes } from '../../engine/changes.ts'
import type { Environment } from '../../engine/environment.ts'
import { storeRecord } from '../../engine/epochs.ts'
import { leaveGarbage } from '../../engine/garbage.ts'
import { dueKey, nameKey, numberKey } from '../../engine/keys.ts'
import { STORE_KEY, TABLES } from '../../engine/tables.ts'
import { Outbox } from '../life/outbox.ts'
import { FinishedJobs } from './finished.ts'
import { JobSet } from './jobSet.ts'
import { newCounters, type QueueRecord } from './records.ts'

const DEAD = '/dead'
const NOTHING = Number.POSITIVE_INFINITY

export function isDeadName(name: string): boolean {
  return name.endsWith(DEAD)
}

export function baseOf(name: string): string {
  return isDeadName(name) ? name.slice(0, -DEAD.length) : name
}

interface Work {
  readonly jobSet: JobSet
  /** From when on the listeners know that there is something to claim: 0 for now. */
  knownAt: number
  /** What they are to be told of that at the end of the commit. */
  tellAt: number
}

export class Queue {
  readonly name: string
  readonly record: QueueRecord
  readonly main: JobSet
  readonly dead: JobSet
  readonly life: Outbox
  /** Jobs that ended in this call, for its breaker. */
  readonly ended = { done: 0, dead: 0 }
  readonly finished: FinishedJobs
  /** Its indexes are being made anew: it is read again by the next transaction. */
  readonly isAnew: boolean
  readonly #work: readonly Work[]
  /** The record as it is stored. */
  #stored: string

  constructor(environment: Environment, name: string, record: QueueRecord, stored: string, isAnew = false) {
    this.name = name
    this.record = record
    this.main = new JobSet(environment, name, record.main, false, isAnew)
    this.dead = new JobSet(environment, `${name}${DEAD}`, record.dead, true, isAnew)
    this.finished = new FinishedJobs(environment, name, record.main, this.main.indexes)
    this.isAnew = isAnew
    this.life = new Outbox(record)
    this.#work = [this.main, this.dead].map((jobSet) => ({ jobSet, knownAt: workAtOf(jobSet), tellAt: NOTHING }))
    this.#stored = stored
  }

  /** One that is not stored yet. */
  static make(changes: Changes, name: string): Queue {
    const store = storeRecord(changes)
    const number = store.lastTopicNumber + 1
    changes.put(TABLES.store, STORE_KEY, { ...store, lastTopicNumber: number + 1 })
    const record = {
      main: newCounters(number),
      dead: newCounters(number + 1),
      secret: randomBytes(15).toString('hex'),
      deadMs: Number.MAX_SAFE_INTEGER,
      bindings: [],
    }
    return new Queue(changes.environment, name, record, '')
  }

  /** The queue itself or its dead letters. */
  jobSet(name: string): JobSet {
    return isDeadName(name) ? this.dead : this.main
  }

  /** Chunks of jobs that it has in memory. */
  get size(): number {
    return this.main.size + this.dead.size
  }

  /**
   * Called when a call is planned: the listeners are told where work comes earlier than they know, but not of what a later
   * call of the same commit has delivered.
   */
  tellWork(): void {
    for (const work of this.#work) {
      const at = workAtOf(work.jobSet)
      if (at < work.knownAt || work.tellAt < NOTHING) work.tellAt = at
      work.knownAt = at
    }
  }

  /** Removes what is found by its name, and leaves what is found by its numbers as garbage. */
  drop(changes: Changes): void {
    changes.remove(TABLES.queues, nameKey(this.name))
    for (const { jobSet } of this.#work) {
      const { number, turnAt } = jobSet.counters
      jobSet.consumers.clear(changes)
      if (turnAt > 0) changes.remove(TABLES.timers, dueKey(turnAt, 0, numberKey(number)))
      leaveGarbage(changes, number, { below: 0, dropped: true })
    }
    changes.notifyQueue(this.name, { kind: 'changed' })
  }

  /** Hands over what changed, once at the end of each transaction. */
  complete(changes: Changes): void {
    this.finished.flush(changes)
    this.life.complete(changes, this.name)
    for (const work of this.#work) {
      work.jobSet.complete(changes, this.record.deadMs)
      if (work.tellAt < NOTHING) {
        changes.notifyQueue(this.name, { kind: 'work', at: Math.max(work.tellAt, changes.now) })
      }
      work.tellAt = NOTHING
    }
    const text = JSON.stringify(this.record)
    if (text === this.#stored) return
    this.#stored = text
    changes.put(TABLES.queues, nameKey(this.name), this.record)
  }
}

function workAtOf(jobSet: JobSet): number {
  return jobSet.ready.waiting > 0 ? 0 : jobSet.nextDueAt
}
