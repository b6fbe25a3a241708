/** A refusal as a value: of a step that must not undo what came before it. */

import { RepriseError } from '../../shared/errors.ts'

/** What a step answers, or what it is refused with. */
export function orRefusal<T>(step: () => T): T | RepriseError {
  try {
    return step()
  } catch (error) {
    if (error instanceof RepriseError) return error
    throw error
  }
}
