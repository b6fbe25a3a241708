/** How a node asks for what is to be moved of a queue's life, and tells what it has carried. */

import { encodeBody } from '../../codec.ts'
import type { EndedChild, LifeStep, StoredLife } from '../../contract/store.ts'
import { firstOf, unpackLife } from '../../life/life.ts'
import { unguessable } from '../../token.ts'
import type { Operation } from './batcher.ts'
import { numberAt, numberText, operation, textAt } from './codec.ts'

const NOTHING = Buffer.alloc(0)
const ENDS = { open: 0, done: 1, dead: 2, removed: 3 } as const

export function lifeStep({
  generation = '',
  moved = 0,
  carried = 0,
  isUnknown,
  limit,
}: LifeStep): Operation<StoredLife | undefined> {
  const unknown = isUnknown === true ? '1' : '0'
  const args = ['life', generation, numberText(moved), numberText(carried), unknown, numberText(limit), unguessable()]
  return operation(args, (outcome) => {
    if (textAt(outcome, 0) === 'none') return undefined
    const { records, errands: list } = firstOf(unpackLife(outcome[3] ?? NOTHING))
    const errands = { row: textAt(outcome, 4), first: numberAt(outcome, 5), list }
    return {
      ...{ generation: textAt(outcome, 1), seq: numberAt(outcome, 2), records },
      ...(list.length > 0 && { errands }),
    }
  })
}

export function tellParents(ended: readonly EndedChild[]): Operation<void> {
  const words = ended.flatMap(({ parent, child: { queue = '', id, state, error = '', result } }) => {
    return [
      parent.id,
      parent.place,
      queue,
      id,
      String(ENDS[state]),
      error,
      result === undefined ? NOTHING : encodeBody(result),
    ]
  })
  return operation(['tellParents', String(ended.length), ...words], () => undefined)
}
