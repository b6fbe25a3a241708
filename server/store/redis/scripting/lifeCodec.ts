/** How a node asks for what is to be moved of a queue's life. */

import type { LifeStep, StoredLife } from '../../contract/store.ts'
import { unpackLife } from '../../life.ts'
import { unguessable } from '../../token.ts'
import type { Operation } from './batcher.ts'
import { numberAt, numberText, operation, textAt } from './codec.ts'

export function lifeStep({
  generation = '',
  moved = 0,
  isUnknown,
  limit,
}: LifeStep): Operation<StoredLife | undefined> {
  const args = ['life', generation, numberText(moved), isUnknown === true ? '1' : '0', numberText(limit), unguessable()]
  return operation(args, (outcome) => {
    if (textAt(outcome, 0) === 'none') return undefined
    const records = unpackLife(outcome[3] ?? Buffer.alloc(0))
    return { generation: textAt(outcome, 1), seq: numberAt(outcome, 2), records }
  })
}
