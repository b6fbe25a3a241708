/** How what was taken from a queue is carried to the other one, in the engine and in the model. */

import { expect } from 'vitest'
import type { Enqueue, Enqueued, Errand, Store } from '../../../../server/store/contract/store.ts'
import { otherThan } from '../../queueDrafts.ts'
import type { QueueModel } from '../queueModel.ts'
import type { QueueOperation } from '../queueOperations.ts'
import type { Mover, Taken } from './mover.ts'

/** Nothing would come, if it counted. */
const LIMIT = { jobs: 0, bytes: 0 }

interface Call {
  engine(): Promise<unknown>
  model(answer: unknown): void
}

/** Neighbours that are alike go in one call. */
export function carryStep(
  model: QueueModel,
  { queues }: Store,
  mover: Mover,
  { queue: to, count, again }: QueueOperation & { kind: 'carry' },
  how: Pick<Enqueue, 'grouped' | 'events'>,
) {
  const from = otherThan(to)
  const { row, taken } = mover.next(from, count, again)
  const calls = alike(taken).map((part): Call => {
    const ended = part.flatMap(({ errand }) => (errand.errand === 'ended' ? [errand] : []))
    if (ended.length > 0) {
      const told = ended.map(({ parent, child }) => ({ parent, child: { queue: from, ...child } }))
      return {
        engine: () => queues.tellParents(to, told),
        model: () => {
          for (const one of part) model.tellParent(from, one.model)
        },
      }
    }
    const children = part.map(({ number, errand: { parent } }) => ({ number, parent }))
    const given = { subject: subjectOf(part[0]?.errand), limit: LIMIT, ...how, carried: { queue: from, row, children } }
    const drafts = part.map(({ errand }) => draftOf(errand))
    const parents = part.map((one) => one.model.parent)
    return {
      engine: () => queues.enqueue(to, { ...given, drafts }),
      model: (answer) => {
        const { durability: _, childIds, ...theirs } = answer as Enqueued
        const own = { ...given, drafts: part.map((one) => draftOf(one.model)) }
        expect(theirs).toEqual(model.enqueue(to, own, theirs.ids, childIds, parents))
      },
    }
  })
  return {
    engine: () => Promise.all(calls.map(({ engine }) => engine())),
    model: (answer: unknown) => {
      for (const [i, call] of calls.entries()) call.model((answer as readonly unknown[])[i])
    },
  }
}

function alike(taken: readonly Taken[]): Taken[][] {
  const parts: Taken[][] = []
  for (const one of taken) {
    const part = parts.at(-1)
    const last = part?.at(-1)?.errand
    if (last?.errand === one.errand.errand && subjectOf(last) === subjectOf(one.errand)) part?.push(one)
    else parts.push([one])
  }
  return parts
}

function subjectOf(errand: Errand | undefined): string {
  return errand?.errand === 'child' ? errand.subject : ''
}

function draftOf(errand: { readonly errand: 'ended' } | Pick<Errand & { errand: 'child' }, 'errand' | 'draft'>) {
  if (errand.errand === 'ended' || errand.draft === undefined) throw new Error('a draft is carried')
  return errand.draft
}
