/** What the scripts that write are asked and what they answer, as far as those of topics and queues have the same words. */

import { RepriseError } from '../../../../shared/errors.ts'
import { otherSession, takenOver } from '../../refusals.ts'
import type { Argument } from '../connection/connection.ts'
import { storageFull } from '../connection/errors.ts'
import type { Operation } from './batcher.ts'

export function operation<T>(args: readonly Argument[], read: (outcome: readonly Buffer[]) => T): Operation<T> {
  return { args, bytes: 0, size: 1, read }
}

export function textAt(outcome: readonly Buffer[], index: number): string {
  return outcome[index]?.toString() ?? ''
}

export function numberAt(outcome: readonly Buffer[], index: number): number {
  return Number(outcome[index])
}

/** A number in words of the script; `Infinity` too. */
export function numberText(value: number): string {
  return value === Number.POSITIVE_INFINITY ? '1e300' : String(value)
}

export interface PartSwept {
  readonly ids: number
  readonly producers: number
  readonly cursors: number
  readonly more: boolean
  /** When the next thing of this topic or queue is to be forgotten. */
  readonly dueAt: string
}

export function sweep(): Operation<PartSwept> {
  return operation(['sweep'], (outcome) => ({
    ids: numberAt(outcome, 1),
    producers: numberAt(outcome, 2),
    cursors: numberAt(outcome, 3),
    more: textAt(outcome, 4) === '1',
    dueAt: textAt(outcome, 5),
  }))
}

/** `own`: what a word means that only topics or only queues have. `taken`: what a draft got that is no longer kept. */
export function refuse(
  outcome: readonly Buffer[],
  own: (word: string, detail: string) => RepriseError | undefined,
  producer?: { readonly name: string; readonly seq: number },
  taken = '',
): void {
  if (textAt(outcome, 0) !== 'error') return
  const [word, detail] = [textAt(outcome, 1), textAt(outcome, 2)]
  const name = `producer ${JSON.stringify(producer?.name)}`
  const conflict = (text: string): RepriseError => new RepriseError('conflict', text)
  switch (word) {
    case 'storage_full':
      throw storageFull()
    case 'skipped':
      throw conflict(`${name} skipped numbers: ${detail} is next, not ${producer?.seq}`)
    case 'unknown':
      throw conflict(`${name} is not known: its numbers begin with 0 or 1, not with ${producer?.seq}`)
    case 'before':
      throw conflict(`${name} began with ${detail}: there was no draft ${producer?.seq}`)
    case 'forgotten':
      throw conflict(`draft ${detail} of ${name} was taken, but its ${taken} is no longer kept`)
    case 'began':
      throw otherSession()
    case 'taken_over':
      throw takenOver()
    default:
      throw own(word, detail) ?? new Error(`a script answered ${JSON.stringify(word)}`)
  }
}
