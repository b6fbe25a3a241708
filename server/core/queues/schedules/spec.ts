/** What is kept of a schedule beside what its jobs hold, and what becomes of it when it is due. Pure. */

import type { Missed, ScheduleSpec } from '../../../../shared/queues.ts'
import type { StoredSchedule } from '../../../store/contract/store.ts'
import { type AnchoredTiming, dueUntil, nextDue } from './dueTimes.ts'

/** As JSON in the store; later versions may add to it. */
export interface KeptSpec {
  readonly timing: AnchoredTiming
  readonly missed: Missed
  readonly limit?: number
  /** Whose jobs they are. */
  readonly subject: string
  /** The draft without what its body has. */
  readonly options: Omit<ScheduleSpec['draft'], 'data' | 'headers'>
  /** Due times that had a job. */
  readonly fired: number
  /** Due times that had none. */
  readonly missedCount: number
  /** The last due time that had a job. */
  readonly lastAt?: number
}

export function readSpec({ spec }: Pick<StoredSchedule, 'spec'>): KeptSpec {
  return JSON.parse(spec) as KeptSpec
}

export function writeSpec(spec: KeptSpec): string {
  return JSON.stringify(spec)
}

/** A due time is missed when it is over for so long and nobody was there to see it. */
export const LATE_MS = 5_000

export interface Firing {
  /** A job for each of them. */
  readonly times: readonly number[]
  /** Due times that have none. */
  readonly missed: number
  /** As it is afterwards. */
  readonly spec: KeptSpec
  readonly nextAt?: number
}

/** What happens to a schedule that is due since `nextAt`. `most`: jobs at a time. */
export function fire(spec: KeptSpec, nextAt: number, now: number, most: number): Firing {
  const { timing, limit = Number.POSITIVE_INFINITY } = spec
  const due = dueUntil(timing, nextAt, now)
  const last = due.times.at(-1) ?? nextAt
  let [times, missed, following] = [due.times, due.before, nextDue(timing, last)]
  if (spec.missed === 'all') {
    times = due.times.slice(0, most)
    following = due.times[most] ?? following
  } else {
    const isLate = spec.missed === 'none' && now - last > LATE_MS
    missed += due.times.length - (isLate ? 0 : 1)
    times = isLate ? [] : [last]
  }
  const left = Math.max(0, limit - spec.fired)
  times = times.slice(0, left)
  const fired = spec.fired + times.length
  const lastAt = times.at(-1) ?? spec.lastAt
  const after = { ...spec, fired, missedCount: spec.missedCount + missed, ...(lastAt === undefined ? {} : { lastAt }) }
  return {
    times,
    missed,
    spec: after,
    ...(following === undefined || fired >= limit ? {} : { nextAt: following }),
  }
}
