/**
 * The groups of the model: which jobs stand in one, whose turn is next, which rest. What an engine does in an order of its
 * own (what its timers bring at one time) gets the same turn here, and the engine's choice among those counts.
 */

import type { Claim } from '../../../server/store/contract/store.ts'
import { groupName, type Half, type ModelGroup, type ModelJob, openOf, Rate } from './queueModelJobs.ts'

/** Called after each step that may have changed which jobs can be delivered. */
export function stand(half: Half): void {
  if (half.isDead) return
  const open = openOf(half).filter(({ suspect }) => !suspect)
  for (const [job, { place }] of half.stands) {
    if (!open.includes(job) || place !== job.place) half.stands.delete(job)
  }
  leaveEmpty(half)
  for (const job of open.sort((a, b) => a.place - b.place)) {
    if (half.stands.has(job)) continue
    half.stands.set(job, { place: job.place, inGroup: half.grouped })
    if (half.grouped) giveTurn(half, groupName(job))
  }
}

function giveTurn(half: Half, name: string): void {
  const group = groupOf(half, name)
  if (group.turn === 0 && group.until === 0) group.turn = half.tie ?? ++half.lastTurn
}

function groupOf(half: Half, name: string): ModelGroup {
  const known = half.groups.get(name) ?? { turn: 0, until: 0, rateAt: 0, taken: 0 }
  half.groups.set(name, known)
  return known
}

export function jobsOf(half: Half, name: string): ModelJob[] {
  return [...half.stands].flatMap(([job, { inGroup }]) => (inGroup && groupName(job) === name ? [job] : []))
}

function leaveEmpty(half: Half): void {
  for (const [name, group] of half.groups) {
    if (jobsOf(half, name).length > 0) continue
    group.turn = 0
    if (group.until === 0 && group.rateAt === 0) half.groups.delete(name)
  }
}

/** What a call makes due at that moment, a retry after 0 ms, may have its turn at the end of the call. */
export function tieTurns(half: Half): void {
  half.tie = ++half.lastTurn
}

/** The first of all timers: what stands elsewhere takes over the order, and rests that are over end. */
export function beginTurns(half: Half, now: number): void {
  half.tie = ++half.lastTurn
  stand(half)
  for (const [job, standing] of half.stands) {
    if (standing.inGroup === half.grouped) continue
    standing.inGroup = half.grouped
    if (half.grouped) giveTurn(half, groupName(job))
  }
  leaveEmpty(half)
  for (const [name, group] of half.groups) {
    const isEmpty = jobsOf(half, name).length === 0
    if (Math.max(group.until, isEmpty ? Math.ceil(group.rateAt) : 0) > now) continue
    group.until = 0
    if (isEmpty) half.groups.delete(name)
    else giveTurn(half, name)
  }
}

/** Before a claim: no group rests longer than the rate asks for. */
export function wakeBeyond(half: Half, { groupRate }: Claim, now: number): void {
  if (!half.grouped) return
  half.tie = ++half.lastTurn
  const { latest } = new Rate({ rateAt: 0 }, groupRate, now)
  for (const [name, group] of half.groups) {
    const hasJobs = jobsOf(half, name).length > 0
    if (Math.max(group.until, hasJobs ? 0 : Math.ceil(group.rateAt)) <= Math.ceil(latest)) continue
    group.until = 0
    group.rateAt = Math.min(group.rateAt, latest)
    if (hasJobs) giveTurn(half, name)
  }
  half.tie = undefined
}

/** What the turns would give next: one job for each group that has the first turn. */
export function firstInTurns(half: Half, { groupRate }: Claim, now: number): ModelJob[] {
  for (;;) {
    const inTurn = [...half.groups].filter(([, { turn }]) => turn > 0)
    const first = Math.min(...inTurn.map(([, { turn }]) => turn))
    const firsts = inTurn.filter(([, { turn }]) => turn === first)
    const able = firsts.filter(([, group]) => {
      const rate = new Rate(group, groupRate, now)
      if (rate.left > 0) return true
      group.until = rate.nextAt
      group.turn = 0
      return false
    })
    if (firsts.length > 0 && able.length === 0) continue
    return able.flatMap(([name, { taken }]) => {
      const isOldest = (taken + 1) % 10 === 0
      const jobs = jobsOf(half, name)
      return jobs.sort((a, b) => (isOldest ? 0 : b.priority - a.priority) || a.place - b.place).slice(0, 1)
    })
  }
}

/** Its group has had its turn; the job stands in it no more. */
export function delivered(half: Half, job: ModelJob, { groupRate }: Claim, now: number): void {
  if (!half.grouped) return
  const name = groupName(job)
  const group = groupOf(half, name)
  const rate = new Rate(group, groupRate, now)
  rate.take()
  group.taken++
  group.turn = 0
  group.until = rate.left > 0 ? 0 : rate.nextAt
  if (groupRate === undefined) group.rateAt = 0
  half.stands.delete(job)
  if (jobsOf(half, name).length > 0) giveTurn(half, name)
  leaveEmpty(half)
}

/** Jobs that cannot be delivered as their groups rest. */
export function restingIn(half: Half): ModelJob[] {
  return [...half.groups].flatMap(([name, { until }]) => (until > 0 ? jobsOf(half, name) : []))
}
