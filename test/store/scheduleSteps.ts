/** Schedules in the random tests of queues: what they are in the model, and how a drawn operation on one is done and compared. */

import fc from 'fast-check'
import { expect } from 'vitest'
import type { Enqueue, Enqueued, Store, StoredSchedule } from '../../server/store/contract/store.ts'
import { RepriseError } from '../../shared/errors.ts'
import { text } from './conformance/fixture.ts'

export interface DrawnSchedule {
  readonly action: 'put' | 'fire' | 'remove'
  readonly name: string
  /** When it is due next, from now; `undefined`: never again. */
  readonly inMs: number | undefined
  /** By somebody who has seen another version. */
  readonly stale: boolean
}

export const drawnSchedule: fc.Arbitrary<DrawnSchedule> = fc.record({
  action: fc.constantFrom('put', 'put', 'fire', 'fire', 'fire', 'remove'),
  name: fc.constantFrom('x', 'y', 'z'),
  inMs: fc.constantFrom(undefined, 0, 0, 1, 1_000, 5_000),
  stale: fc.constantFrom(false, false, false, false, true),
})

const MOST = 2

interface ModelSchedule {
  readonly spec: string
  readonly nextAt: number | undefined
}

/** By queue and name. */
export type ModelSchedules = Map<string, Map<string, ModelSchedule>>

interface SchedulingModel {
  readonly now: number
  readonly schedules: ModelSchedules
  know(queue: string): void
  enqueue(
    queue: string,
    enqueue: Enqueue,
    theirs: readonly string[],
    theirChildren?: readonly string[],
  ): { ids: string[]; duplicates: number }
}

let specs = 0

/** One at a time: what is there is looked at before. `enqueue`: what it adds where it fires. */
export function scheduleStep(
  model: SchedulingModel,
  store: Store,
  queue: string,
  { action, name, inMs, stale }: DrawnSchedule,
  enqueue: Enqueue,
) {
  const { queues } = store
  const nextAt = inMs === undefined ? undefined : model.now + inMs
  const next = nextAt === undefined ? {} : { nextAt }
  const spec = `${++specs}`
  const body = text(spec)
  const after = { spec, nextAt }
  const known = model.schedules.get(queue) ?? new Map<string, ModelSchedule>()
  const put = () => {
    if (stale || (!known.has(name) && known.size >= MOST)) refuse(stale ? 'conflict' : 'too_many')
    model.know(queue)
    model.schedules.set(queue, known.set(name, after))
  }
  const fire = (answer: unknown) => {
    const before = known.get(name)
    if (before === undefined || stale || before.nextAt === undefined || before.nextAt > model.now) refuse('conflict')
    const theirs = answer as Enqueued | undefined
    const { ids, duplicates } = model.enqueue(queue, enqueue, theirs?.ids ?? [], theirs?.childIds)
    expect([theirs?.ids, theirs?.duplicates]).toEqual([ids, duplicates])
    known.set(name, after)
  }
  return {
    engine: async (): Promise<unknown> => {
      const [stored] = await queues.schedules(queue, { names: [name] })
      const version = stale ? 'seen long ago' : stored?.version
      if (action === 'remove') return await queues.removeSchedule(queue, name)
      if (action === 'fire')
        return await queues.fireSchedule(queue, name, { version: version ?? '', spec, ...next, enqueue })
      return await queues.putSchedule(queue, name, { ...(version && { version }), spec, body, ...next, most: MOST })
    },
    model: async (answer: unknown) => {
      try {
        if (action === 'put') put()
        else if (action === 'fire') fire(answer)
        else expect(answer).toBe(known.delete(name))
      } finally {
        await compareSchedules(model, store, queue)
      }
    },
  }
}

function refuse(code: 'conflict' | 'too_many'): never {
  throw new RepriseError(code, 'refused')
}

async function compareSchedules({ schedules, now }: SchedulingModel, { queues }: Store, queue: string): Promise<void> {
  const told = ({ name, spec, nextAt }: StoredSchedule) => [name, spec, nextAt]
  const expected = [...(schedules.get(queue) ?? [])].map(([name, { spec, nextAt }]) => [name, spec, nextAt])
  expect((await queues.schedules(queue, { limit: 9 })).map(told)).toEqual(expected.sort())
  const all = [...schedules].flatMap(([of, each]) =>
    [...each].map(([name, one]) => ({ name: `${of}/${name}`, ...one })),
  )
  const isDue = (nextAt: number | undefined) => nextAt !== undefined && nextAt <= now
  const times = [...schedules.values()].flatMap((each) => {
    const ofQueue = [...each.values()].map(({ nextAt }) => nextAt)
    return ofQueue.some(isDue) ? [] : ofQueue.filter((nextAt) => nextAt !== undefined)
  })
  const { due, nextAt = Number.POSITIVE_INFINITY } = await queues.dueSchedules(99, new Set())
  expect(due.map(({ queue, schedule }) => `${queue}/${schedule.name}`).sort()).toEqual(
    all.flatMap(({ name, nextAt }) => (isDue(nextAt) ? [name] : [])).sort(),
  )
  // Too early it may be, and too late never.
  expect(nextAt).toBeLessThanOrEqual(Math.min(Number.POSITIVE_INFINITY, ...times))
}
