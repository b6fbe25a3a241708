/** What a handler may return to say what becomes of its job, instead of `done`. */

import { RepriseError } from '../../shared/errors.ts'

const YEAR_MS = 365 * 86_400_000

// Of all copies of the SDK in a program the same.
const OUTCOME: unique symbol = Symbol.for('reprise.outcome') as never

/** What is settled, without id and lease. */
export type Decision =
  | { readonly as: 'done'; readonly reply?: unknown }
  | { readonly as: 'retry'; readonly delayMs?: number; readonly error?: string }
  | { readonly as: 'release' }
  | { readonly as: 'dead'; readonly reason?: string }

/** Made by `retry`, `release` and `dead`; does nothing unless the handler returns it. */
export interface Outcome {
  readonly [OUTCOME]: Decision
}

/** The job failed and comes again: after `delayMs`, or after the queue's backoff. Counts as an attempt. */
export function retry(delayMs?: number, why?: unknown): Outcome {
  if (delayMs !== undefined && !(Number.isFinite(delayMs) && delayMs >= 0 && delayMs <= YEAR_MS)) {
    throw new RepriseError('bad_request', 'retry takes milliseconds, from 0 to a year')
  }
  return { [OUTCOME]: { ...failed(why), ...(delayMs === undefined ? {} : { delayMs }) } }
}

/** The job goes back untouched, for whoever takes it next. Costs no attempt. */
export function release(): Outcome {
  return { [OUTCOME]: { as: 'release' } }
}

/** The job will never succeed: it becomes a dead letter at once, with this reason. */
export function dead(why?: unknown): Outcome {
  return { [OUTCOME]: { as: 'dead', ...(why === undefined ? {} : { reason: textOf(why) }) } }
}

export function decisionOf(returned: unknown): Decision | undefined {
  return typeof returned === 'object' && returned !== null ? (returned as Partial<Outcome>)[OUTCOME] : undefined
}

/** A retry with the error's text. */
export function failed(error: unknown): Decision {
  return { as: 'retry', ...(error === undefined ? {} : { error: textOf(error) }) }
}

export function textOf(error: unknown): string {
  try {
    return String(error).slice(0, 2_000)
  } catch {
    return typeof error
  }
}
