/** What the model keeps of finished jobs. Which of those of one time go first is the engine's: it takes that over. */

import { expect } from 'vitest'
import type { Body, FinishedJob, FinishedState, Keeping } from '../../../server/store/contract/store.ts'
import type { Half, ModelJob } from './queueModelJobs.ts'

interface Kept {
  readonly job: FinishedJob
  readonly until: number
}

export class ModelFinished {
  #kept = new Map<string, Kept>()
  /** What went since it was compared last: the engine may have let another one of the same time go. */
  readonly #gone = new Map<string, Kept>()
  /** How many there are since then depends on that, too. */
  #isOpen = false

  end(half: Half, job: ModelJob, state: FinishedState, keep: Keeping | undefined, now: number, result?: Body): void {
    const { keepMs = keep?.ageMs } = job.policy ?? {}
    if (keep === undefined || keepMs === 0) return
    const { id, subject, key, priority, attempts, deliveries, sentAt, history, dead } = job
    const startedAt = half.isDead || job.state === 'held' ? job.startedAt : undefined
    const error = dead === undefined || state === 'done' ? undefined : dead.error || dead.reason
    const told = {
      ...{ id, state, subject, priority, attempts, deliveries, sentAt, endedAt: now, history },
      ...(key !== undefined && { key }),
      ...(startedAt !== undefined && { startedAt }),
      ...(result !== undefined && { result }),
      ...(error !== undefined && { error }),
      ...job.told,
    }
    this.#kept.set(id, { job: told, until: now + (keepMs ?? 0) })
  }

  trim({ count }: Keeping): void {
    for (const state of ['done', 'removed'] as const) {
      const all = [...this.#kept.values()].filter(({ job }) => job.state === state).sort((a, b) => a.until - b.until)
      for (const one of all.slice(0, Math.max(0, all.length - count))) {
        this.#kept.delete(one.job.id)
        this.#gone.set(one.job.id, one)
      }
    }
  }

  /** Another job has the id. */
  replaced(id: string): void {
    const one = this.#kept.get(id) ?? this.#gone.get(id)
    // Where one of the same time went, it may be this one that the engine had let go, and the other that it has.
    const isOpen = (other: Kept): boolean => other.until === one?.until && other.job.state === one.job.state
    if ([...this.#gone.values()].some(isOpen)) this.#isOpen = true
    this.#kept.delete(id)
    this.#gone.delete(id)
  }

  /** Those that the engine has, by how they ended. */
  compare(theirs: Readonly<Record<FinishedState, readonly FinishedJob[]>>, now: number): void {
    const mine = [...this.#kept.values()].filter(({ until }) => until > now)
    const next = new Map<string, Kept>()
    for (const state of ['done', 'removed'] as const) {
      const known = theirs[state].map(({ id }) => this.#kept.get(id) ?? this.#gone.get(id))
      expect(theirs[state]).toEqual(known.map((one) => one?.job))
      const expected = mine.filter(({ job }) => job.state === state).map(({ until }) => until)
      if (!this.#isOpen) {
        const shown = JSON.stringify([
          theirs[state].map(({ id, endedAt }) => [id, endedAt]),
          mine.map(({ job }) => [job.id, job.endedAt, job.state]),
        ])
        expect(
          known.map((one) => one?.until),
          shown,
        ).toEqual(expected.sort((a, b) => b - a))
      }
      for (const one of known) if (one !== undefined) next.set(one.job.id, one)
    }
    this.#kept = next
    this.#gone.clear()
    this.#isOpen = false
  }
}
